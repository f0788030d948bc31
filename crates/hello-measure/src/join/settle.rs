//! The verdicts, once the whole capture is known.

use std::collections::BTreeMap;
use std::time::Duration;

use super::capture::CaptureSpan;
use super::probe::{Probe, ProbeOutcome, signed};
use super::summary::{JoinSummary, PlaceOutages};
use super::verdict::{Doubt, JoinVerdict, Place};
use super::{Join, Joined};
use crate::distribution::Distribution;
use crate::outages::{OutageSummary, Outages};
use crate::quantiles::{Quantiles, millis};

/// What the whole capture says about one run.
pub(super) struct Settlement<'a> {
    join: &'a Join,
    capture: &'a CaptureSpan,
    /// Why absence from the capture is no proof.
    doubt: Option<Doubt>,
    /// Answered and late probes of which the capture lacks a packet.
    missing: u64,
    /// Whether the capture has an answered or late probe of each flow.
    seen_flows: Vec<bool>,
    typical: Option<Typical>,
    /// The least movement of the two clocks against each other, in nanoseconds.
    clock_shift: i64,
}

impl<'a> Settlement<'a> {
    pub(super) fn new(join: &'a Join, capture: &'a CaptureSpan) -> Self {
        let replied = || join.probes.values().filter(|probe| probe.is_replied());
        let is_missing = |probe: &&Probe| !probe.request.is_seen() || !probe.reply.is_seen();
        let missing = replied().filter(is_missing).count();
        let mut seen_flows = vec![false; join.plan.local.len()];
        for probe in replied().filter(|probe| !is_missing(probe)) {
            if let Some(is_seen) = seen_flows.get_mut(probe.flow) {
                *is_seen = true;
            }
        }
        let is_whole = missing == 0 && join.cut == 0 && capture.is_whole();
        let is_at_sender = join.leaving > 0 && join.arriving == 0;
        let doubt = match (is_whole, is_at_sender) {
            (_, true) => Some(Doubt::AtSender),
            (false, false) => Some(Doubt::PacketsMissing),
            (true, false) => None,
        };
        Self {
            join,
            capture,
            doubt,
            missing: missing as u64,
            seen_flows,
            typical: Typical::of(join.probes.values()),
            clock_shift: clock_shift(join.probes.values()),
        }
    }

    pub(super) fn joined(&self) -> Joined {
        let probes = &self.join.probes;
        let mut summary = JoinSummary {
            probes: probes.len() as u64,
            requests_seen: count(probes, |probe| probe.request.is_seen()),
            replies_seen: count(probes, |probe| probe.reply.is_seen()),
            missing: self.missing,
            cut: self.join.cut,
            complete: self.doubt.is_none(),
            at_server: self.join.is_at_server(),
            clock_shift_ms: self.clock_shift as f64 / 1e6,
            ..JoinSummary::default()
        };
        let covered = self.covered();
        let mut verdicts = Vec::new();
        for ((seq, probe), is_covered) in probes.iter().zip(covered) {
            let (place, places) = match probe.outcome {
                ProbeOutcome::Answered { .. } => {
                    summary.answered += 1;
                    continue;
                }
                ProbeOutcome::Lost => (self.place_of_loss(probe, is_covered), &mut summary.lost),
                ProbeOutcome::Late { .. } => (self.place_of_delay(probe), &mut summary.late),
            };
            places.add(place);
            if let Place::Unknown(doubt) = place {
                *summary.doubts.entry(doubt.label()).or_default() += 1;
            }
            verdicts.push(JoinVerdict {
                seq: *seq,
                flow: probe.flow,
                sent: sent(probe),
                is_late: matches!(probe.outcome, ProbeOutcome::Late { .. }),
                place,
            });
        }
        summary.outages = self.outages(&verdicts);
        self.add_delays(&mut summary);
        Joined { summary, verdicts }
    }

    /// Returns the outages of each place.
    fn outages(&self, verdicts: &[JoinVerdict]) -> PlaceOutages {
        let of = |place: Place| -> OutageSummary {
            let mut outages = Outages::new(self.join.plan.local.len());
            let mut lost = verdicts.iter().filter(|verdict| !verdict.is_late).peekable();
            for (seq, probe) in &self.join.probes {
                let verdict = lost.next_if(|verdict| verdict.seq == *seq);
                outages.sent(probe.flow, *seq, sent(probe));
                match verdict.is_some_and(|verdict| verdict.place == place) {
                    true => outages.lost(*seq),
                    false => outages.answered(*seq),
                }
            }
            outages.summary()
        };
        PlaceOutages { there: of(Place::There), server: of(Place::Server), back: of(Place::Back) }
    }

    /// Returns where a probe was lost.
    fn place_of_loss(&self, probe: &Probe, is_covered: bool) -> Place {
        if probe.is_ambiguous {
            return Place::Unknown(Doubt::Ambiguous);
        }
        if probe.reply.is_seen() {
            return match self.join.lacks_lines {
                true => Place::Unknown(Doubt::LinesSuppressed),
                false => Place::Back,
            };
        }
        let is_seen = self.seen_flows.get(probe.flow).is_some_and(|is_seen| *is_seen);
        match self.doubt {
            Some(doubt) => Place::Unknown(doubt),
            None if !is_covered => Place::Unknown(Doubt::OutsideCapture),
            None if !is_seen && !self.capture.has_all_interfaces() => {
                Place::Unknown(Doubt::SilentFlow)
            }
            None if !probe.request.is_seen() => Place::There,
            None if probe.request.is_fragment() => Place::Unknown(Doubt::Fragmented),
            None => self.server(),
        }
    }

    /// Returns the place behind the capture: the server, unless there are routers in between.
    fn server(&self) -> Place {
        match self.join.is_at_server() {
            Some(false) => Place::Unknown(Doubt::NotAtServer),
            _ => Place::Server,
        }
    }

    /// Returns the part of the path that caused more than half of a late probe's excess over the
    /// typical round-trip time.
    fn place_of_delay(&self, probe: &Probe) -> Place {
        if probe.is_ambiguous {
            return Place::Unknown(Doubt::Ambiguous);
        }
        if self.doubt == Some(Doubt::AtSender) {
            return Place::Unknown(Doubt::AtSender);
        }
        let (Some(parts), Some(rtt)) = (Parts::of(probe), probe.rtt()) else {
            return Place::Unknown(Doubt::NoDelay);
        };
        let Some(typical) = &self.typical else {
            return Place::Unknown(Doubt::NoTypicalDelay);
        };
        let excess = rtt.saturating_sub(typical.rtt);
        let has_most = |part: i64, typical: i64| part.saturating_sub(typical) > excess / 2;
        let there = has_most(parts.there, typical.parts.there);
        let server = has_most(parts.server, typical.parts.server);
        let back = has_most(parts.back, typical.parts.back);
        let is_steady = self.clock_shift <= excess / 10;
        match (there, server, back) {
            _ if excess <= 0 => Place::Unknown(Doubt::NoMainPart),
            (true, false, false) if is_steady => Place::There,
            (false, true, false) => self.server(),
            (false, false, true) if is_steady => Place::Back,
            _ => Place::Unknown(Doubt::NoMainPart),
        }
    }

    /// Yields for each probe whether the capture covers it: from the earliest time at which its
    /// request can have passed, until the timeout after the latest one. The nearest probe that was
    /// answered and captured gives the distance of the clocks: a request cannot arrive before it was
    /// sent, nor a reply leave after it was received.
    fn covered(&self) -> Vec<bool> {
        let bounds = |probe: &Probe| {
            probe.is_replied().then_some(())?;
            Some((probe.back()?.saturating_neg(), probe.there()?))
        };
        let probes = || self.join.probes.values();
        let mut nearest = probes().find_map(bounds);
        let timeout = signed(self.join.plan.timeout);
        let is_covered = |probe: &Probe| {
            nearest = bounds(probe).or(nearest);
            nearest.is_some_and(|(least, most)| {
                let until = probe.sent.saturating_add(most).saturating_add(timeout);
                self.capture.covers(probe.sent.saturating_add(least), until)
            })
        };
        probes().map(is_covered).collect()
    }

    /// Adds the delays and their variation.
    fn add_delays(&self, summary: &mut JoinSummary) {
        if self.doubt == Some(Doubt::AtSender) {
            return;
        }
        let probes = || self.join.probes.values();
        let there = || probes().filter_map(Probe::there);
        let back = || probes().filter_map(Probe::back);
        summary.there_pdv_ms = above(there(), there().min());
        summary.back_pdv_ms = above(back(), back().min());
        summary.server_ms = above(probes().filter_map(Probe::server), Some(0));
        let Some(epoch) = self.join.epoch.map(signed) else { return };
        let least = [
            there().min().map(|least| least.saturating_sub(epoch)),
            back().min().map(|least| least.saturating_add(epoch)),
        ];
        match least.into_iter().flatten().min() {
            Some(least @ ..NEGATIVE) => {
                summary.negative_delay_ms =
                    Some(millis(Duration::from_nanos(least.unsigned_abs())));
            }
            _ => {
                summary.there_delay_ms = above(there(), Some(epoch));
                summary.back_delay_ms = above(back(), Some(epoch.saturating_neg()));
            }
        }
    }
}

/// The three parts of a round trip, in nanoseconds. The distance of the clocks is in the first and the
/// last.
#[derive(Clone, Copy, Debug)]
struct Parts {
    there: i64,
    server: i64,
    back: i64,
}

impl Parts {
    fn of(probe: &Probe) -> Option<Self> {
        Some(Self { there: probe.there()?, server: probe.server()?, back: probe.back()? })
    }
}

/// The medians of the answered probes.
struct Typical {
    rtt: i64,
    parts: Parts,
}

impl Typical {
    fn of<'a>(probes: impl Iterator<Item = &'a Probe>) -> Option<Self> {
        let answered =
            probes.filter(|probe| matches!(probe.outcome, ProbeOutcome::Answered { .. }));
        let known = answered.filter_map(|probe| Some((probe.rtt()?, Parts::of(probe)?)));
        let known = Vec::from_iter(known);
        let of = |part: fn(&(i64, Parts)) -> i64| median(known.iter().map(part).collect());
        Some(Self {
            rtt: of(|(rtt, _)| *rtt)?,
            parts: Parts {
                there: of(|(_, parts)| parts.there)?,
                server: of(|(_, parts)| parts.server)?,
                back: of(|(_, parts)| parts.back)?,
            },
        })
    }
}

/// Returns the lower median; `None` for fewer than [`MIN_TYPICAL`] numbers.
fn median(mut numbers: Vec<i64>) -> Option<i64> {
    numbers.sort_unstable();
    numbers.get((numbers.len().max(1) - 1) / 2).copied().filter(|_| numbers.len() >= MIN_TYPICAL)
}

/// Returns how far the clocks moved against each other, at least. At any time, the distance is at most
/// the time there and at least the time back less than nothing. If no distance is possible for all
/// probes, it changed.
fn clock_shift<'a>(probes: impl Iterator<Item = &'a Probe> + Clone) -> i64 {
    let replied = probes.filter(|probe| probe.is_replied());
    let most = replied.clone().filter_map(Probe::there).min();
    let least = replied.filter_map(Probe::back).min();
    let (Some(most), Some(least)) = (most, least) else { return 0 };
    least.saturating_add(most).saturating_neg().max(0)
}

/// Summarises what numbers are above a bound, which none is below.
fn above(numbers: impl Iterator<Item = i64>, bound: Option<i64>) -> Option<Quantiles> {
    let (bound, mut times) = (bound?, Distribution::new(DIGITS));
    for number in numbers {
        let above = number.saturating_sub(bound).max(0);
        times.record(Duration::from_nanos(above.unsigned_abs()));
    }
    Quantiles::from_distribution(&times)
}

/// Returns when a probe was sent, since the start of the run.
fn sent(probe: &Probe) -> Duration {
    Duration::from_nanos(probe.sent.unsigned_abs())
}

fn count(probes: &BTreeMap<u32, Probe>, is_counted: impl Fn(&Probe) -> bool) -> u64 {
    probes.values().filter(|probe| is_counted(probe)).count() as u64
}

/// The fewest answered probes whose median is typical.
const MIN_TYPICAL: usize = 2;

/// The first one-way delay, in nanoseconds, that is too far below zero for a run whose start is known
/// to a fraction of a millisecond.
const NEGATIVE: i64 = -1_000_000;

/// The digits of percentiles.
const DIGITS: u8 = 3;
