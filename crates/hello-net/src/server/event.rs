use std::net::SocketAddr;

use hello_proto::Refusal;

use crate::udp::error_class::ErrorClass;

/// A datagram that a [`Server`](crate::server::Server) received, and what became of it.
#[derive(Clone, Copy, Debug)]
pub struct ServerEvent<'a> {
    /// Who sent it, or so it says.
    pub source: SocketAddr,
    /// Where it was sent to; the bound address, if that stands for all of this machine's and the
    /// system does not tell which was asked.
    pub local: SocketAddr,
    /// Its bytes, the name.
    pub name: &'a [u8],
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
    /// Its source was over the [`RateLimit`](crate::server::rate_limit::RateLimit), and it was refused.
    OverLimit,
    /// The system did not take the reply.
    SendFailed(ErrorClass),
}
