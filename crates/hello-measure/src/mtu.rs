mod losses;
pub(crate) mod outcome;

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use hello_proto::{MAX_NAME_LEN, Token};

use self::losses::Losses;
use self::outcome::{MtuLimit, MtuOutcome, ReportedMtu};
use super::cause::{Cause, CauseKind};

/// Searches for the longest packet that a path takes in one piece, probe by probe.
///
/// This is path MTU discovery in the packetization layer (RFC 4821, RFC 8899): a size passes if a reply
/// to it arrives, whatever ICMP says. Sizes are tried by halving. What a router reports, or the own
/// link's MTU, is tried at once, and so is the next size above it, so a correct report ends the search
/// and a wrong one is refuted by a reply. If so, the size that it rejected is tried again before the
/// search ends at it. A size fails in silence only after several tries, and the
/// smallest one that failed in silence is tried as often again at the end. So a lost probe is not
/// taken for a limit. Once a size passes of which a probe was lost, silent sizes are tried more often.
///
/// The search has no socket and no clock. The caller sends the probes, with the don't-fragment bit
/// set and in one flow, and hands in what becomes of each:
///
/// ```
/// use hello_measure::{Cause, CauseKind, MtuEvidence, MtuLimit, MtuPlan, MtuSearch};
///
/// let router = Some([10, 80, 2, 2].into());
/// let mut search = MtuSearch::new(MtuPlan { link_mtu: Some(1500), ..MtuPlan::ipv4() });
/// let mut sizes = Vec::new();
/// while let Some(size) = search.next_size() {
///     sizes.push(size);
///     let too_big = Cause { kind: CauseKind::TooBig { mtu: Some(1400) }, reporter: router };
///     let evidence = if size > 1400 { MtuEvidence::Reported(too_big) } else { MtuEvidence::Answered };
///     search.handle(size, evidence);
/// }
/// assert_eq!(sizes, [44, 1500, 1400, 1401]);
/// assert_eq!(search.outcome().passed, Some(1400));
/// assert_eq!(search.outcome().limit, MtuLimit::Router { reporter: router });
/// ```
///
/// Sizes are those of whole IP packets, in bytes, as an MTU is.
#[derive(Clone, Debug)]
pub struct MtuSearch {
    plan: MtuPlan,
    /// The longest packet that is known to have arrived.
    passed: Option<u32>,
    /// The longest packet whose reply held all of its name.
    answered: Option<u32>,
    /// The longest name in the replies that hold only the start of one, in bytes.
    cut_to: Option<u32>,
    /// The sizes that did not pass, all above `passed`.
    failed: BTreeMap<u32, Failure>,
    /// The last MTU that a router reported and no reply has refuted.
    reported: Option<ReportedMtu>,
    tries: Tries,
    /// The size that failed a second time, after it failed in silence or by a wrong report.
    confirmed: Option<u32>,
    losses: Losses,
}

/// Why a size did not pass.
#[derive(Clone, Copy, Debug)]
struct Failure {
    limit: MtuLimit,
    /// The MTU in the report of a router.
    mtu: Option<u32>,
}

impl Failure {
    /// Returns whether another try may pass: there was no report, or a longer packet than it allows passed.
    fn is_doubtful(self, passed: u32) -> bool {
        matches!(self.limit, MtuLimit::NoReply { .. }) || self.mtu.is_some_and(|mtu| mtu < passed)
    }
}

/// Tries of one size that were not answered.
#[derive(Clone, Copy, Debug)]
struct Tries {
    size: u32,
    count: u32,
    cause: Cause,
}

impl MtuSearch {
    /// Creates a search. It tries the smallest size only, if that exceeds the largest. Sizes end at
    /// `u32::MAX - 1`.
    pub fn new(plan: MtuPlan) -> Self {
        let min = plan.min.min(LONGEST_SIZE);
        let plan = MtuPlan { min, max: plan.max.clamp(min, LONGEST_SIZE), ..plan };
        let tries = Tries { size: plan.min, count: 0, cause: Cause::SILENT };
        Self {
            plan,
            passed: None,
            answered: None,
            cut_to: None,
            failed: BTreeMap::new(),
            reported: None,
            tries,
            confirmed: None,
            losses: Losses::default(),
        }
    }

    /// Returns the size of the next probe; `None` once the search is over.
    ///
    /// It stays the same until enough of its tries were handled.
    pub fn next_size(&self) -> Option<u32> {
        let Some(passed) = self.passed else {
            return (!self.failed.contains_key(&self.plan.min)).then_some(self.plan.min);
        };
        let (bound, failure) = self.bound();
        if bound <= passed + 1 {
            // A router that limits how often it reports has reported this limit before.
            let is_reported = self.reported.is_some_and(|reported| reported.mtu == passed);
            let is_certain = !failure.is_doubtful(passed) || is_reported;
            return (!is_certain && self.confirmed != Some(bound)).then_some(bound);
        }
        let hints = [self.reported.map(|reported| reported.mtu), self.plan.link_mtu];
        let mut hints = hints.into_iter().flatten().filter(|hint| (passed..bound).contains(hint));
        match hints.next() {
            Some(hint) => Some(hint.max(passed + 1)),
            None if self.failed.is_empty() => Some(self.plan.max),
            None => Some(passed + (bound - passed) / 2),
        }
    }

    /// Returns how often the next size is tried without a reply: as often as the plan says, or more on a
    /// path that loses packets of sizes that pass.
    pub fn tries(&self) -> u32 {
        self.losses.tries(self.plan.tries.get())
    }

    /// Records what became of a probe of this size. Evidence about any earlier probe is welcome, such
    /// as a late reply. Sizes outside the plan are ignored.
    pub fn handle(&mut self, size: u32, evidence: MtuEvidence) {
        if !(self.plan.min..=self.plan.max).contains(&size) {
            return;
        }
        match evidence {
            MtuEvidence::Answered => {
                self.answered = self.answered.max(Some(size));
                self.pass(size);
            }
            MtuEvidence::Cut { name_len } => {
                self.cut_to = self.cut_to.max(Some(name_len));
                self.pass(size);
            }
            MtuEvidence::TooLongForLink => self.fail(size, MtuLimit::Link, None),
            MtuEvidence::Reported(Cause { kind: CauseKind::TooBig { mtu }, reporter }) => {
                // Some routers report no MTU, and a report of one that the probe fits is wrong.
                let range = self.passed.unwrap_or(self.plan.min)..size;
                if let Some(mtu) = mtu.filter(|mtu| range.contains(mtu)) {
                    self.reported = Some(ReportedMtu { mtu, reporter });
                }
                if self.failed.contains_key(&size) && self.next_size() == Some(size) {
                    self.confirmed = Some(size);
                }
                self.fail(size, MtuLimit::Router { reporter }, mtu);
            }
            MtuEvidence::Reported(cause) => self.unanswered(size, cause),
            MtuEvidence::Silent => self.unanswered(size, Cause::SILENT),
        }
    }

    /// Returns the result so far, even if the search is not over.
    pub fn outcome(&self) -> MtuOutcome {
        let limit = match (self.bound().1.limit, self.reported) {
            _ if self.next_size().is_some() => MtuLimit::Open,
            (MtuLimit::NoReply { .. }, Some(ReportedMtu { mtu, reporter }))
                if self.passed == Some(mtu) =>
            {
                MtuLimit::Router { reporter }
            }
            (limit, _) => limit,
        };
        let Self { passed, answered, cut_to, reported, .. } = *self;
        let (passing_probes, passing_lost) = (self.losses.probes(), self.losses.lost());
        MtuOutcome { passed, answered, cut_to, limit, reported, passing_probes, passing_lost }
    }

    /// Returns the smallest size that did not pass, and why; the size above the plan's, if all did.
    fn bound(&self) -> (u32, Failure) {
        let smallest = self.failed.first_key_value().map(|(size, failure)| (*size, *failure));
        smallest.unwrap_or((self.plan.max + 1, Failure { limit: MtuLimit::Max, mtu: None }))
    }

    fn pass(&mut self, size: u32) {
        let passed = self.passed.map_or(size, |passed| passed.max(size));
        self.passed = Some(passed);
        self.losses.replied(passed);
        self.failed.retain(|failed, _| *failed > passed);
        self.reported = self.reported.filter(|reported| reported.mtu >= passed);
    }

    /// Notes that the system or a router rejected a size. A reply is better evidence.
    fn fail(&mut self, size: u32, limit: MtuLimit, mtu: Option<u32>) {
        if self.passed.is_none_or(|passed| passed < size) {
            self.failed.insert(size, Failure { limit, mtu });
        }
    }

    /// Counts a try without a reply.
    fn unanswered(&mut self, size: u32, cause: Cause) {
        let is_next = self.next_size() == Some(size);
        if is_next || self.passed.is_some_and(|passed| size <= passed) {
            self.losses.unanswered(size, self.passed);
        }
        if !is_next {
            return;
        }
        if self.tries.size != size {
            self.tries = Tries { size, count: 0, cause: Cause::SILENT };
        }
        self.tries.count += 1;
        if cause != Cause::SILENT {
            self.tries.cause = cause;
        }
        if self.tries.count >= self.tries() {
            let cause = self.tries.cause;
            self.tries.size = 0;
            let limit = MtuLimit::NoReply { cause };
            if self.failed.insert(size, Failure { limit, mtu: None }).is_some() {
                self.confirmed = Some(size);
            }
        }
    }
}

/// The sizes of a search.
///
/// ```
/// use hello_measure::{MtuPlan, MtuSearch};
///
/// let plan = MtuPlan { link_mtu: Some(1500), ..MtuPlan::ipv6() };
/// assert_eq!(MtuSearch::new(plan).next_size(), Some(64));
/// assert_eq!(plan.name_len(1500), 1452);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MtuPlan {
    /// The length of the headers of IP and UDP, in bytes.
    pub headers: u32,
    /// The smallest size, which shows whether the server answers at all, in bytes.
    pub min: u32,
    /// The largest size, in bytes.
    pub max: u32,
    /// The MTU of the link to the first router, as far as it is known. It is a hint only.
    pub link_mtu: Option<u32>,
    /// How often a size is tried that gets no reply.
    pub tries: NonZeroU32,
}

impl MtuPlan {
    /// Returns a plan for IPv4: from a name of 16 bytes up to the longest, with three tries of each size.
    pub const fn ipv4() -> Self {
        Self::new(20 + 8)
    }

    /// Returns the same for IPv6.
    pub const fn ipv6() -> Self {
        Self::new(40 + 8)
    }

    const fn new(headers: u32) -> Self {
        let (min, max) = (headers + SHORTEST_NAME, headers + LONGEST_NAME);
        Self { headers, min, max, link_mtu: None, tries: TRIES }
    }

    /// Returns the length of the name in a packet of this size, in bytes.
    pub const fn name_len(&self, size: u32) -> u32 {
        size.saturating_sub(self.headers)
    }
}

/// The length of the shortest name, as that of other probes by default. It holds every digit of a
/// token twice.
const SHORTEST_NAME: u32 = 16;

/// The longest size that has a next one.
const LONGEST_SIZE: u32 = u32::MAX - 1;

/// The length of the longest name.
const LONGEST_NAME: u32 = 65_499;

const _: () = assert!(SHORTEST_NAME as usize == 2 * Token::MIN_LEN);
const _: () = assert!(LONGEST_NAME as usize == MAX_NAME_LEN);

const TRIES: NonZeroU32 = NonZeroU32::new(3).expect("not zero");

/// What became of a probe of a [`MtuSearch`].
///
/// ```
/// use hello_measure::{Cause, CauseKind, MtuEvidence};
///
/// let kind = CauseKind::of_icmpv6(2, 0, 1400);
/// let evidence = MtuEvidence::Reported(Cause { kind, reporter: None });
/// assert_ne!(evidence, MtuEvidence::Silent);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MtuEvidence {
    /// Its reply arrived, so both directions took a packet of its size.
    Answered,
    /// A reply arrived that holds only the start of the name: the server reads no more. The packet
    /// arrived there, but its reply was shorter.
    Cut {
        /// The length of the name in the reply, in bytes.
        name_len: u32,
    },
    /// The system did not send it, because it is longer than the own link takes (EMSGSIZE, udp(7)).
    TooLongForLink,
    /// An ICMP error about it arrived.
    Reported(Cause),
    /// No reply arrived in time.
    Silent,
}

#[cfg(test)]
mod tests;
