mod summary;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::time::Duration;

pub use self::summary::{Outage, OutageSummary};
use super::nanos::nanos_of;

/// The outages of a run: how its losses cluster.
///
/// A run of consecutive probes of a flow, in the order in which they were due, that were lost or not
/// sent is a loss period of RFC 3357, here of the round trip. A loss period of two or more probes is
/// an outage, and a single loss is scattered. A loss period lasts from when its first probe was sent,
/// or due, to when the next answered probe of the flow was sent. While none was answered, it lasts to
/// the last of its own probes.
///
/// Fates may arrive in any order. A probe in flight neither belongs to a loss period nor ends one.
/// Only the probes from the oldest one in flight on are kept, so the memory does not depend on the
/// length of the run.
///
/// ```
/// use std::time::Duration;
/// use hello_measure::Outages;
///
/// let mut outages = Outages::new(1);
/// for seq in 1..=6 {
///     outages.sent(0, seq, Duration::from_secs(seq.into()));
/// }
/// [1, 5, 6].iter().for_each(|seq| outages.answered(*seq));
/// assert_eq!(outages.summary().count, 0);
/// [2, 3, 4].iter().for_each(|seq| outages.lost(*seq));
/// let summary = outages.summary();
/// assert_eq!((summary.count, summary.probes, summary.scattered), (1, 3, 0));
/// let longest = summary.longest[0];
/// assert_eq!((longest.first_seq, longest.start_s, longest.duration_s), (Some(2), 2.0, 3.0));
/// ```
#[derive(Clone, Debug)]
pub struct Outages {
    /// The probes before the oldest one in flight.
    settled: Settled,
    /// The probes from the oldest one in flight on, with consecutive sequence numbers.
    probes: VecDeque<Probe>,
    /// The sequence number of the first of them.
    first: u32,
    /// Those that were due between them, but not sent.
    unsent: VecDeque<Unsent>,
}

/// Settled probes in the order in which they were due.
#[derive(Clone, Debug)]
struct Settled {
    /// The loss period of each flow that no answer has ended.
    flows: Vec<Option<Period>>,
    /// The one of all flows together.
    target: Option<Period>,
    ended: Ended,
}

/// A probe that was sent.
#[derive(Clone, Copy, Debug)]
struct Probe {
    /// When, in nanoseconds.
    sent: u64,
    flow: u32,
    fate: Fate,
}

/// Millions of probes in flight take only megabytes.
const _: () = assert!(size_of::<Probe>() == 16);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    InFlight,
    Answered,
    Lost,
}

/// Probes of a flow that were due one after the other, but not sent.
#[derive(Clone, Copy, Debug)]
struct Unsent {
    /// The sequence number of the next probe that was sent.
    before: u32,
    flow: usize,
    /// When the first and the last of them were due.
    due: (Duration, Duration),
    count: u64,
}

/// A loss period.
#[derive(Clone, Copy, Debug)]
struct Period {
    /// `None` for one of all flows together.
    flow: Option<usize>,
    /// The first probe that was sent.
    first_seq: Option<u32>,
    start: Duration,
    /// When the next answered probe was sent, or the last of this period was sent or due.
    end: Duration,
    probes: u64,
    not_sent: u64,
    is_ongoing: bool,
}

/// The loss periods that ended.
#[derive(Clone, Debug, Default)]
struct Ended {
    outages: u64,
    probes: u64,
    scattered: u64,
    max_probes: u64,
    /// The longest outages, in descending order.
    longest: Vec<Period>,
    /// The longest outage of all flows together.
    without_answer: Option<Period>,
}

impl Outages {
    /// The largest number of outages that are [listed](OutageSummary::longest).
    pub const LISTED: usize = 16;

    /// Creates a run with this number of flows, but without a probe.
    pub fn new(flows: usize) -> Self {
        Self {
            settled: Settled { flows: vec![None; flows], target: None, ended: Ended::default() },
            probes: VecDeque::new(),
            first: 0,
            unsent: VecDeque::new(),
        }
    }

    /// Records that a probe of a flow was sent. Flows are numbered from 0; unknown ones are ignored.
    ///
    /// Sequence numbers are consecutive over all flows, and wrap. While a probe is in flight,
    /// another number than the next one is ignored.
    pub fn sent(&mut self, flow: usize, seq: u32, at: Duration) {
        if self.probes.is_empty() {
            self.first = seq;
        }
        if seq == self.next_seq() {
            let flow = u32::try_from(flow).unwrap_or(u32::MAX);
            self.probes.push_back(Probe { sent: nanos_of(at), flow, fate: Fate::InFlight });
        }
    }

    /// Records that a probe of a flow was due, but not sent.
    pub fn not_sent(&mut self, flow: usize, due: Duration) {
        let before = self.next_seq();
        match self.unsent.back_mut() {
            Some(last) if (last.before, last.flow) == (before, flow) => {
                last.due.1 = due;
                last.count += 1;
            }
            _ => self.unsent.push_back(Unsent { before, flow, due: (due, due), count: 1 }),
        }
        self.advance();
    }

    /// Records the reply to a probe. One to a probe that is not in flight is ignored, so a late reply
    /// changes no loss.
    pub fn answered(&mut self, seq: u32) {
        self.settle(seq, Fate::Answered);
    }

    /// Records the loss of a probe in flight.
    pub fn lost(&mut self, seq: u32) {
        self.settle(seq, Fate::Lost);
    }

    /// Summarises the run so far. An outage that no answer has ended counts, and probes in flight do
    /// not.
    pub fn summary(&self) -> OutageSummary {
        let mut settled = self.settled.clone();
        let (mut seq, mut unsent) = (self.first, self.unsent.iter().peekable());
        for probe in &self.probes {
            while let Some(unsent) = unsent.next_if(|unsent| unsent.before == seq) {
                settled.add_unsent(unsent);
            }
            settled.add(seq, probe);
            seq = seq.wrapping_add(1);
        }
        unsent.for_each(|unsent| settled.add_unsent(unsent));
        settled.into_summary()
    }

    fn next_seq(&self) -> u32 {
        // A queue is much shorter than the sequence numbers wrap.
        self.first.wrapping_add(u32::try_from(self.probes.len()).unwrap_or(u32::MAX))
    }

    fn settle(&mut self, seq: u32, fate: Fate) {
        let index = usize::try_from(seq.wrapping_sub(self.first)).unwrap_or(usize::MAX);
        if let Some(probe) = self.probes.get_mut(index)
            && probe.fate == Fate::InFlight
        {
            probe.fate = fate;
            self.advance();
        }
    }

    /// Counts the probes before the oldest one in flight. Over a whole run, this takes one step per
    /// probe.
    fn advance(&mut self) {
        loop {
            while let Some(unsent) = self.unsent.front()
                && unsent.before == self.first
            {
                self.settled.add_unsent(unsent);
                self.unsent.pop_front();
            }
            match self.probes.front() {
                Some(probe) if probe.fate != Fate::InFlight => self.settled.add(self.first, probe),
                _ => return,
            }
            self.probes.pop_front();
            self.first = self.first.wrapping_add(1);
        }
    }
}

impl Settled {
    /// Adds a probe that was sent, unless it is in flight.
    fn add(&mut self, seq: u32, probe: &Probe) {
        let at = Duration::from_nanos(probe.sent);
        let flow = usize::try_from(probe.flow).unwrap_or(usize::MAX);
        match probe.fate {
            Fate::InFlight => {}
            Fate::Answered => self.answer(flow, at),
            Fate::Lost => self.miss(flow, Period::lost(seq, at)),
        }
    }

    fn add_unsent(&mut self, unsent: &Unsent) {
        self.miss(unsent.flow, Period::not_sent(unsent.due, unsent.count));
    }

    /// Adds probes of a flow that were lost or not sent.
    fn miss(&mut self, flow: usize, missed: Period) {
        let Some(open) = self.flows.get_mut(flow) else { return };
        Period::extend(open, Period { flow: Some(flow), ..missed });
        Period::extend(&mut self.target, missed);
    }

    /// Adds an answered probe of a flow that was sent at this time.
    fn answer(&mut self, flow: usize, at: Duration) {
        let Some(open) = self.flows.get_mut(flow) else { return };
        let end = |period: Period| Period { end: at, is_ongoing: false, ..period };
        if let Some(period) = open.take() {
            self.ended.add(end(period));
        }
        self.ended.add_of_target(self.target.take().map(end));
    }

    fn into_summary(self) -> OutageSummary {
        let mut all = self.ended;
        self.flows.into_iter().flatten().for_each(|period| all.add(period));
        all.add_of_target(self.target);
        let listed = u64::try_from(all.longest.len()).unwrap_or(u64::MAX);
        OutageSummary {
            count: all.outages,
            probes: all.probes,
            scattered: all.scattered,
            max_probes: all.max_probes,
            without_answer: all.without_answer.map(Outage::from),
            longest: all.longest.into_iter().map(Outage::from).collect(),
            unlisted: all.outages.saturating_sub(listed),
        }
    }
}

impl Period {
    fn lost(seq: u32, at: Duration) -> Self {
        Self {
            flow: None,
            first_seq: Some(seq),
            start: at,
            end: at,
            probes: 1,
            not_sent: 0,
            is_ongoing: true,
        }
    }

    fn not_sent((start, end): (Duration, Duration), count: u64) -> Self {
        let (flow, first_seq, is_ongoing) = (None, None, true);
        Self { flow, first_seq, start, end, probes: count, not_sent: count, is_ongoing }
    }

    /// Adds the next probes to a period, or begins one.
    fn extend(open: &mut Option<Self>, next: Self) {
        let Some(period) = open else {
            *open = Some(next);
            return;
        };
        period.first_seq = period.first_seq.or(next.first_seq);
        // A probe that was sent late may have been due after the next one.
        period.end = period.end.max(next.end);
        period.probes += next.probes;
        period.not_sent += next.not_sent;
    }

    /// Orders periods by their duration, and equal ones by when they began, the last one first.
    fn rank(&self) -> (Duration, Reverse<Duration>) {
        (self.end.saturating_sub(self.start), Reverse(self.start))
    }
}

impl Ended {
    /// Adds a period of a flow.
    fn add(&mut self, period: Period) {
        if period.probes < MIN_PROBES {
            self.scattered += period.probes;
            return;
        }
        self.outages += 1;
        self.probes += period.probes;
        self.max_probes = self.max_probes.max(period.probes);
        let place = self.longest.partition_point(|other| other.rank() >= period.rank());
        if place < Outages::LISTED {
            self.longest.truncate(Outages::LISTED - 1);
            self.longest.insert(place, period);
        }
    }

    /// Adds a period of all flows together, if there is one.
    fn add_of_target(&mut self, period: Option<Period>) {
        let outage = period.filter(|period| period.probes >= MIN_PROBES);
        let both = self.without_answer.into_iter().chain(outage);
        self.without_answer = both.max_by_key(Period::rank);
    }
}

impl From<Period> for Outage {
    fn from(period: Period) -> Self {
        Self {
            flow: period.flow,
            first_seq: period.first_seq,
            start_s: period.start.as_secs_f64(),
            duration_s: period.end.saturating_sub(period.start).as_secs_f64(),
            probes: period.probes,
            not_sent: period.not_sent,
            ongoing: period.is_ongoing,
        }
    }
}

/// The fewest consecutive losses that are an outage.
const MIN_PROBES: u64 = 2;
