use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use hello_measure::Cause;

use crate::udp::socket_error::SocketError;

/// What a [`LoadGenerator`](crate::load::LoadGenerator) has learned about its server, in the
/// warm-up too, whose events are not shown.
///
/// Clones learn the same.
///
/// ```
/// # #[cfg(all(feature = "server", feature = "load"))]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::net::Ipv4Addr;
///
/// use hello_net::{LoadGenerator, Server};
///
/// let server = Server::builder().bind([(Ipv4Addr::LOCALHOST, 0).into()])?;
/// let address = server.local_addrs().next().expect("one");
/// let generator = LoadGenerator::builder().count(1).connect(address)?;
/// let contact = generator.contact();
/// assert!(!contact.has_answer());
/// server.serve_while(|_event| (), || generator.run(|_events| ()))??;
/// assert!(contact.has_answer() && !contact.has_unrelated() && contact.error().is_none());
/// # Ok(())
/// # }
/// # #[cfg(not(all(feature = "server", feature = "load")))]
/// # fn main() {}
/// ```
#[derive(Clone, Debug)]
pub struct Contact {
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    has_answer: AtomicBool,
    has_unrelated: AtomicBool,
    error: OnceLock<(SocketError, Option<Cause>)>,
}

impl Contact {
    pub(super) fn new() -> Self {
        Self { state: Arc::default() }
    }

    pub(super) fn note_answer(&self) {
        self.state.has_answer.store(true, Relaxed);
    }

    pub(super) fn note_unrelated(&self) {
        self.state.has_unrelated.store(true, Relaxed);
    }

    pub(super) fn note_error(&self, error: SocketError, cause: Option<Cause>) {
        self.state.error.get_or_init(|| (error, cause));
    }

    /// Returns whether any request was answered, in time or late.
    pub fn has_answer(&self) -> bool {
        self.state.has_answer.load(Relaxed)
    }

    /// Returns whether any datagram arrived that is no reply to any of the requests, or none at the
    /// source that sent it.
    pub fn has_unrelated(&self) -> bool {
        self.state.has_unrelated.load(Relaxed)
    }

    /// Returns the first error that the system or the network reported about a request.
    pub fn error(&self) -> Option<SocketError> {
        self.state.error.get().map(|(error, _)| *error)
    }

    /// Returns what the network reported by that error, and who reported it; `None` if the error is
    /// the system's own, or if the system does not report more.
    pub fn cause(&self) -> Option<Cause> {
        self.state.error.get().and_then(|(_, cause)| *cause)
    }
}
