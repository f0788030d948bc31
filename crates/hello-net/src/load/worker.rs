mod receive;
mod send;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;
use std::{hint, thread};

use fastrand::Rng;

use super::contact::Contact;
use super::error::LoadError;
use super::event::{GeneratorUsage, LoadEvent, LoadEventKind};
use super::event_slices::EventSlices;
use super::plan::{LoadPlan, Pacing, SPIN, WaitStrategy};
use super::reply_pace::ReplyPace;
use super::schedule::Schedule;
use super::source_sockets::SourceSockets;
use super::tracker::RequestTracker;
use super::usage::UsageMeter;
use crate::clock::TimestampMapper;
use crate::stopper::Stopper;
use crate::sys;
use crate::sys::batch::RecvBatch;
use crate::sys::datagram_socket::RECV_TIMEOUT;
use crate::sys::latch::Latch;
use crate::udp::recv_backoff::RecvBackoff;
use crate::udp::socket_error::SocketError;

/// One thread of a load: it sends what is due, receives what has arrived, and waits.
///
/// One thread does all three, so that its ledger needs no lock, and no other thread of ours takes
/// the processor from it.
pub(super) struct LoadWorker<'a, O> {
    shared: Shared<'a, O>,
    /// Its number, counted from 0.
    thread: usize,
    sources: &'a mut SourceSockets,
    schedule: Schedule,
    pace: ReplyPace,
    start: Duration,
    /// When the warm-up ends.
    epoch: Duration,
    /// The number of requests that may still be due, after the warm-up.
    remaining: u64,
    /// Messages that are due and not sent yet.
    pending: VecDeque<Pending>,
    /// The source of the next message.
    source: u32,
    rng: Rng,
    tracker: RequestTracker,
    /// Whether [`Contact`] knows of an answer.
    is_contact_noted: bool,
    /// Whether it knows of a datagram that is no reply.
    is_unrelated_noted: bool,
    batch: RecvBatch,
    /// The sockets that may have something to receive.
    ready: Vec<usize>,
    /// The names of the messages that are sent by one call.
    names: Vec<u8>,
    timestamps: TimestampMapper,
    backoff: RecvBackoff,
    /// When the next message may be sent, after the system did not take one.
    retry_at: Duration,
    /// When to receive next.
    next_receive: Duration,
    /// When to look for losses next.
    next_settle: Duration,
    /// When requests ceased to be due.
    ended_at: Option<Duration>,
    usage: UsageMeter,
}

/// What all threads of a run share.
#[derive(Debug)]
pub(super) struct Shared<'a, O> {
    pub(super) server: SocketAddr,
    pub(super) plan: &'a LoadPlan,
    pub(super) stopper: &'a Stopper,
    pub(super) contact: &'a Contact,
    pub(super) observe: &'a O,
}

impl<O> Clone for Shared<'_, O> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<O> Copy for Shared<'_, O> {}

/// A message that is due.
#[derive(Clone, Copy, Debug)]
struct Pending {
    due: Duration,
    source: u32,
    count: u32,
    /// The length of each name, in bytes.
    len: usize,
}

impl<'a, O: Fn(&[LoadEvent<'_>])> LoadWorker<'a, O> {
    pub(super) fn new(
        shared: Shared<'a, O>,
        run_id: u16,
        thread: u16,
        sources: &'a mut SourceSockets,
    ) -> Self {
        let plan = shared.plan;
        let LoadPlan { count, timeout, threads, .. } = *plan;
        let (of_each, rest) = match count {
            Some(count) => (count / u64::from(threads.get()), count % u64::from(threads.get())),
            None => (u64::MAX, 0),
        };
        let is_open = matches!(plan.pacing, Pacing::Open { .. });
        let spins = is_open || plan.wait_strategy != WaitStrategy::Wait;
        let tracker = RequestTracker::new(
            run_id.wrapping_add(thread),
            plan.window(),
            timeout,
            sources.numbers(),
            sources.has_several_sources(),
        )
        .with_peer(plan.peer);
        let schedule = Schedule::new(plan, thread);
        Self {
            shared,
            thread: thread.into(),
            pace: ReplyPace::new(shared.server, &schedule),
            schedule,
            start: Duration::ZERO,
            epoch: Duration::ZERO,
            remaining: of_each.saturating_add(u64::from(u64::from(thread) < rest)),
            pending: VecDeque::new(),
            source: sources.numbers().start,
            sources,
            // Not what the schedule draws from, so that lengths and times are independent.
            rng: Rng::with_seed(!plan.seed_of(thread)),
            tracker,
            is_contact_noted: false,
            is_unrelated_noted: false,
            batch: RecvBatch::new(),
            ready: Vec::new(),
            names: Vec::new(),
            timestamps: TimestampMapper::default(),
            backoff: RecvBackoff::default(),
            retry_at: Duration::ZERO,
            next_receive: Duration::ZERO,
            next_settle: Duration::ZERO,
            ended_at: None,
            usage: UsageMeter::new(spins),
        }
    }

    /// Offers the load from `start` on.
    pub(super) fn run(mut self, start: Duration) -> Result<GeneratorUsage, LoadError> {
        let _slack = sys::set_timer_slack();
        (self.start, self.epoch) = (start, start.saturating_add(self.shared.plan.warm_up));
        self.tracker.measure_from(self.epoch);
        while sys::monotonic() < start {
            sys::sleep_until(start);
        }
        loop {
            let now = sys::monotonic();
            self.enqueue_due(now);
            if self.is_over(now) {
                // A duplicate in another socket, or in another batch, is known only now.
                self.drain()?;
                return Ok(self.usage.usage());
            }
            let mut sent = false;
            while self.send(now)? {
                sent = true;
            }
            let stalled = self.is_stalled();
            let has_only_to_receive = self.has_only_to_receive(now);
            if has_only_to_receive {
                self.await_several();
            }
            let waits = has_only_to_receive && self.sources.is_one_socket();
            let received = self.receive_ready(now, waits)?;
            let settled = self.settle(now)?;
            if !(sent || received || waits || settled) {
                self.idle(now);
                self.usage.add_idle(sys::monotonic().saturating_sub(now));
            }
            if stalled {
                self.usage.add_stalled(sys::monotonic().saturating_sub(now));
            }
        }
    }

    /// Returns whether nothing is left to do.
    fn is_over(&mut self, now: Duration) -> bool {
        let stopper = self.shared.stopper;
        if stopper.is_stopped() {
            self.ended_at.get_or_insert(now.min(self.end()));
            self.pending.clear();
        }
        if self.usage.update(now, self.epoch, self.ended_at) {
            self.sources.forget_drops();
        }
        let is_settled = self.pending.is_empty() && self.tracker.is_settled();
        self.ended_at.is_some() && (is_settled || stopper.is_aborted())
    }

    /// Receives, unless there was nothing a moment ago and the thread is to sleep before the next
    /// try: polling all sources takes long.
    fn receive_ready(&mut self, now: Duration, waits: bool) -> Result<bool, LoadError> {
        if now < self.next_receive {
            return Ok(false);
        }
        let received = self.receive(waits)?;
        if let (false, WaitStrategy::Sleep(time)) = (received, self.shared.plan.wait_strategy) {
            self.next_receive = now.saturating_add(time);
        }
        Ok(received)
    }

    /// Reports each request that is lost by now, and returns whether there was reason to look for
    /// any. What arrived before this moment is received before anything is lost at it, even if the
    /// thread was held up since.
    fn settle(&mut self, now: Duration) -> Result<bool, LoadError> {
        if now < self.next_settle || self.tracker.poll_timeout().is_none_or(|timeout| timeout > now)
        {
            return Ok(false);
        }
        self.next_settle = now + SETTLE.min(self.shared.plan.timeout);
        self.drain()?;
        let mut events = EventSlices::new(self.shared.observe, self.thread, 1);
        while let Some(lost) = self.tracker.poll_lost(now) {
            if let Some(kind) = lost {
                events.push(now.saturating_sub(self.epoch), kind);
            }
        }
        Ok(true)
    }

    /// Returns whether the thread has nothing to do but wait for a reply, for as long as a receive
    /// call waits: a closed loop is full, and nothing will be lost by then.
    fn has_only_to_receive(&self, now: Duration) -> bool {
        self.shared.plan.wait_strategy == WaitStrategy::Wait
            && self.schedule.due().is_none()
            && self.pending.is_empty()
            && self.tracker.in_flight() > 0
            && (self.ended_at.is_some() || self.room().is_none())
            && self.next_wakeup(now) >= now + RECV_TIMEOUT
    }

    /// Sleeps until several replies have probably arrived, if that is soon.
    fn await_several(&mut self) {
        let now = sys::monotonic();
        if let Some(wake) = self.pace.next_several(now).filter(|_| self.ended_at.is_none()) {
            sys::sleep_until(wake);
            self.usage.add_idle(sys::monotonic().saturating_sub(now));
        }
    }

    /// Waits until there is something to do, or not at all.
    fn idle(&mut self, now: Duration) {
        let wake = self.next_wakeup(now).min(now + MAX_IDLE);
        let due = self.due().filter(|_| self.ended_at.is_none());
        let wait = match self.shared.plan.wait_strategy {
            WaitStrategy::Spin => Duration::ZERO,
            WaitStrategy::Sleep(time) => {
                return self.latch().sleep(wake.saturating_sub(sys::monotonic()).min(time));
            }
            WaitStrategy::Wait => wait_until(wake, due, sys::monotonic()),
        };
        if wait.is_zero() {
            hint::spin_loop();
        } else if self.sources.wait(wait, self.latch()).is_err() {
            // If the system cannot wait, at least do not spin.
            thread::sleep(wait.min(PAUSE));
        }
    }

    /// Returns what ends every wait: a stop, and after that an abort.
    fn latch(&self) -> &'a Latch {
        let stopper = self.shared.stopper;
        if stopper.is_stopped() { stopper.abort_latch() } else { stopper.stop_latch() }
    }

    /// Returns when there is something to do even if no reply arrives.
    fn next_wakeup(&self, now: Duration) -> Duration {
        let lost = self.tracker.poll_timeout().map(|timeout| timeout.max(self.next_settle));
        let held = (!self.pending.is_empty()).then_some(self.retry_at);
        let due = self.due().filter(|_| self.ended_at.is_none());
        // Waits before the end of the warm-up are separate from those after it.
        let epoch = Some(self.epoch).filter(|epoch| *epoch > now);
        let end = Some(self.end()).filter(|_| self.ended_at.is_none());
        [lost, held, due, epoch, end].into_iter().flatten().min().unwrap_or(Duration::MAX)
    }

    fn report_socket_error(&self, error: SocketError) {
        self.shared.contact.note_error(error, None);
        self.notify(sys::monotonic(), LoadEventKind::SocketError(error));
    }

    /// Reports an event, if it is after the warm-up.
    fn notify(&self, now: Duration, kind: LoadEventKind<'_>) {
        if let Some(at) = now.checked_sub(self.epoch) {
            (self.shared.observe)(&[LoadEvent { thread: self.thread, at, kind }]);
        }
    }
}

/// Returns how long to wait at `now` if there is something to do at `wake`: a little less, if that
/// is to send a request that is due.
fn wait_until(wake: Duration, due: Option<Duration>, now: Duration) -> Duration {
    let spin = if due.is_some_and(|due| due <= wake) { SPIN } else { Duration::ZERO };
    wake.saturating_sub(now).saturating_sub(spin)
}

/// The longest wait of a thread before it checks whether the run is over.
const MAX_IDLE: Duration = Duration::from_millis(100);

/// The pause after the system did not take a message.
const PAUSE: Duration = Duration::from_micros(100);

/// The shortest time between two searches for losses.
const SETTLE: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn several_replies_are_awaited_asleep() {
        let (server, plan) = (([127, 0, 0, 1], 9).into(), LoadPlan::DEFAULT);
        let (stopper, contact) = (Stopper::new().expect("a waker"), Contact::new());
        let shared = Shared {
            server,
            plan: &plan,
            stopper: &stopper,
            contact: &contact,
            observe: &|_: &[LoadEvent<'_>]| (),
        };
        let mut sources = SourceSockets::open(server, &plan, 0..1).expect("a port");
        let mut worker = LoadWorker::new(shared, 7, 0, &mut sources);
        // The last reply is yet to come, so that the test is in time for it.
        let latest = sys::monotonic() + Duration::from_millis(10);
        for (replies, at) in [(1, latest - Duration::from_micros(99)), (9, latest)] {
            worker.pace.note(replies, at);
        }
        let wake = worker.pace.next_several(latest - SPIN).expect("soon");
        worker.await_several();
        assert!(wake > latest && sys::monotonic() >= wake);
    }

    #[test]
    fn last_moments_before_a_request_are_busy_waited() {
        let (due, later) = (Duration::from_millis(1), Duration::from_millis(2));
        let spins = due - SPIN;
        assert_eq!(wait_until(due, Some(due), Duration::ZERO), spins);
        assert_eq!(wait_until(due, Some(due), spins), Duration::ZERO);
        assert_eq!(wait_until(due, Some(due), later), Duration::ZERO);
        // Woken for another reason, it need not be punctual.
        assert_eq!(wait_until(due, Some(later), Duration::ZERO), due);
        assert_eq!(wait_until(due, None, Duration::ZERO), due);
    }
}
