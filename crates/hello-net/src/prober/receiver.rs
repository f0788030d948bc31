//! The loop of a run's receiving thread; what it shares with the other is in [`run`](super::run).

use std::time::{Duration, Instant};
use std::{io, slice, thread};

use hello_measure::{Lost, ReplyKind};

use super::Prober;
use super::event::{ProbeEvent, ProbeEventKind};
use super::plan::{ProbeError, ProbePlan};
use super::run::Run;
use super::source_port::SourcePort;
use super::state::{Errors, Received};
use super::tracing::Tracing;
use crate::clock::ClockSample;
use crate::sys;
use crate::sys::batch::RecvBatch;
use crate::sys::error_class::ErrorClass;
use crate::udp::earlier_send::is_from_earlier_send;
use crate::udp::recv_backoff::RecvBackoff;
use crate::udp::socket_error::SocketError;

/// Memory of the receiver's loop, which each round uses again.
struct ReceiverMemory {
    batch: RecvBatch,
    received: Vec<Received>,
    backoff: RecvBackoff,
}

impl<O: Fn(&ProbeEvent<'_>)> Run<'_, O> {
    /// Receives until nothing is left to wait for.
    ///
    /// # Errors
    ///
    /// [`ProbeError::Receive`] if a socket is broken; see [`RecvBackoff`].
    pub(super) fn receive_all(&self) -> Result<(), ProbeError> {
        let (batch, backoff) = (RecvBatch::new(), RecvBackoff::default());
        let mut memory = ReceiverMemory { batch, received: Vec::new(), backoff };
        let every = Vec::from_iter(0..self.prober.ports.len());
        let mut ready = every.clone();
        let mut dropped = Vec::from_iter(self.prober.ports.iter().map(SourcePort::drops));
        let mut lost = Vec::new();
        loop {
            // What arrived before this moment is received before anything is lost at it, even if
            // this thread was held up since.
            let sample = ClockSample::now();
            let now = sample.now;
            let (over, timeout) = {
                let mut state = self.state();
                state.timestamps.update(sample);
                self.begin_traces(&mut state);
                (self.is_over(&state), state.ledger.poll_timeout())
            };
            let all = over || timeout.is_some_and(|timeout| timeout <= now);
            for &flow in if all { &every } else { &ready } {
                // A flood on many flows takes long to receive, and an aborted run has no time.
                let is_long = || sys::monotonic().saturating_sub(now) > LONGEST_WAIT;
                if self.prober.stopper.is_aborted() && is_long() {
                    break;
                }
                self.receive(flow, (now, all), &mut memory)?;
                if all {
                    // Shown before the losses that may be its result.
                    self.report_dropped(flow, &mut dropped[flow]);
                }
            }
            let (timeout, ended) = {
                let mut state = self.state();
                (state.settle(now, &mut lost), self.is_over(&state))
            };
            self.report_lost(now, &mut lost);
            self.trace(now);
            match (over, ended) {
                (true, _) => {
                    self.finish_traces(now);
                    return Ok(());
                }
                (false, true) => continue,
                (false, false) => {}
            }
            let ProbePlan { interval, backend, .. } = self.prober.plan;
            if interval < COALESCE && backend.has_timestamps() {
                thread::sleep(COALESCE.min(interval.saturating_mul(MAX_COALESCED)));
            }
            let traced = self.state().tracing.as_ref().and_then(Tracing::poll_timeout);
            let timeout = timeout.into_iter().chain(traced).min();
            let wait =
                timeout.map_or(LONGEST_WAIT, |timeout| timeout.saturating_sub(sys::monotonic()));
            self.wait(wait.min(LONGEST_WAIT), &mut ready);
        }
    }

    /// Receives from a flow what was there at `now`: all of it, or as much as one call returns.
    /// What arrives meanwhile may never end, and is for the next round.
    fn receive(
        &self,
        flow: usize,
        (now, all): (Duration, bool),
        memory: &mut ReceiverMemory,
    ) -> Result<(), ProbeError> {
        let port = &self.prober.ports[flow];
        for _ in 0..MAX_BATCHES {
            let taken = port.errors_taken();
            match port.receive(&mut memory.batch) {
                Ok(()) => {
                    memory.backoff = RecvBackoff::default();
                    if port.awaits_transmit_time() {
                        // A reply is after its probe, so the time of the probe is queued by now.
                        self.report_queued(flow, SourcePort::awaits_transmit_time);
                    }
                    let latest = self.report_received(flow, memory);
                    // Nobody waits for the rest, or it arrived later.
                    if !all || latest > now || self.prober.stopper.is_aborted() {
                        return Ok(());
                    }
                }
                Err(error) => {
                    let reported = SocketError::of(&error);
                    match reported.class {
                        ErrorClass::WouldBlock => {
                            self.report_queued(flow, |_| true);
                            return Ok(());
                        }
                        // An error about one probe: the next call has another, or a reply.
                        _ if is_from_earlier_send(&error) => {
                            self.report_returned(flow, &error, taken);
                            continue;
                        }
                        class => {
                            let wait = memory.backoff.wait(class, Instant::now());
                            let server = self.prober.server;
                            let broken = ProbeError::Receive { server, source: error };
                            self.latch().sleep(wait.ok_or(broken)?);
                        }
                    }
                    self.notify(sys::monotonic(), flow, ProbeEventKind::SocketError(reported));
                }
            }
        }
        Ok(())
    }

    /// Shows the errors queued for a flow, as long as there is a reason to go on.
    fn report_queued(&self, flow: usize, goes_on: impl Fn(&SourcePort) -> bool) {
        let (Prober { ports, plan, .. }, mut errors) = (self.prober, Errors::default());
        self.state().take_errors(&ports[flow], plan, flow, &[], &mut errors, goes_on);
        self.report_errors(sys::monotonic(), flow, errors);
    }

    /// Shows the errors queued for a flow, or else the one that a call `returned`. `taken` errors were
    /// taken before this call.
    fn report_returned(&self, flow: usize, returned: &io::Error, taken: u32) {
        let (Prober { ports, plan, .. }, mut errors) = (self.prober, Errors::default());
        {
            // Under the lock of the sender: as long as some are queued, each of its calls returns one.
            let mut state = self.state();
            // The sender may have taken what was queued for this one.
            let is_untaken = ports[flow].errors_taken() == taken;
            let returned = if is_untaken { slice::from_ref(returned) } else { &[] };
            state.take_errors(&ports[flow], plan, flow, returned, &mut errors, |_| true);
        }
        self.report_errors(sys::monotonic(), flow, errors);
    }

    /// Shows each datagram of a batch, and returns when the last of them arrived; zero, if the
    /// system does not report it.
    fn report_received(&self, flow: usize, memory: &mut ReceiverMemory) -> Duration {
        let ReceiverMemory { batch, received, .. } = memory;
        let latest = self.state().classify(flow, batch, received);
        for Received { at, reply, ttl, tos, clocks, range } in received.drain(..) {
            if let ReplyKind::Answered { seq, .. }
            | ReplyKind::Late { seq, .. }
            | ReplyKind::Duplicate { seq } = reply
            {
                self.await_announcement(seq);
            }
            let datagram = batch.bytes(range);
            self.notify(at, flow, ProbeEventKind::Received { reply, datagram, ttl, tos, clocks });
        }
        latest
    }

    /// Shows how many datagrams the system dropped since `before`, if it dropped any. Its count has
    /// 32 bits only.
    fn report_dropped(&self, flow: usize, before: &mut u32) {
        let now = self.prober.ports[flow].drops();
        let count = now.wrapping_sub(std::mem::replace(before, now));
        if count > 0 {
            self.notify(sys::monotonic(), flow, ProbeEventKind::Dropped { count });
        }
    }

    /// Shows each probe that was lost at `now`.
    fn report_lost(&self, now: Duration, lost: &mut Vec<Lost>) {
        for Lost { seq, sent, cause } in lost.drain(..) {
            self.await_announcement(seq);
            let sent = sent.saturating_sub(self.start);
            let kind = ProbeEventKind::Lost { seq, sent, cause };
            self.notify(now, self.prober.plan.flow_of(seq), kind);
        }
    }

    /// Waits until something can be received, and notes from which flows.
    fn wait(&self, timeout: Duration, ready: &mut Vec<usize>) {
        let waited = self.prober.poller.wait(timeout, self.latch());
        if waited.and_then(|()| self.prober.poller.poll_ready(ready)).is_err() {
            // If the system cannot wait, at least do not spin.
            thread::sleep(timeout.min(Duration::from_millis(1)));
            *ready = (0..self.prober.ports.len()).collect();
        }
    }
}

/// The longest wait of the receiver before it checks whether the run is over.
const LONGEST_WAIT: Duration = Duration::from_millis(100);

/// Replies that arrive faster than this are received several at a time, which saves a wake-up for
/// most of them. Kernel timestamps are not affected.
const COALESCE: Duration = Duration::from_millis(1);

/// The most replies that are received together, roughly. The smallest receive buffer holds more.
const MAX_COALESCED: u32 = 64;

/// The number of batches that surely empties a socket: its receive buffer holds fewer datagrams.
const MAX_BATCHES: usize = 256;
