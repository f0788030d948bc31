use std::net::SocketAddr;
use std::time::Duration;

use hello_measure::Cause;
use hello_proto::DecodeError;
use thiserror::Error;

use crate::udp::socket_error::SocketError;

/// An answered request.
///
/// ```
/// use std::time::Duration;
///
/// use hello_net::Greeting;
///
/// fn describe(greeting: &Greeting) -> String {
///     match greeting.rtt {
///         Some(rtt) => format!("{} answered in {rtt:?}", greeting.server),
///         None => format!("{} answered after {} attempts", greeting.server, greeting.attempts),
///     }
/// }
/// # let server = ([192, 0, 2, 1], 9999).into();
/// # let elapsed = Duration::from_secs(1);
/// # let greeting = Greeting { server, attempts: 2, rtt: None, elapsed };
/// # assert_eq!(describe(&greeting), "192.0.2.1:9999 answered after 2 attempts");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// The server that answered.
    pub server: SocketAddr,
    /// The number of attempts, from 1.
    pub attempts: u32,
    /// The round-trip time, from just before the send to just after the receive.
    ///
    /// `None` where it cannot be known: the server got the request more than once, and nobody knows
    /// which of them was answered (Karn's algorithm, RFC 6298 section 3); or the client was waiting
    /// for another server when the reply arrived.
    pub rtt: Option<Duration>,
    /// The time from before the first attempt to the reply.
    pub elapsed: Duration,
}

/// A step on the way to a [`Greeting`].
///
/// ```
/// use hello_net::Progress;
///
/// fn log(progress: Progress<'_>) {
///     match progress {
///         Progress::Sending { server, attempt } => println!("attempt {attempt}: {server}"),
///         Progress::Failed { server, error, .. } => println!("{server}: {error:#}"),
///         Progress::Skipped { server, datagram, .. } => {
///             println!("{server}: skipped {}", datagram.escape_ascii());
///         }
///         _ => {}
///     }
/// }
/// # log(Progress::Sending { server: ([192, 0, 2, 1], 9999).into(), attempt: 1 });
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// A request is about to be sent.
    Sending {
        /// The server.
        server: SocketAddr,
        /// The attempt, from 1.
        attempt: u32,
    },
    /// A request could not be sent, or the network reported that an earlier one did not arrive.
    Failed {
        /// The server.
        server: SocketAddr,
        /// The error.
        error: SocketError,
        /// What the network reported, and by whom; `None` if the error is the system's own, or if the
        /// system does not report more.
        cause: Option<Cause>,
        /// Whether this attempt goes on waiting, because no other server is left to try in it.
        waits: bool,
    },
    /// The server sent something that is not the reply.
    Skipped {
        /// The server.
        server: SocketAddr,
        /// Its bytes.
        datagram: &'a [u8],
        /// Why it is no reply at all; `None` if it is one to another name.
        error: Option<DecodeError>,
    },
}

/// A request that got no reply.
///
/// ```
/// use std::net::UdpSocket;
/// use std::time::Duration;
///
/// use hello_net::{Client, UnansweredCause};
/// use hello_proto::Request;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let silent = UdpSocket::bind("127.0.0.1:0")?;
/// let builder = Client::builder().deadline(Duration::from_millis(10));
/// let mut client = builder.connect([silent.local_addr()?])?;
/// let unanswered = client.greet(Request::new(b"Tracy")?, |_progress| ()).unwrap_err();
/// assert_eq!(unanswered.cause, UnansweredCause::DeadlineExceeded);
/// assert_eq!(unanswered.to_string(), "no answer before the deadline (1 attempt)");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{cause} ({attempts} attempt{})", if *attempts == 1 { "" } else { "s" })]
pub struct Unanswered {
    /// Why the client gave up.
    pub cause: UnansweredCause,
    /// The number of attempts.
    pub attempts: u32,
    /// The time they took.
    pub elapsed: Duration,
    /// Each server that a request was sent to, and why it did not answer.
    pub servers: Vec<NoReply>,
}

/// Why a [`Client`](crate::client::Client) gave up.
///
/// ```
/// use hello_net::UnansweredCause;
///
/// assert_eq!(UnansweredCause::Cancelled.to_string(), "cancelled before an answer");
/// ```
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UnansweredCause {
    /// All attempts were made.
    #[error("no answer to any attempt")]
    AttemptsExhausted,
    /// The deadline passed.
    #[error("no answer before the deadline")]
    DeadlineExceeded,
    /// A [`Stopper`](crate::stopper::Stopper) cancelled the greeting.
    #[error("cancelled before an answer")]
    Cancelled,
}

/// A server that did not answer.
///
/// ```
/// use hello_net::{ErrorClass, NoReply};
///
/// fn is_refused(no_reply: &NoReply) -> bool {
///     no_reply.problem.is_some_and(|problem| problem.class == ErrorClass::ConnectionRefused)
/// }
/// # let server = ([192, 0, 2, 1], 9999).into();
/// # assert!(!is_refused(&NoReply { server, problem: None, cause: None }));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoReply {
    /// The server.
    pub server: SocketAddr,
    /// The last error, from the system or the network; `None` if there was none.
    pub problem: Option<SocketError>,
    /// What the network reported, and by whom; `None` if the error is the system's own, or if the
    /// system does not report more.
    pub cause: Option<Cause>,
}
