//! The search for the highest load a server carries.

use std::num::{NonZeroU32, NonZeroU64};

/// Finds the highest load a server carries, trial by trial: its throughput, as RFC 1242 section
/// 3.17 defines it and RFC 2544 section 26.1 measures it, but for the loss that a trial may have.
///
/// The load is doubled until one is not carried; then the gap between the highest load carried (if
/// there is none, what is just below the least) and the lowest not carried is halved until it is
/// small enough. No load is
/// tried above one that was not carried, even if a noisy server would carry it: below what is
/// found, no load failed.
///
/// It has no socket and no clock. The caller makes the trials, which RFC 2544 section 24 wants to
/// last for at least 60 seconds, and decides on each what loss is too much:
///
/// ```
/// use std::num::{NonZeroU32, NonZeroU64};
/// use hello_measure::{Bound, Search, SearchPlan, TrialVerdict};
///
/// let load = |load| NonZeroU64::new(load).expect("not zero");
/// let mut search = Search::new(SearchPlan {
///     start: load(10_000),
///     min: load(1),
///     max: load(1_000_000),
///     trials: NonZeroU32::MIN,
///     resolution: 0.05,
/// });
/// while let Some(load) = search.next_load() {
///     search.handle(if load.get() > 70_000 { TrialVerdict::Lost } else { TrialVerdict::Carried });
/// }
/// assert_eq!(search.outcome().carried, Some(load(70_000)));
/// assert_eq!(search.outcome().bound, Bound::Lost(load(72_500)));
/// ```
///
/// Whatever the verdicts, it ends after at most 1 + ⌈log₂ start⌉ + 2 ⌈log₂ (most / start)⌉ loads,
/// which is never more than 129, each of up to `trials` trials that are offered and as many, less
/// one for the last, that are not.
#[derive(Clone, Debug)]
pub struct Search {
    plan: SearchPlan,
    outcome: SearchOutcome,
    /// The trials at the next load.
    pending: Trials,
}

impl Search {
    /// Begins a search.
    pub fn new(plan: SearchPlan) -> Self {
        let outcome = SearchOutcome { carried: None, bound: Bound::Open };
        Self { plan, outcome, pending: Trials::default() }
    }

    /// Takes the verdict on a trial at [`next_load`](Self::next_load); ignores it if there is none.
    pub fn handle(&mut self, verdict: TrialVerdict) {
        let Some(load) = self.next_load() else { return };
        self.pending.add(verdict);
        match self.pending.verdict(self.plan.trials) {
            None => return,
            Some(TrialVerdict::Carried) => {
                self.outcome.carried = Some(load);
                if load == self.plan.max {
                    self.outcome.bound = Bound::Max;
                }
            }
            Some(TrialVerdict::Lost) => self.outcome.bound = Bound::Lost(load),
            Some(TrialVerdict::NotOffered) => self.outcome.bound = Bound::NotOffered(load),
        }
        self.pending = Trials::default();
    }

    /// Returns the load of the next trial, in requests per second; `None` once the search is over.
    pub fn next_load(&self) -> Option<NonZeroU64> {
        let SearchOutcome { carried, bound } = self.outcome;
        match bound {
            Bound::Open => {
                let first = self.plan.start.max(self.plan.min);
                let load = carried.map_or(first, |load| load.saturating_add(load.get()));
                Some(load.min(self.plan.max))
            }
            Bound::Lost(load) | Bound::NotOffered(load) => self.between(carried, load),
            Bound::Max => None,
        }
    }

    /// Returns what is known: at any moment, also of a search that is not over.
    pub fn outcome(&self) -> SearchOutcome {
        self.outcome
    }

    fn between(&self, carried: Option<NonZeroU64>, not_carried: NonZeroU64) -> Option<NonZeroU64> {
        let (below, high) = (self.plan.min.get() - 1, not_carried.get());
        let low = carried.map_or(below, NonZeroU64::get);
        let gap = high.saturating_sub(low);
        if gap <= 1 || gap as f64 <= self.plan.resolution * high as f64 {
            return None;
        }
        NonZeroU64::new(low + gap / 2)
    }
}

/// What to search, and how thoroughly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SearchPlan {
    /// The load to begin with, in requests per second; `most`, if that is less.
    pub start: NonZeroU64,
    /// The lowest load to try, in requests per second: of a lower one, a trial would have nothing.
    pub min: NonZeroU64,
    /// The highest load to try, in requests per second.
    pub max: NonZeroU64,
    /// How many trials a load gets at most, and how many more for those that are not offered: none
    /// is made that cannot change what becomes of it.
    pub trials: NonZeroU32,
    /// How far apart the highest load carried and the lowest not carried may end, as a share of the
    /// latter, from 0 (one request per second, the least in any case) to 1 (the first not carried
    /// ends the search). Below the loss that a trial may have it makes little sense
    /// (draft-ietf-bmwg-mlrsearch, "Goal Width").
    pub resolution: f64,
}

/// What became of a trial, and by the majority of its trials, of a load.
///
/// A load is carried if more than half of its trials carried it: of three, one may be spoilt by
/// something else on the machine (draft-ietf-bmwg-mlrsearch, "Goal Exceed Ratio"; ETSI GS NFV-TST
/// 009 section 12.3.3 repeats lossy trials to the same end). Of two, both must carry it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum TrialVerdict {
    /// It was offered, and no more was lost than may be.
    Carried,
    /// Too much was lost. Of a load: in so many trials that the others could not have carried it.
    Lost,
    /// The load offered fell short of the one intended (RFC 2285 sections 3.5.1 and 3.5.2), which
    /// says nothing about the server. Of a load: in as many trials as it gets, before the others
    /// decided.
    NotOffered,
}

impl TrialVerdict {
    /// Returns its name, in `kebab-case`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Carried => "carried",
            Self::Lost => "lost",
            Self::NotOffered => "not-offered",
        }
    }
}

/// What a search has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SearchOutcome {
    /// The highest load carried, in requests per second; `None` if there is none yet, or none at
    /// all.
    pub carried: Option<NonZeroU64>,
    /// What keeps the search from higher loads.
    pub bound: Bound,
}

impl SearchOutcome {
    /// Returns the lowest load that was not carried, for either reason, in requests per second:
    /// always above the highest carried.
    pub fn not_carried(&self) -> Option<NonZeroU64> {
        match self.bound {
            Bound::Lost(load) | Bound::NotOffered(load) => Some(load),
            Bound::Open | Bound::Max => None,
        }
    }
}

/// What keeps a search from higher loads; loads are in requests per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Nothing yet.
    Open,
    /// The server lost too much of this one, the lowest not carried.
    Lost(NonZeroU64),
    /// The generator could not offer this one, the lowest not carried: the server may well carry
    /// more.
    NotOffered(NonZeroU64),
    /// The highest load to try was carried.
    Max,
}

/// The trials at one load, by their verdicts.
#[derive(Clone, Debug, Default)]
struct Trials {
    carried: u64,
    lost: u64,
    not_offered: u64,
}

impl Trials {
    fn add(&mut self, verdict: TrialVerdict) {
        *match verdict {
            TrialVerdict::Carried => &mut self.carried,
            TrialVerdict::Lost => &mut self.lost,
            TrialVerdict::NotOffered => &mut self.not_offered,
        } += 1;
    }

    /// Returns the verdict on the load as soon as no further trial can change it.
    fn verdict(&self, trials: NonZeroU32) -> Option<TrialVerdict> {
        let trials = u64::from(trials.get());
        if 2 * self.carried > trials {
            Some(TrialVerdict::Carried)
        } else if 2 * self.lost >= trials {
            Some(TrialVerdict::Lost)
        } else if self.not_offered >= trials {
            Some(TrialVerdict::NotOffered)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests;
