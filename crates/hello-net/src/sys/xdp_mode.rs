/// Where an XDP program runs.
///
/// ```
/// use hello_net::XdpMode;
///
/// assert_eq!(XdpMode::Native.label(), "native");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum XdpMode {
    /// In the driver of the interface, before the kernel sees a packet.
    Native,
    /// In the kernel, because the driver cannot run it: later and slower, but still before any socket.
    Generic,
}

impl XdpMode {
    /// Returns its name, as `ip link` has it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Generic => "generic",
        }
    }
}
