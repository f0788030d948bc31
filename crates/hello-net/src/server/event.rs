use std::net::SocketAddr;

use hello_proto::Refusal;

use crate::udp::socket_error::SocketError;

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

/// The datagrams that a server shows to its observer. Others cost less, and are counted all the same.
///
/// ```
/// use hello_net::{EventFilter, Server};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = Server::builder().events(EventFilter::Nothing);
/// let server = server.bind([([127, 0, 0, 1], 0).into()])?;
/// server.serve_while(|_event| unreachable!("the counters are enough"), || ())?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum EventFilter {
    /// All.
    #[default]
    All,
    /// Only those whose replies the system did not take.
    SendFailures,
    /// None.
    Nothing,
}

/// What became of a received datagram: each has exactly one outcome.
///
/// ```
/// use hello_net::Outcome;
///
/// fn describe(outcome: Outcome) -> String {
///     match outcome {
///         Outcome::Answered => "answered".into(),
///         Outcome::Refused(refusal) => format!("refused: {refusal}"),
///         Outcome::SendFailed(error) => format!("reply not sent: {error:#}"),
///         Outcome::OverLimit => "refused: over the limit".into(),
///     }
/// }
/// # assert_eq!(describe(Outcome::OverLimit), "refused: over the limit");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The system took the reply.
    Answered,
    /// The guard refused it.
    Refused(Refusal),
    /// Its source exceeded the [`RateLimit`](crate::server::rate_limit::RateLimit), and it was
    /// refused.
    OverLimit,
    /// The system did not take the reply.
    SendFailed(SocketError),
}
