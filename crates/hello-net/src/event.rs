use std::net::SocketAddr;

use hello_proto::Refusal;

use crate::ErrorClass;

/// A datagram that a [`Server`](crate::Server) received, and what became of it.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// Who sent it, or so it says.
    pub source: SocketAddr,
    /// The bound address that received it.
    pub local: SocketAddr,
    /// Its bytes, the name. Of a name that is too long, the first
    /// [`max_name_len`](hello_proto::Guard::max_name_len) and one more.
    pub name: &'a [u8],
    /// The name may be longer than that: it filled the space there was to receive it.
    pub cut: bool,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a received datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The system took the reply.
    Answered,
    /// The guard refused it.
    Refused(Refusal),
    /// The system did not take the reply.
    SendFailed(ErrorClass),
}
