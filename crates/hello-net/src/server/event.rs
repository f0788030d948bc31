use std::net::SocketAddr;

use super::settle::Outcome;

/// A datagram that a [`Server`](crate::server::Server) received, and what became of it.
///
/// ```
/// use hello_net::{Outcome, ServerEvent};
///
/// let source = ([198, 51, 100, 7], 40_001).into();
/// let local = ([192, 0, 2, 1], 9999).into();
/// let event = ServerEvent::new(source, local, b"Tracy", Outcome::Answered);
/// assert_eq!(event.name, b"Tracy");
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ServerEvent<'a> {
    /// Its source address, which may be spoofed.
    pub source: SocketAddr,
    /// The address it was sent to. If the server is bound to all addresses of this machine and the
    /// system does not report which one that was, it is the bound address.
    pub local: SocketAddr,
    /// Its bytes, the name.
    pub name: &'a [u8],
    /// What became of it.
    pub outcome: Outcome,
}

impl<'a> ServerEvent<'a> {
    /// Makes an event, such as one to test an observer with.
    pub fn new(source: SocketAddr, local: SocketAddr, name: &'a [u8], outcome: Outcome) -> Self {
        Self { source, local, name, outcome }
    }
}
