//! What is done to which datagram: a matter of its place in the sequence and of a seed alone.

use std::ops::Range;
use std::time::Duration;

/// What a relay does to what passes it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// To requests, on their way to the server.
    pub(crate) there: Impairments,
    /// To replies, on their way back.
    pub(crate) back: Impairments,
    /// From which request on, counted from 0, nothing is done any more to it and its replies.
    pub(crate) calm_from: usize,
}

/// What may happen to datagrams in one direction, each at random and apart from the others.
#[derive(Clone, Debug, Default)]
pub(crate) struct Impairments {
    pub(crate) lost: Share,
    /// Losses in bursts, of the lengths that Gilbert's model has.
    pub(crate) bursts: Bursts,
    /// Of these, counted by their requests from 0, none passes.
    pub(crate) blackout: Range<usize>,
    /// One byte becomes another.
    pub(crate) corrupted: Share,
    /// Some of the last bytes are missing, or all.
    pub(crate) truncated: Share,
    /// Passes twice.
    pub(crate) duplicated: Share,
    /// Passes after so many that come behind it.
    pub(crate) held_back: (Share, usize),
    /// Passes after so long.
    pub(crate) delay: Duration,
    /// Passes after at most so much longer.
    pub(crate) jitter: Duration,
    /// Passes after so long, of all things.
    pub(crate) late: (Share, Duration),
    /// A stranger's well-formed reply comes first; of replies alone.
    pub(crate) unsolicited: Share,
}

/// A probability, in thousandths.
pub(crate) type Share = u64;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bursts {
    /// How likely one begins with the next datagram.
    pub(crate) begin: Share,
    /// How likely the next datagram is behind its end.
    pub(crate) end: Share,
}

/// What is done to one datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fate {
    /// Which stranger's reply comes first, by a number at random.
    pub(crate) unsolicited: Option<u64>,
    pub(crate) damage: Option<Damage>,
    /// Each time that it passes; never, if it is lost.
    pub(crate) passes: Vec<Pass>,
}

/// Numbers at random: which byte, which other value, how many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    Corrupted(u64, u64),
    Truncated(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pass {
    /// How many datagrams overtake it before anything else.
    pub(crate) behind: usize,
    pub(crate) delay: Duration,
}

impl Fate {
    /// That of a datagram to which nothing is done.
    pub(crate) fn calm() -> Self {
        let pass = Pass { behind: 0, delay: Duration::ZERO };
        Self { unsolicited: None, damage: None, passes: vec![pass] }
    }
}

impl Impairments {
    /// Decides about a datagram: the first, second or further one of the `nth` request, or of the
    /// replies to it.
    fn fate(&self, nth: usize, in_burst: bool, random: &mut Random) -> Fate {
        // Everything is drawn whatever comes of it, so that one change of a plan makes no other.
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

/// A direction, with what goes on from request to request.
#[derive(Debug)]
pub(crate) struct Lane {
    impairments: Impairments,
    seed: u64,
    calm_from: usize,
    bursts: Random,
    in_burst: bool,
}

impl Lane {
    pub(crate) fn there(plan: &Plan) -> Self {
        Self::new(plan, plan.there.clone(), 0)
    }

    pub(crate) fn back(plan: &Plan) -> Self {
        Self::new(plan, plan.back.clone(), 1)
    }

    fn new(plan: &Plan, impairments: Impairments, direction: u64) -> Self {
        let seed = Random(plan.seed << 1 | direction).next();
        let (bursts, calm_from) = (Random(seed), plan.calm_from);
        Self { impairments, seed, calm_from, bursts, in_burst: false }
    }

    /// Goes on by one request, and returns whether its first datagram here falls into a burst.
    pub(crate) fn next_in_burst(&mut self) -> bool {
        let Bursts { begin, end } = self.impairments.bursts;
        let turns = self.bursts.happens(if self.in_burst { end } else { begin });
        self.in_burst ^= turns;
        self.in_burst
    }

    /// Decides about the `copy`th datagram here of the `nth` request, both counted from 0.
    ///
    /// It depends on nothing else: not on what came between, and not on when.
    pub(crate) fn fate(&self, nth: usize, copy: u64, in_burst: bool) -> Fate {
        if nth >= self.calm_from {
            return Fate::calm();
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
