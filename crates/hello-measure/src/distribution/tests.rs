use super::*;
use proptest::prelude::*;

fn of(nanos: &[u64]) -> Distribution {
    let mut distribution = Distribution::new(3);
    nanos.iter().for_each(|nanos| distribution.record(Duration::from_nanos(*nanos)));
    distribution
}

/// Returns the exact values: the count, the sum, the extremes and the mean.
fn exact(distribution: &Distribution) -> (u64, Duration, [Option<Duration>; 3]) {
    let rest = [distribution.min(), distribution.max(), distribution.mean()];
    (distribution.count(), distribution.sum(), rest)
}

#[test]
fn empty_distribution_has_no_values() {
    let mut none = of(&[]);
    none.record_n(Duration::from_nanos(5), 0);
    none.merge(&of(&[]));
    for nothing in [none, of(&[])] {
        assert_eq!((nothing.min(), nothing.max(), nothing.mean()), (None, None, None));
        assert_eq!((nothing.stddev(), nothing.quantile(500)), (None, None));
        assert_eq!((nothing.count(), nothing.sum(), nothing.bins(9)), (0, Duration::ZERO, vec![]));
    }
}

#[test]
fn single_duration_is_every_percentile() {
    let one = of(&[123_456_789]);
    let nanos = Some(Duration::from_nanos(123_456_789));
    for permille in [0, 500, 999, 1000] {
        assert_eq!(one.quantile(permille), nanos);
    }
    assert_eq!((one.mean(), one.stddev()), (nanos, Some(Duration::ZERO)));
    assert_eq!(one.bins(4).iter().map(|bin| bin.count).sum::<u64>(), 1);
}

#[test]
fn every_duration_is_between_two_bounds() {
    let (several, nanos) = (of(&[1000, 2000, 2500, 9000]), Duration::from_nanos);
    let counts =
        |bounds: &[u64]| several.counts_between(&Vec::from_iter(bounds.iter().copied().map(nanos)));
    assert_eq!(counts(&[1500, 2200, 3000, 3001]), [2, 1, 1]);
    assert_eq!(counts(&[5, 6]), [4]);
    assert_eq!((counts(&[5]), counts(&[])), (vec![], vec![]));
}

#[test]
fn no_bins_are_one_bin() {
    let several = of(&[1000, 2000, 3000]);
    assert_eq!(several.bins(0), several.bins(1));
    assert_eq!(several.bins(0).iter().map(|bin| bin.count).sum::<u64>(), 3);
}

#[test]
fn percentiles_of_a_thousand_are_exact_ranks() {
    let thousand = of(&Vec::from_iter(1..=1000));
    let ranks = [1, 500, 900, 950, 990, 999, 1000];
    for rank in ranks {
        assert_eq!(thousand.quantile(rank), Some(Duration::from_nanos(rank.into())));
    }
}

#[test]
fn small_spread_around_a_large_mean_is_not_rounded_away() {
    // With sums of squares in a double, this would be 0 or hundreds.
    let nanos = Vec::from_iter((0..1000).map(|i| 3_600_000_000_000 + i % 2 * 20));
    assert_eq!(of(&nanos).stddev(), Some(Duration::from_nanos(10)));
    let mut halves = [0, 20].map(|more| {
        let mut half = Distribution::new(3);
        half.record_n(Duration::from_nanos(3_600_000_000_000 + more), 500);
        half
    });
    let [one, other] = &mut halves;
    one.merge(other);
    assert_eq!(one.stddev(), Some(Duration::from_nanos(10)));
}

#[test]
fn merge_with_fewer_digits_loses_no_duration() {
    let (mut fine, mut coarse) = (of(&[1_000_000, 3_000_000]), Distribution::new(1));
    coarse.record_n(Duration::from_nanos(9_000_001), 2);
    fine.merge(&coarse);
    assert_eq!((fine.count(), fine.max()), (4, Some(Duration::from_nanos(9_000_001))));
    let median = fine.quantile(500).map_or(0, nanos_of);
    assert!((3_000_000..=3_003_000).contains(&median), "{median}");
}

proptest! {
    #![proptest_config(crate::proptest_config())]

    #[test]
    #[cfg_attr(miri, ignore = "histograms of 20,000 counts, read repeatedly")]
    fn mean_and_deviation_equal_a_plain_computation(
        nanos in prop::collection::vec(0..10_000_000_000_u64, 1..300),
    ) {
        let (distribution, count) = (of(&nanos), nanos.len() as f64);
        let sum = nanos.iter().sum::<u64>();
        prop_assert_eq!(distribution.sum(), Duration::from_nanos(sum));
        prop_assert_eq!(distribution.mean(), Some(Duration::from_nanos(sum / nanos.len() as u64)));
        let mean = sum as f64 / count;
        let squares = nanos.iter().map(|nanos| (*nanos as f64 - mean).powi(2)).sum::<f64>();
        let stddev = (squares / count).sqrt();
        let ours = distribution.stddev().map_or(f64::NAN, |stddev| stddev.as_secs_f64() * 1e9);
        prop_assert!((ours - stddev).abs() <= 1.0 + stddev * 1e-9, "{ours} {stddev}");
        let extremes = (nanos.iter().min(), nanos.iter().max());
        let [min, max] = [distribution.min(), distribution.max()].map(|found| {
            found.map(nanos_of)
        });
        prop_assert_eq!((min.as_ref(), max.as_ref()), extremes);
    }

    #[test]
    #[cfg_attr(miri, ignore = "histograms of 20,000 counts, read repeatedly")]
    fn batches_and_merged_parts_equal_single_records(
        runs in prop::collection::vec((0..10_000_000_000_u64, 0..20_u64), 0..30),
        cuts in prop::collection::vec(0..30_usize, 0..3),
    ) {
        let mut one_by_one = Distribution::new(3);
        let mut at_once = Distribution::new(3);
        let mut parts = vec![Distribution::new(3)];
        for (index, (nanos, count)) in runs.iter().enumerate() {
            let duration = Duration::from_nanos(*nanos);
            (0..*count).for_each(|_| one_by_one.record(duration));
            at_once.record_n(duration, *count);
            if cuts.contains(&index) {
                parts.push(Distribution::new(3));
            }
            parts.last_mut().expect("one part").record_n(duration, *count);
        }
        let mut merged = Distribution::new(3);
        parts.iter().for_each(|part| merged.merge(part));
        for other in [at_once, merged] {
            prop_assert_eq!(exact(&other), exact(&one_by_one));
            // With the histogram, all percentiles are equal.
            prop_assert!(other.histogram == one_by_one.histogram);
            let [ours, theirs] = [&other, &one_by_one].map(Distribution::stddev);
            let off = ours.unwrap_or_default().abs_diff(theirs.unwrap_or_default());
            let rounding = Duration::from_nanos(1) + theirs.unwrap_or_default() / 1_000_000_000;
            prop_assert!(off <= rounding, "{ours:?} {theirs:?}");
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "histograms of 20,000 counts, read repeatedly")]
    fn percentile_is_at_most_a_thousandth_above_the_nearest_rank(
        mut nanos in prop::collection::vec(1..5_000_000_000_u64, 1..300),
        permille in 1..=1000_u32,
    ) {
        let percentile = of(&nanos).quantile(permille);
        nanos.sort_unstable();
        let rank = (nanos.len() * permille as usize).div_ceil(1000);
        let exact = nanos[rank - 1];
        let ours = percentile.map_or(0, nanos_of);
        prop_assert!((exact..=exact + exact / 1000).contains(&ours), "{ours} {exact}");
    }

    #[test]
    #[cfg_attr(miri, ignore = "histograms of 20,000 counts, read repeatedly")]
    fn bins_are_adjacent_and_complete(
        nanos in prop::collection::vec(0..5_000_000_u64, 1..300),
        number in 1..30_u32,
    ) {
        let distribution = of(&nanos);
        let bins = distribution.bins(number);
        prop_assert!(bins.len() <= number as usize + 1);
        prop_assert_eq!(bins.iter().map(|bin| bin.count).sum::<u64>(), nanos.len() as u64);
        prop_assert!(bins.windows(2).all(|pair| pair[0].end == pair[1].start));
        prop_assert_eq!(bins.first().map(|bin| bin.start), distribution.min());
        prop_assert!(bins.last().map(|bin| bin.end) <= distribution.max());
    }
}

#[test]
#[cfg_attr(miri, ignore = "histograms of 20,000 counts, read repeatedly")]
fn counts_up_to_several_bounds_are_those_of_each_bound() {
    let mut distribution = Distribution::new(3);
    let bounds = || (0..64).map(|power| Duration::from_nanos(1 << power));
    let with_neighbours = || {
        bounds().flat_map(|bound| {
            [bound.saturating_sub(Duration::from_nanos(1)), bound, bound, bound * 3 / 2]
        })
    };
    for longest in [0, 1, 1000, 1_000_000, 3_000_000_000, u64::MAX / 2] {
        distribution.record_n(Duration::from_nanos(longest), 3);
        for step in 1..1000 {
            distribution.record(Duration::from_nanos(longest / 1000 * step));
        }
        let each = with_neighbours().map(|bound| distribution.count_up_to(bound));
        assert_eq!(distribution.counts_up_to(with_neighbours()), Vec::from_iter(each));
    }
    assert_eq!(Distribution::new(3).counts_up_to(bounds()), [0; 64]);
}
