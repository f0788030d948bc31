use std::collections::BTreeSet;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

/// Requests traces of a [`Prober`](crate::prober::Prober)'s flows, before a run or during one.
///
/// Each flow is traced once. Its path is shown as [`Traced`](crate::ProbeEventKind::Traced).
///
/// ```
/// # #[cfg(all(target_os = "linux", feature = "server", feature = "probe"))]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::net::Ipv4Addr;
/// use std::sync::Mutex;
///
/// use hello_net::hello_measure::{PathEnd, TracePlan};
/// use hello_net::{ProbeEventKind, Prober, Server};
///
/// let server = Server::builder().bind([(Ipv4Addr::LOCALHOST, 0).into()])?;
/// let address = server.local_addrs().next().ok_or("no address")?;
/// // No probe but those of the trace.
/// let prober = Prober::builder().count(0).trace(TracePlan::default()).connect(address)?;
/// prober.trace_handle().ok_or("no plan")?.trace(0);
/// let paths = Mutex::new(Vec::new());
/// server.serve_while(|_event| (), || {
///     prober.run(|event| {
///         if let ProbeEventKind::Traced(path) = event.kind {
///             paths.lock().expect("no panic").push(path.clone());
///         }
///     })
/// })??;
/// let paths = paths.into_inner()?;
/// assert_eq!(paths[0].end, PathEnd::Reached { greeted: true });
/// assert_eq!(paths[0].hops[0].routers[0].address, Ipv4Addr::LOCALHOST);
/// # Ok(())
/// # }
/// # #[cfg(not(all(target_os = "linux", feature = "server", feature = "probe")))]
/// # fn main() {}
/// ```
#[derive(Clone, Debug, Default)]
pub struct TraceHandle {
    requests: Arc<Mutex<Requests>>,
}

#[derive(Debug, Default)]
struct Requests {
    flows: BTreeSet<usize>,
    others_at_end: bool,
}

impl TraceHandle {
    /// Requests the trace of a flow, counted from 0. A flow that does not exist is ignored.
    pub fn trace(&self, flow: usize) {
        self.with(|requests| requests.flows.insert(flow));
    }

    /// Requests the traces of all flows that were not traced by the end of sending, so that paths can be
    /// compared.
    pub fn trace_others_at_end(&self) {
        self.with(|requests| requests.others_at_end = true);
    }

    /// Takes the flows to trace now.
    pub(super) fn take(&self, flows: usize, sent_all: bool) -> Vec<usize> {
        self.with(|requests| {
            let mut taken = Vec::from_iter(mem::take(&mut requests.flows));
            taken.retain(|flow| *flow < flows);
            if sent_all && mem::take(&mut requests.others_at_end) {
                taken.extend(0..flows);
            }
            taken
        })
    }

    fn with<T>(&self, change: impl FnOnce(&mut Requests) -> T) -> T {
        change(&mut self.requests.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_is_taken_once_and_the_others_follow_at_the_end() {
        let handle = TraceHandle::default();
        handle.clone().trace_others_at_end();
        for flow in [2, 1, 2, 9] {
            handle.trace(flow);
        }
        assert_eq!(handle.take(3, false), [1, 2]);
        assert_eq!(handle.take(3, false), []);
        handle.trace(2);
        assert_eq!(handle.take(3, true), [2, 0, 1, 2]);
        assert_eq!(handle.take(3, true), []);
    }
}
