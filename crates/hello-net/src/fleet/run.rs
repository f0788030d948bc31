//! The loop of a fleet's run.

use std::time::{Duration, Instant};

use super::Fleet;
use super::event::FleetEvent;
use super::family_socket::FamilySocket;
use super::plan::FleetError;
use super::state::Probe;
use crate::clock::{ClockSample, TimestampMapper};
use crate::requester::{self, NotSent};
use crate::sys;
use crate::sys::batch::RecvBatch;
use crate::sys::error_class::ErrorClass;
use crate::sys::latch::Latch;
use crate::sys::queued_error::MAX_QUOTE;
use crate::udp::earlier_send::{MAX_QUEUED, is_from_earlier_send, send_past_reports};
use crate::udp::recv_backoff::RecvBackoff;
use crate::udp::socket_error::SocketError;

/// A run of a fleet.
pub(super) struct Run<'a, O> {
    fleet: &'a Fleet,
    observe: O,
    name: Vec<u8>,
    batch: RecvBatch,
    timestamps: TimestampMapper,
    backoff: RecvBackoff,
    /// The drops of each socket at the last look, and when that was.
    drops: Vec<u32>,
    drops_seen: Duration,
    /// The sockets that have something to receive.
    ready: Vec<usize>,
}

impl<'a, O: FnMut(&FleetEvent)> Run<'a, O> {
    pub(super) fn new(fleet: &'a Fleet, observe: O) -> Self {
        Self {
            fleet,
            observe,
            name: vec![0; fleet.plan.name_len],
            batch: RecvBatch::new(),
            timestamps: TimestampMapper::default(),
            backoff: RecvBackoff::default(),
            drops: fleet.opened().map(FamilySocket::drops).collect(),
            drops_seen: sys::monotonic(),
            ready: Vec::new(),
        }
    }

    /// Sends and receives until nothing is left to wait for.
    pub(super) fn run(&mut self) -> Result<(), FleetError> {
        let Fleet { handle, stopper, .. } = self.fleet;
        handle.state().start(sys::monotonic());
        loop {
            let sample = ClockSample::now();
            self.timestamps.update(sample);
            // What arrived before this moment is received before anything is lost at it.
            self.receive_ready(sample.now)?;
            {
                let mut state = handle.state();
                state.settle(sample.now);
                state.has_progressed = true;
            }
            if !stopper.is_stopped() {
                self.send_due();
            }
            self.report_events();
            let is_sending = !stopper.is_stopped();
            let (is_over, timeout) = {
                let mut state = handle.state();
                (state.is_over(is_sending), state.poll_timeout(is_sending))
            };
            if is_over || stopper.is_aborted() {
                self.count_drops();
                return Ok(());
            }
            self.wait(sample.now, timeout);
        }
    }

    /// Sends the probes that are due, up to a burst.
    fn send_due(&mut self) {
        let max = self.fleet.handle.state().max_burst();
        for _ in 0..max {
            let mut state = self.fleet.handle.state();
            let Some(probe) = state.poll_due(sys::monotonic()) else { return };
            // Recorded before the lock is released, and so before a reply is looked at.
            let mut at = sys::monotonic();
            match send(self.fleet, probe, &mut self.name, &mut at) {
                Ok(()) => state.handle_sent(probe, at),
                Err(error) => state.handle_failed(probe, NotSent::Failed(error), at),
            }
        }
    }

    /// Receives what was there at `now` from the sockets that have something.
    fn receive_ready(&mut self, now: Duration) -> Result<(), FleetError> {
        if self.fleet.poller.poll_ready(&mut self.ready).is_err() {
            // If the system cannot tell, all of them are tried.
            self.ready = (0..self.fleet.opened().count()).collect();
        }
        let fleet = self.fleet;
        for (number, socket) in fleet.opened().enumerate() {
            if self.ready.contains(&number) {
                self.receive(socket, now)?;
                self.take_errors(socket);
            }
        }
        if now.saturating_sub(self.drops_seen) >= DROPS_PERIOD {
            self.count_drops();
            self.drops_seen = now;
        }
        Ok(())
    }

    fn receive(&mut self, socket: &FamilySocket, now: Duration) -> Result<(), FleetError> {
        for _ in 0..MAX_BATCHES {
            match socket.receive(&mut self.batch) {
                Ok(()) => {
                    self.backoff = RecvBackoff::default();
                    let latest = self.record_batch();
                    // Nobody waits for what arrived later. A batch that is not full was the last.
                    let is_full = self.batch.metas().len() == RecvBatch::CAPACITY;
                    let is_last = self.fleet.plan.backend.has_timestamps() && !is_full;
                    if is_last || latest > now || self.fleet.stopper.is_aborted() {
                        return Ok(());
                    }
                }
                Err(error) if ErrorClass::of(&error) == ErrorClass::WouldBlock => return Ok(()),
                // It is queued, too.
                Err(error) if is_from_earlier_send(&error) => {}
                Err(error) => {
                    self.fleet.handle.state().counts.receive_errors += 1;
                    let wait = self.backoff.wait(ErrorClass::of(&error), Instant::now());
                    self.latch().sleep(wait.ok_or(FleetError::Receive(error))?);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Counts what the system dropped since the last look.
    fn count_drops(&mut self) {
        for (socket, before) in self.fleet.opened().zip(&mut self.drops) {
            let now = socket.drops();
            let dropped = now.wrapping_sub(std::mem::replace(before, now));
            if dropped > 0 {
                self.fleet.handle.state().counts.dropped += u64::from(dropped);
            }
        }
    }

    /// Records each datagram of a batch, and returns when the last of them arrived; zero, if the system
    /// does not report it.
    fn record_batch(&mut self) -> Duration {
        self.timestamps.update(ClockSample::now());
        let mut state = self.fleet.handle.state();
        for (index, meta) in self.batch.metas().iter().enumerate() {
            let (at, source) = (self.timestamps.to_monotonic(meta.time), meta.source.get());
            for range in self.batch.datagram_ranges(index) {
                state.handle_datagram(source, self.batch.bytes(range), at);
            }
        }
        requester::latest(&self.batch, &self.timestamps)
    }

    /// Records the ICMP errors that are queued, up to a bound. Otherwise, the next call to send would
    /// return one of them.
    fn take_errors(&self, socket: &FamilySocket) {
        let mut quote = [0; MAX_QUOTE];
        for _ in 0..MAX_QUEUED {
            let Some(error) = socket.take_error(&mut quote) else { return };
            let (quote, now) = (&quote[..error.quoted], sys::monotonic());
            self.fleet.handle.state().handle_error(quote, error.destination, error.cause, now);
        }
    }

    /// Shows the events. No lock is held meanwhile.
    fn report_events(&mut self) {
        loop {
            let event = self.fleet.handle.state().poll_event();
            let Some(event) = event else { return };
            (self.observe)(&event);
        }
    }

    /// Waits until something is due or arrives, but at least for a tick from `now` on.
    fn wait(&self, now: Duration, timeout: Option<Duration>) {
        self.latch().sleep((now + self.fleet.plan.tick()).saturating_sub(sys::monotonic()));
        let wait = timeout.map_or(LONGEST_WAIT, |timeout| timeout.saturating_sub(sys::monotonic()));
        let wait = wait.min(LONGEST_WAIT);
        if !wait.is_zero() && self.fleet.poller.wait(wait, self.latch()).is_err() {
            // If the system cannot wait, at least do not spin.
            self.latch().sleep(wait.min(SHORTEST_PAUSE));
        }
    }

    /// Returns what ends every wait: a stop, and after that an abort.
    fn latch(&self) -> &Latch {
        let stopper = &self.fleet.stopper;
        if stopper.is_stopped() { stopper.abort_latch() } else { stopper.stop_latch() }
    }
}

/// Sends a probe, and sets when.
fn send(
    fleet: &Fleet,
    probe: Probe,
    name: &mut [u8],
    at: &mut Duration,
) -> Result<(), SocketError> {
    let Probe { to, token, .. } = probe;
    let socket = fleet.sockets[usize::from(to.is_ipv6())].as_ref().map_err(|error| *error)?;
    // The length of the name was checked before.
    let _ = token.encode(name);
    // Reports about probes to others are queued, too.
    let (sent, _reports) = send_past_reports(|| {
        *at = sys::monotonic();
        socket.send(to, name)
    });
    sent.map_err(|error| SocketError::of(&error))
}

/// The longest wait before it is noticed that a target was added.
const LONGEST_WAIT: Duration = Duration::from_millis(100);

/// The time between two looks at what the system dropped.
const DROPS_PERIOD: Duration = Duration::from_secs(1);

const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

/// The number of batches that surely empties a socket: its receive buffer holds fewer datagrams.
const MAX_BATCHES: usize = 256;
