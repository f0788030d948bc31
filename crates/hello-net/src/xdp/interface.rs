use crate::sys::xdp_mode::XdpMode;

/// A network interface in whose driver a server answers ([`ServerBuilder::xdp`]).
///
/// [`ServerBuilder::xdp`]: crate::server::builder::ServerBuilder::xdp
///
/// ```
/// use hello_net::{Server, XdpInterface};
///
/// let answers_somewhere = |interface: &XdpInterface| interface.services > 0;
/// let server = Server::builder().bind([([127, 0, 0, 1], 0).into()])?;
/// assert!(!server.xdp_interfaces().iter().any(answers_somewhere), "none was given");
/// # Ok::<(), hello_net::ServerError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct XdpInterface {
    /// Its name.
    pub name: String,
    /// Whether its requests are answered in the driver at present.
    pub state: XdpState,
    /// Whether it is one end of a veth pair (veth(4)). The kernel delivers replies only to an end that
    /// has an XDP program, too; otherwise they are lost.
    pub is_veth: bool,
    /// The number of addresses, each with a port, that are answered for.
    pub services: usize,
}

/// The state of a network interface in whose driver a server answers.
///
/// ```
/// use hello_net::{XdpMode, XdpState};
///
/// let state = XdpState::Attached(XdpMode::Generic);
/// let is_slow = matches!(state, XdpState::Attached(mode) if mode != XdpMode::Native);
/// assert!(is_slow);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum XdpState {
    /// The program is attached.
    Attached(XdpMode),
    /// The interface is gone. The program is attached again when it is back.
    Gone,
    /// The interface is back, but the program could not be attached, for this reason. The server's
    /// sockets answer.
    Failed(String),
}
