use std::io;
use std::net::UdpSocket;

use crate::sys::datagram_socket::{DatagramSocket, Open};
use crate::sys::fragmentation::Fragmentation;
use crate::sys::{native, portable};

/// Which system calls move the datagrams.
///
/// ```
/// # #[cfg(feature = "server")]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use hello_net::{Backend, Server};
///
/// let builder = Server::builder().backend(Backend::Portable);
/// let server = builder.bind([([127, 0, 0, 1], 0).into()])?;
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "server"))]
/// # fn main() {}
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// The fastest of this system: on Linux, many datagrams for each call (recvmmsg(2),
    /// sendmmsg(2)); elsewhere the same as [`Portable`](Self::Portable).
    #[default]
    Native,
    /// Those that every system has, through the `quinn-udp` crate.
    Portable,
}

impl Backend {
    /// Opens a back end on a bound socket.
    pub(crate) fn open(
        self,
        socket: UdpSocket,
        fragmentation: Fragmentation,
    ) -> io::Result<Box<dyn DatagramSocket>> {
        self.opener()(socket, fragmentation)
    }

    #[cfg(feature = "server")]
    /// Opens a back end on a socket that is bound alone, with spares to send by while its send
    /// buffer is full, where the system has such a thing.
    pub(crate) fn open_with_spares(
        self,
        socket: UdpSocket,
        fragmentation: Fragmentation,
    ) -> io::Result<Box<dyn DatagramSocket>> {
        native::open_with_spares(self.opener(), socket, fragmentation)
    }

    /// Returns the function that opens it.
    pub(crate) fn opener(self) -> Open {
        match self {
            Self::Native => native::open,
            Self::Portable => portable::open,
        }
    }

    #[cfg(any(feature = "probe", feature = "load"))]
    /// Returns whether it sends with the mark of the socket. `quinn-udp` gives each message another one.
    pub(crate) fn sends_marks(self) -> bool {
        crate::sys::HAS_BATCH_CALLS && self == Self::Native
    }

    #[cfg(any(feature = "probe", feature = "load"))]
    /// Returns whether it reports when the system received each message.
    pub(crate) fn has_timestamps(self) -> bool {
        self == Self::Native && crate::sys::has_timestamps()
    }
}
