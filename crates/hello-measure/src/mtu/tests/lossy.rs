//! Paths that lose packets of any size.

use super::*;

/// A sequence of random numbers (<https://prng.di.unimi.it/splitmix64.c>).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns whether an event of this probability, in per cent, takes place.
    fn is(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }
}

/// Searches a path that loses requests and replies at random. Returns the number of probes too.
fn search(path: &Path, percent: u64, seed: u64) -> (usize, MtuOutcome) {
    let (mut search, mut random, mut probes) = (MtuSearch::new(plan()), Random(seed), 0);
    while let Some(size) = search.next_size() {
        probes += 1;
        assert!(probes < 1000, "{path:?}");
        let is_lost = random.is(percent) || random.is(percent);
        search.handle(
            size,
            match path.evidence(&search.plan, size) {
                MtuEvidence::TooLongForLink => MtuEvidence::TooLongForLink,
                _ if is_lost => MtuEvidence::Silent,
                evidence => evidence,
            },
        );
    }
    (probes, search.outcome())
}

#[test]
#[cfg_attr(miri, ignore = "thousands of searches")]
fn random_loss_is_taken_for_a_black_hole_in_fewer_than_one_of_1000_searches() {
    let silent = Path { router: 1400, report: Report::Nothing, ..Path::WIDE };
    for path in [Path::WIDE, silent] {
        for percent in [1, 5, 15, 30] {
            let mut wrong = 0;
            for seed in 0..SEARCHES {
                let (_, outcome) = search(&path, percent, seed);
                let longest = path.longest(&plan());
                // If the smallest size gets no reply, the search has no result.
                wrong += u64::from(outcome.passed.is_some_and(|passed| passed != longest));
            }
            assert!(wrong * 1000 <= SEARCHES, "{wrong} of {SEARCHES} at {percent} %: {path:?}");
        }
    }
}

#[test]
fn losses_of_sizes_that_pass_are_counted_and_others_are_not() {
    let mut search = MtuSearch::new(plan());
    search.handle(44, MtuEvidence::Silent);
    search.handle(44, MtuEvidence::Answered);
    // A second probe of a size that is known to pass.
    search.handle(44, MtuEvidence::Silent);
    let counts = |search: &MtuSearch| {
        let MtuOutcome { passing_probes, passing_lost, .. } = search.outcome();
        (passing_lost, passing_probes)
    };
    assert_eq!(counts(&search), (2, 3));
    let tries = search.tries();
    assert!(tries > 3, "{tries}");
    for _ in 0..tries {
        assert_eq!(search.next_size(), Some(1500));
        search.handle(1500, MtuEvidence::Silent);
    }
    assert_eq!((counts(&search), search.next_size()), ((2, 3), Some(772)));
}

#[test]
fn path_without_random_loss_is_tried_as_often_as_planned() {
    let path = Path { router: 1400, report: Report::Nothing, ..Path::WIDE };
    let (_, outcome) = search(&path, 0, 1);
    assert_eq!((outcome.passed, outcome.passing_lost), (Some(1400), 0));
}

#[test]
fn path_that_loses_nearly_everything_is_searched_with_a_bounded_number_of_probes() {
    let path = Path { router: 1139, report: Report::Nothing, back: 904, ..Path::WIDE };
    let (_, outcome) = search(&Path { link: 1500, ..path }, 71, 12_746_919_264_142_077_021);
    assert!(outcome.limit != MtuLimit::Open);
}

proptest! {
    #![proptest_config(crate::proptest_config())]

    #[test]
    fn no_loss_makes_a_search_endless(percent in 0..100u64, seed: u64, path in paths()) {
        let (probes, outcome) = search(&path, percent, seed);
        prop_assert!(outcome.passing_lost <= outcome.passing_probes);
        prop_assert!(outcome.passing_probes <= probes as u64);
        prop_assert!(outcome.limit != MtuLimit::Open);
    }
}

/// Enough to tell one of 1000 from several.
const SEARCHES: u64 = 3000;
