use std::io;
use std::sync::Arc;
#[cfg(any(feature = "probe", feature = "load"))]
use std::thread;

use crate::sys::latch::Latch;

/// Ends a run from another thread, from a signal's thread, or from an observer.
///
/// Clones end the same run. What was stopped stays stopped: a run that starts later ends at once.
///
/// | | [`stop`](Self::stop) | [`abort`](Self::abort) |
/// |---|---|---|
/// | [`Server`](crate::server::Server) | answers what waits in its sockets, for a second at most | receives nothing more |
/// | [`Prober`](crate::prober::Prober), [`LoadGenerator`](crate::load::LoadGenerator) | send no more, and wait until each request in flight is answered or lost, so for the timeout at most | wait for nothing |
/// | [`Client`](crate::client::Client) | sends no more, and waits for a reply to the attempt in progress | cancels the greeting |
///
/// ```
/// # #[cfg(feature = "server")]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::net::Ipv4Addr;
/// use std::thread;
///
/// use hello_net::Server;
///
/// let server = Server::builder().bind([(Ipv4Addr::LOCALHOST, 0).into()])?;
/// let stopper = server.stopper();
/// thread::spawn(move || stopper.stop());
/// server.serve(|_event| ())?; // returns once it is stopped
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "server"))]
/// # fn main() {}
/// ```
#[derive(Clone, Debug)]
pub struct Stopper {
    flags: Arc<Flags>,
}

#[derive(Debug)]
struct Flags {
    stop: Latch,
    abort: Latch,
}

impl Stopper {
    pub(crate) fn new() -> io::Result<Self> {
        let (stop, abort) = (Latch::new()?, Latch::new()?);
        Ok(Self { flags: Arc::new(Flags { stop, abort }) })
    }

    /// Ends the run in order: it starts nothing new, and finishes what it started.
    pub fn stop(&self) {
        self.flags.stop.raise();
    }

    /// Ends the run as soon as possible.
    pub fn abort(&self) {
        self.flags.abort.raise();
        self.stop();
    }

    /// Returns whether the run was told to stop or to abort.
    pub fn is_stopped(&self) -> bool {
        self.flags.stop.is_raised()
    }

    /// Returns whether the run was told to abort.
    pub fn is_aborted(&self) -> bool {
        self.flags.abort.is_raised()
    }

    #[cfg(feature = "__batches")]
    /// Returns what to wait by for a stop.
    pub(crate) fn stop_latch(&self) -> &Latch {
        &self.flags.stop
    }

    #[cfg(feature = "__requests")]
    /// Returns what to wait by for an abort.
    pub(crate) fn abort_latch(&self) -> &Latch {
        &self.flags.abort
    }
}

#[cfg(any(feature = "probe", feature = "load"))]
/// Ends the other threads of a run if this one panics, as an observer may make it.
pub(crate) struct AbortOnPanic<'a>(pub(crate) &'a Stopper);

#[cfg(any(feature = "probe", feature = "load"))]
impl Drop for AbortOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn abort_is_a_stop_too_and_clones_share_both() {
        let stopper = Stopper::new().expect("sockets");
        let other = stopper.clone();
        stopper.stop();
        assert!(other.is_stopped() && !other.is_aborted());
        stopper.abort();
        assert!(other.is_stopped() && other.is_aborted());
    }
}
