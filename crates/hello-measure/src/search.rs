use std::iter;
use std::num::{NonZeroU32, NonZeroU64};

/// Searches for the highest load that a server carries, trial by trial.
///
/// This is the throughput that RFC 1242 section 3.17 defines and RFC 2544 section 26.1 measures,
/// except that a trial may have some loss. The load is doubled until one is not carried. Then the
/// gap between the highest load carried and the lowest not carried is bisected. No load is tried
/// above one that was not carried, so no load failed below the result.
///
/// The search has no socket and no clock. The caller makes the trials, which RFC 2544 section 24
/// wants to last at least 60 seconds, and decides on each:
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
/// [`max_trials`](Self::max_trials) says how long it may take. No search has more than 129 loads. Each
/// has at most `trials` trials that are offered, and as many, less one for the last, that are not.
#[derive(Clone, Debug)]
pub struct Search {
    plan: SearchPlan,
    outcome: SearchOutcome,
    /// The trials at the next load.
    pending: Trials,
}

impl Search {
    /// Creates a search.
    pub fn new(plan: SearchPlan) -> Self {
        let outcome = SearchOutcome { carried: None, bound: Bound::Open };
        Self { plan, outcome, pending: Trials::default() }
    }

    /// Records the verdict on a trial at [`next_load`](Self::next_load). Ignored once the search is
    /// over.
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

    /// Returns the result so far, even if the search is not over.
    pub fn outcome(&self) -> SearchOutcome {
        self.outcome
    }

    /// Returns an upper bound of the number of trials to come, those of the next load included.
    ///
    /// ```
    /// use std::num::{NonZeroU32, NonZeroU64};
    /// use hello_measure::{Search, SearchPlan, TrialVerdict};
    ///
    /// let load = |load| NonZeroU64::new(load).expect("not zero");
    /// let (min, start, max, trials) = (load(1), load(10), load(40), NonZeroU32::MIN);
    /// let mut search = Search::new(SearchPlan { start, min, max, trials, resolution: 0.1 });
    /// // 10, 20 and 40, and then four loads between 20 and 40.
    /// assert_eq!(search.max_trials(), 7);
    /// search.handle(TrialVerdict::Carried);
    /// assert_eq!(search.max_trials(), 6);
    /// ```
    pub fn max_trials(&self) -> u64 {
        let Some(next) = self.next_load() else { return 0 };
        let carried = self.outcome.carried.map_or(0, NonZeroU64::get);
        let loads = match self.outcome.bound {
            Bound::Open => {
                let (mut low, max) = (next.get(), self.plan.max.get());
                let (mut tried, mut most) = (1, 1 + self.bisections(carried, low));
                while low < max {
                    let high = low.saturating_mul(2).min(max);
                    tried += 1;
                    most = most.max(tried + self.bisections(low, high));
                    low = high;
                }
                most
            }
            Bound::Lost(load) | Bound::NotOffered(load) => self.bisections(carried, load.get()),
            Bound::Max => 0,
        };
        let each = 2 * u64::from(self.plan.trials.get()) - 1;
        loads * each - self.pending.number().min(each - 1)
    }

    /// Returns an upper bound of the loads to try between `low`, which was carried unless it is 0, and
    /// `high`, which was not.
    fn bisections(&self, low: u64, mut high: u64) -> u64 {
        if low > 0 {
            // Each load halves the gap, which need not close entirely.
            let rest = (self.plan.resolution * low as f64).floor().max(1.0);
            let halvings = iter::successors(Some((high - low) as f64), |gap| Some(gap / 2.0));
            return halvings.take_while(|gap| *gap > rest).map(|_| 1).sum();
        }
        let (mut tried, mut most) = (0, 0);
        while let Some(load) = NonZeroU64::new(high).and_then(|high| self.between(None, high)) {
            tried += 1;
            most = most.max(tried + self.bisections(load.get(), high));
            high = load.get();
        }
        most
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

/// The range and the precision of a search.
///
/// ```
/// use std::num::{NonZeroU32, NonZeroU64};
/// use hello_measure::{Search, SearchPlan};
///
/// let load = |load| NonZeroU64::new(load).expect("not zero");
/// let (min, start, max) = (load(1), load(10_000), load(1_000_000));
/// let plan = SearchPlan { start, min, max, trials: NonZeroU32::MIN, resolution: 0.02 };
/// assert_eq!(Search::new(plan).next_load(), Some(start));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SearchPlan {
    /// The first load, in requests per second; at most `max`.
    pub start: NonZeroU64,
    /// The lowest load to try, in requests per second: a lower one has no request per trial.
    pub min: NonZeroU64,
    /// The highest load to try, in requests per second.
    pub max: NonZeroU64,
    /// The largest number of trials of a load, and of further trials for those not offered. Trials
    /// that cannot change the verdict are skipped.
    pub trials: NonZeroU32,
    /// The largest gap between the highest load carried and the lowest not carried, as a share of
    /// the latter: from 0 (one request per second) to 1 (the first load not carried ends the
    /// search). It should exceed the loss that a trial may have (draft-ietf-bmwg-mlrsearch, "Goal
    /// Width").
    pub resolution: f64,
}

/// The verdict on a trial, or on a load by the majority of its trials.
///
/// A load is carried if more than half of its trials carried it. Of three trials, one may therefore
/// fail because of other programs on the machine (draft-ietf-bmwg-mlrsearch, "Goal Exceed Ratio";
/// ETSI GS NFV-TST 009 section 12.3.3 repeats lossy trials for the same reason). Of two, both must
/// carry it.
///
/// ```
/// use hello_measure::TrialVerdict;
///
/// assert_eq!(TrialVerdict::NotOffered.label(), "not-offered");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum TrialVerdict {
    /// The load was offered, and the loss was within the tolerance.
    Carried,
    /// Too much was lost; for a load, in half of its trials or more.
    Lost,
    /// The offered load fell short of the intended load (RFC 2285 sections 3.5.1 and 3.5.2), so the
    /// trial says nothing about the server. For a load: in [`trials`](SearchPlan::trials) of its
    /// trials, before the others decided.
    NotOffered,
}

impl TrialVerdict {
    /// Returns the name of the verdict in `kebab-case`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Carried => "carried",
            Self::Lost => "lost",
            Self::NotOffered => "not-offered",
        }
    }
}

/// The result of a search.
///
/// ```
/// use std::num::NonZeroU64;
/// use hello_measure::{Bound, SearchOutcome};
///
/// let load = NonZeroU64::new(72_500).ok_or("zero")?;
/// let outcome = SearchOutcome { carried: None, bound: Bound::Lost(load) };
/// assert_eq!(outcome.not_carried(), Some(load));
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SearchOutcome {
    /// The highest load carried, in requests per second; `None` if there is none.
    pub carried: Option<NonZeroU64>,
    /// The reason why no higher load was carried.
    pub bound: Bound,
}

impl SearchOutcome {
    /// Returns the lowest load that was not carried, in requests per second. It is always above the
    /// highest one carried.
    pub fn not_carried(&self) -> Option<NonZeroU64> {
        match self.bound {
            Bound::Lost(load) | Bound::NotOffered(load) => Some(load),
            Bound::Open | Bound::Max => None,
        }
    }
}

/// The reason why a search has no higher result. Loads are in requests per second.
///
/// ```
/// use hello_measure::{Bound, SearchOutcome};
///
/// let outcome = SearchOutcome { carried: None, bound: Bound::Max };
/// assert_eq!(outcome.not_carried(), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// None yet.
    Open,
    /// The server lost too much of this load, the lowest one not carried.
    Lost(NonZeroU64),
    /// The generator could not offer this load, the lowest one not carried. The server may carry
    /// more.
    NotOffered(NonZeroU64),
    /// The highest load of the plan was carried.
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

    fn number(&self) -> u64 {
        self.carried + self.lost + self.not_offered
    }

    /// Returns the verdict on the load once no further trial can change it.
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
