//! Decides the fate of each datagram from its position in the sequence and a seed alone.

use std::ops::Range;
use std::time::Duration;

/// The impairments of a relay.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// For requests, on the path to the server.
    pub(crate) forward: Impairments,
    /// For replies, on the path back.
    pub(crate) reverse: Impairments,
    /// The index of the first request without impairments, for it and its replies.
    pub(crate) unimpaired_from: usize,
}

/// Impairments of one direction, each random and independent of the others.
#[derive(Clone, Debug, Default)]
pub(crate) struct Impairments {
    pub(crate) lost: Share,
    /// Burst losses, with lengths as in Gilbert's model.
    pub(crate) bursts: Bursts,
    /// Requests of this range, counted from 0, are all lost.
    pub(crate) blackout: Range<usize>,
    /// Changes one byte.
    pub(crate) corrupted: Share,
    /// Cuts off some of the last bytes, or all of them.
    pub(crate) truncated: Share,
    /// Passes the datagram twice.
    pub(crate) duplicated: Share,
    /// Passes it after a number of later ones.
    pub(crate) held_back: (Share, usize),
    /// Passes it after this delay.
    pub(crate) delay: Duration,
    /// Passes it after at most this additional delay.
    pub(crate) jitter: Duration,
    /// Passes everything after this delay.
    pub(crate) late: (Share, Duration),
    /// Sends an unsolicited well-formed reply first; for replies only.
    pub(crate) unsolicited: Share,
}

/// A probability, in thousandths.
pub(crate) type Share = u64;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bursts {
    /// The probability that a burst starts with the next datagram.
    pub(crate) begin: Share,
    /// The probability that the burst ends before the next datagram.
    pub(crate) end: Share,
}

/// The fate of one datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fate {
    /// A random number that selects the unsolicited reply sent first, if any.
    pub(crate) unsolicited: Option<u64>,
    pub(crate) damage: Option<Damage>,
    /// One entry for each time that it passes; none if it is lost.
    pub(crate) passes: Vec<Pass>,
}

/// Random numbers: which byte, its new value, how many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    Corrupted(u64, u64),
    Truncated(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pass {
    /// The number of datagrams that overtake it, before any delay.
    pub(crate) behind: usize,
    pub(crate) delay: Duration,
}

impl Fate {
    /// The fate of a datagram without impairments.
    pub(crate) fn unimpaired() -> Self {
        let pass = Pass { behind: 0, delay: Duration::ZERO };
        Self { unsolicited: None, damage: None, passes: vec![pass] }
    }
}

impl Impairments {
    /// Decides the fate of a datagram: the first or a further copy of the `nth` request, or of the
    /// replies to it.
    fn fate(&self, nth: usize, in_burst: bool, random: &mut Random) -> Fate {
        // Draws every number in any case, so that a change to one impairment does not affect the
        // others.
        let lost = random.happens(self.lost);
        let corrupted = random.happens(self.corrupted);
        let truncated = random.happens(self.truncated);
        let duplicated = random.happens(self.duplicated);
        let unsolicited = random.happens(self.unsolicited).then(|| random.next());
        let damage = match (corrupted, truncated) {
            (true, _) => Some(Damage::Corrupted(random.next(), random.next())),
            (_, true) => Some(Damage::Truncated(random.next())),
            _ => None,
        };
        let mut passes = vec![self.pass(random)];
        if duplicated {
            passes.push(self.pass(random));
        }
        if lost || in_burst || self.blackout.contains(&nth) {
            passes.clear();
        }
        Fate { unsolicited, damage, passes }
    }

    fn pass(&self, random: &mut Random) -> Pass {
        let (held_back, late) = (self.held_back, self.late);
        let behind = if random.happens(held_back.0) { held_back.1 } else { 0 };
        let jitter = self.jitter.mul_f64(random.below(1001) as f64 / 1000.0);
        let delay = if random.happens(late.0) { late.1 } else { self.delay + jitter };
        Pass { behind, delay }
    }
}

/// A direction, with its state from request to request.
#[derive(Debug)]
pub(crate) struct Direction {
    impairments: Impairments,
    seed: u64,
    unimpaired_from: usize,
    bursts: Random,
    in_burst: bool,
}

impl Direction {
    pub(crate) fn forward(plan: &Plan) -> Self {
        Self::new(plan, plan.forward.clone(), 0)
    }

    pub(crate) fn reverse(plan: &Plan) -> Self {
        Self::new(plan, plan.reverse.clone(), 1)
    }

    fn new(plan: &Plan, impairments: Impairments, direction: u64) -> Self {
        let seed = Random(plan.seed << 1 | direction).next();
        let (bursts, unimpaired_from) = (Random(seed), plan.unimpaired_from);
        Self { impairments, seed, unimpaired_from, bursts, in_burst: false }
    }

    /// Advances by one request, and returns whether its first datagram in this direction is in a
    /// burst.
    pub(crate) fn next_in_burst(&mut self) -> bool {
        let Bursts { begin, end } = self.impairments.bursts;
        let turns = self.bursts.happens(if self.in_burst { end } else { begin });
        self.in_burst ^= turns;
        self.in_burst
    }

    /// Decides the fate of the `copy`th datagram of the `nth` request in this direction, both
    /// counted from 0.
    ///
    /// The result depends on nothing else, neither on earlier datagrams nor on time.
    pub(crate) fn fate(&self, nth: usize, copy: u64, in_burst: bool) -> Fate {
        if nth >= self.unimpaired_from {
            return Fate::unimpaired();
        }
        let mut random = Random(self.seed ^ Random((nth as u64) << 8 | copy).next());
        self.impairments.fate(nth, in_burst && copy == 0, &mut random)
    }
}

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let bits = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ bits >> 31
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn happens(&mut self, share: Share) -> bool {
        self.below(1000) < share
    }
}
