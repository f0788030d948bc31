use std::error::Error;
use std::io;

use thiserror::Error;

/// The reason why requests cannot be answered in the driver of a network interface.
///
/// ```
/// use hello_net::{Server, ServerError, XdpError};
///
/// let error = Server::builder().xdp(["lo"]).bind([([127, 0, 0, 1], 0).into()]).unwrap_err();
/// let ServerError::Xdp(error) = error else { panic!("{error}") };
/// // The latter where XDP is permitted.
/// assert!(matches!(error, XdpError::Unsupported | XdpError::Capability(_) | XdpError::Loopback(_)));
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum XdpError {
    /// This is another system, or hello-net was built without its feature `xdp`.
    #[error("XDP needs Linux, and a build with the feature xdp")]
    Unsupported,
    /// The process lacks capabilities (capabilities(7)), which this names.
    #[error(
        "XDP needs {0}: start as root, or grant what is missing (AmbientCapabilities=, setcap)"
    )]
    Capability(String),
    /// The kernel did not load the program.
    #[error(
        "the kernel did not load the XDP program; it needs Linux 5.19 or newer, capabilities of the \
         machine and not of a user namespace, and in a container a profile that allows bpf(2)"
    )]
    Load(#[source] Box<dyn Error + Send + Sync>),
    /// The kernel lets this process use no map of the program any more.
    #[error("cannot use a map of the XDP program; without CAP_BPF it needs Linux 5.19 or newer")]
    Map(#[source] Box<dyn Error + Send + Sync>),
    /// The program has no place for this number of addresses, each with a port. A server does not start
    /// like that. If the addresses are added later, it leaves them to the sockets.
    #[error(
        "the XDP program has no place for {0} of the addresses and ports; bind to at most 500 of them"
    )]
    NoSlot(u32),
    /// The capabilities could not be given up.
    #[error("cannot give up CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON")]
    GiveUp(#[source] io::Error),
    /// There is no such network interface.
    #[error("no network interface is called {0:?}; `ip link` lists them")]
    NoInterface(String),
    /// The interface is the loopback, whose packets do not pass through a driver.
    #[error("{0} is the loopback interface, which has no driver to answer in")]
    Loopback(String),
    /// The packets of the interface have no Ethernet header.
    #[error("{0} is not an Ethernet interface")]
    NotEthernet(String),
    /// Another XDP program has the interface.
    #[error("{0} has another XDP program; `ip link show dev {0}` names it")]
    Busy(String),
    /// The kernel did not attach the program to an interface.
    #[error("cannot attach the XDP program to {interface}")]
    Attach {
        /// The name of the interface.
        interface: String,
        /// The system's error.
        source: io::Error,
    },
    /// The network interfaces could not be listed (rtnetlink(7)).
    #[error("cannot list the network interfaces")]
    Interfaces(#[source] io::Error),
}
