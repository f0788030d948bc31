use proptest::prelude::*;

use super::TrialVerdict::{Carried, Lost, NotOffered};
use super::*;

#[test]
fn loads_double_until_one_is_lost_and_then_bisect_the_gap() {
    let (loads, outcome) = run(plan(10, 1000, 1, 0.05), |load| verdict(load, 70, 1000));
    assert_eq!(loads, [10, 20, 40, 80, 60, 70, 75, 72]);
    assert_eq!(outcome, SearchOutcome { carried: Some(load(70)), bound: Bound::Lost(load(72)) });
    assert_eq!(outcome.not_carried(), Some(load(72)));
}

#[test]
fn resolution_is_a_share_of_the_load_not_carried() {
    for (resolution, tried) in [(0.5, [5, 10].as_slice()), (0.49, &[5, 10, 7])] {
        let (loads, _) = run(plan(5, 1000, 1, resolution), |load| verdict(load, 7, 1000));
        assert_eq!(loads, tried);
    }
}

#[test]
fn loads_halve_down_to_one_per_second_if_none_is_carried() {
    let (loads, outcome) = run(plan(9, 1000, 1, 0.5), |_| Lost);
    assert_eq!(loads, [9, 4, 2, 1]);
    assert_eq!(outcome, SearchOutcome { carried: None, bound: Bound::Lost(load(1)) });
}

#[test]
fn no_load_below_the_minimum_is_tried() {
    for (start, tried) in [(50, [50, 29, 19, 14, 11, 10].as_slice()), (3, &[10])] {
        let least = SearchPlan { min: load(10), ..plan(start, 1000, 1, 0.0) };
        let (loads, outcome) = run(least, |_| Lost);
        assert_eq!(loads, tried);
        assert_eq!(outcome, SearchOutcome { carried: None, bound: Bound::Lost(load(10)) });
    }
    let none = SearchPlan { min: load(10), ..plan(1, 5, 1, 0.0) };
    assert_eq!(run(none, |_| Lost).0, [5]);
}

#[test]
fn carrying_the_maximum_load_ends_the_search() {
    for (start, tried) in [(10, [10, 20, 25].as_slice()), (30, &[25])] {
        let mut search = Search::new(plan(start, 25, 1, 0.0));
        for &tried in tried {
            assert_eq!(search.next_load(), Some(load(tried)));
            search.handle(Carried);
        }
        assert_eq!(search.next_load(), None);
        search.handle(Lost);
        let outcome = SearchOutcome { carried: Some(load(25)), bound: Bound::Max };
        assert_eq!((search.outcome(), outcome.not_carried()), (outcome, None));
    }
}

#[test]
fn bound_has_the_reason_why_the_lowest_load_was_not_carried() {
    let outcome =
        |server, generator| run(plan(10, 1000, 1, 0.0), |load| verdict(load, server, generator)).1;
    let carried = Some(load(50));
    assert_eq!(outcome(100, 50), SearchOutcome { carried, bound: Bound::NotOffered(load(51)) });
    assert_eq!(outcome(50, 60), SearchOutcome { carried, bound: Bound::Lost(load(51)) });
}

#[test]
fn majority_of_the_trials_decides_as_soon_as_possible() {
    for (trials, verdicts, decided) in [
        (1, [Carried].as_slice(), Carried),
        (1, &[Lost], Lost),
        (1, &[NotOffered], NotOffered),
        (2, &[Carried, Carried], Carried),
        (2, &[Lost], Lost),
        (2, &[Carried, Lost], Lost),
        (3, &[Carried, Carried], Carried),
        (3, &[Lost, Carried, Carried], Carried),
        (3, &[NotOffered, Carried, Carried], Carried),
        (3, &[Carried, Lost, Lost], Lost),
        // A trial that was not offered is repeated.
        (3, &[Lost, NotOffered, Lost], Lost),
        (3, &[NotOffered, Lost, NotOffered, Carried, Carried], Carried),
        (3, &[Lost, NotOffered, NotOffered, Carried, NotOffered], NotOffered),
        (2, &[NotOffered, NotOffered], NotOffered),
        (4, &[Carried, NotOffered, Carried, Lost, Carried], Carried),
        (4, &[Carried, Carried, Lost, Carried], Carried),
        (5, &[Lost, Carried, Lost, Carried, Lost], Lost),
    ] {
        let mut search = Search::new(plan(10, 1000, trials, 0.0));
        let before = search.outcome();
        for (done, &verdict) in verdicts.iter().enumerate() {
            assert_eq!(search.outcome(), before, "{verdicts:?} of {trials}, {done} made");
            assert_eq!(search.next_load(), Some(load(10)));
            search.handle(verdict);
        }
        let after = match decided {
            Carried => SearchOutcome { carried: Some(load(10)), bound: Bound::Open },
            Lost => SearchOutcome { carried: None, bound: Bound::Lost(load(10)) },
            NotOffered => SearchOutcome { carried: None, bound: Bound::NotOffered(load(10)) },
        };
        assert_eq!(search.outcome(), after, "{verdicts:?} of {trials}");
    }
}

proptest! {
    #![proptest_config(crate::proptest_config())]

    #[test]
    fn result_is_carried_and_within_the_resolution_of_a_load_that_is_not(
        (start, most, server, generator) in (loads(), loads(), loads(), loads()),
        trials in 1..4_u32,
        resolution in prop_oneof![Just(0.0), 0.0..0.9],
    ) {
        // Includes a server or a generator that can do nothing.
        let (server, generator) = (server - 1, generator - 1);
        let plan = plan(start, most, trials, resolution);
        let (loads, outcome) = run(plan, |load| verdict(load, server, generator));
        prop_assert!(loads.len() <= most_trials(plan), "{} trials", loads.len());
        let found = outcome.carried.map_or(0, NonZeroU64::get);
        prop_assert!(found <= server.min(generator).min(most));
        match outcome.bound {
            Bound::Lost(load) => prop_assert!(server < load.get() && load.get() <= generator),
            Bound::NotOffered(load) => prop_assert!(generator < load.get()),
            Bound::Max => prop_assert_eq!(found, most),
            Bound::Open => prop_assert!(false, "the search is not over"),
        }
        if let Some(above) = outcome.not_carried().map(NonZeroU64::get) {
            prop_assert!(above <= most);
            let within = (above - found) as f64 <= resolution * above as f64;
            prop_assert!(within || above - found == 1, "{} and {}", found, above);
            prop_assert!(outcome.carried.is_some() || above == 1);
        }
    }

    #[test]
    fn any_verdicts_end_the_search_and_every_outcome_is_correct(
        (start, most) in (loads(), loads()),
        trials in 1..6_u32,
        resolution in prop_oneof![Just(0.0), any::<f64>()],
        verdicts in (1..9_u32).prop_flat_map(|weight| prop::collection::vec(
            prop_oneof![weight => Just(Carried), 2 => Just(Lost), 1 => Just(NotOffered)], 1..300)),
    ) {
        let plan = plan(start, most, trials, resolution);
        let mut search = Search::new(plan);
        let mut left = most_trials(plan);
        let mut stated = search.max_trials();
        prop_assert!(stated <= left as u64);
        let (mut carried, mut not_carried) = (None, None);
        let (mut at, mut good, mut bad, mut void) = (None, 0, 0, 0);
        for verdict in verdicts.into_iter().cycle() {
            let Some(load) = search.next_load() else { break };
            prop_assert!(left > 0, "more than {} trials", most_trials(plan));
            left -= 1;
            if at.replace(load) != Some(load) {
                (good, bad, void) = (0, 0, 0);
            }
            *match verdict {
                Carried => &mut good,
                Lost => &mut bad,
                NotOffered => &mut void,
            } += 1;
            search.handle(verdict);
            prop_assert!(search.max_trials() < stated, "{} after {}", search.max_trials(), stated);
            stated = search.max_trials();
            if good > trials / 2 {
                carried = carried.max(Some(load));
            } else if trials - bad <= trials / 2 || void == trials {
                not_carried = Some(not_carried.map_or(load, |lowest| load.min(lowest)));
            }
            let outcome = search.outcome();
            prop_assert_eq!((outcome.carried, outcome.not_carried()), (carried, not_carried));
            prop_assert!(not_carried.is_none_or(|lowest| carried < Some(lowest)));
        }
    }
}

/// Returns the loads tried and the outcome.
fn run(plan: SearchPlan, mut trial: impl FnMut(u64) -> TrialVerdict) -> (Vec<u64>, SearchOutcome) {
    let mut search = Search::new(plan);
    let mut loads = Vec::new();
    while let Some(load) = search.next_load() {
        loads.push(load.get());
        search.handle(trial(load.get()));
    }
    (loads, search.outcome())
}

fn verdict(load: u64, server: u64, generator: u64) -> TrialVerdict {
    match load {
        load if load > generator => NotOffered,
        load if load > server => Lost,
        _ => Carried,
    }
}

fn plan(start: u64, max: u64, trials: u32, resolution: f64) -> SearchPlan {
    let trials = NonZeroU32::new(trials).expect("not zero");
    SearchPlan { start: load(start), min: load(1), max: load(max), trials, resolution }
}

fn load(load: u64) -> NonZeroU64 {
    NonZeroU64::new(load).expect("not zero")
}

/// Loads of every order of magnitude.
fn loads() -> impl Strategy<Value = u64> {
    (any::<u64>(), 0..u64::BITS).prop_map(|(bits, shift)| (bits >> shift).max(1))
}

/// The bound in the documentation of [`Search`].
fn most_trials(plan: SearchPlan) -> usize {
    let ceil_log2 = |number: u64| u64::BITS - (number - 1).leading_zeros();
    let start = plan.start.min(plan.max).get();
    let loads = 1 + ceil_log2(start) + 2 * ceil_log2(plan.max.get().div_ceil(start));
    assert!(loads <= 129, "{plan:?}");
    (loads * (2 * plan.trials.get() - 1)) as usize
}
