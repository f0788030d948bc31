extern crate std;
use std::hash::{BuildHasherDefault, RandomState};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::vec::Vec;

use super::Decision::{Conforming, Exceeding, Leaked};
use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn limiter(rate: u32, burst: u32) -> Limiter<RandomState> {
    let [rate, burst] = [rate, burst].map(|number| NonZeroU32::new(number).expect("not zero"));
    Limiter::new(Rate::new(rate, burst).expect("a rate"), RandomState::new())
}

fn within(limiter: &mut Limiter<RandomState>, source: IpAddr, now: Duration) -> usize {
    let mut bucket = limiter.bucket(source, now);
    (0..100).filter(|_| bucket.check() == Conforming).count()
}

#[test]
fn no_rounding_allows_more_than_the_rate() {
    for rate in [1, 3, 7, 999_999_999, 1_000_000_000] {
        let limit = Rate::new(NonZeroU32::new(rate).expect("not zero"), NonZeroU32::MIN);
        let emission_interval = limit.expect("a rate").emission_interval;
        assert!(emission_interval * u64::from(rate) >= 1_000_000_000, "{rate}");
        assert!((emission_interval - 1) * u64::from(rate) < 1_000_000_000, "{rate}");
    }
    let (rate, max) = (1_000_000_001, 1_000_000_000);
    let refused = Rate::new(NonZeroU32::new(rate).expect("not zero"), NonZeroU32::MIN);
    assert_eq!(refused, Err(RateTooHigh { rate, max }));
}

#[test]
fn a_burst_is_answered_and_then_what_was_earned() {
    let mut limiter = limiter(10, 5);
    let source = IpAddr::from([192, 0, 2, 7]);
    assert_eq!(within(&mut limiter, source, SECOND), 5);
    assert_eq!(within(&mut limiter, source, SECOND), 0);
    assert_eq!(within(&mut limiter, source, SECOND + SECOND / 5), 2);
    assert_eq!(within(&mut limiter, source, 100 * SECOND), 5, "no more is saved up");
}

#[test]
#[cfg_attr(miri, ignore = "100,000 requests")]
fn one_in_four_over_the_limit_leaks_at_random_and_costs_nothing() {
    const REQUESTS: usize = 100_000;
    // Without a key, so that every run draws the same.
    let hasher = BuildHasherDefault::<std::hash::DefaultHasher>::default();
    let limit = Rate::new(NonZeroU32::MIN, NonZeroU32::MIN).expect("a rate");
    let mut limiter = Limiter::new(limit, hasher);
    let source = IpAddr::from([192, 0, 2, 7]);
    let mut bucket = limiter.bucket(source, SECOND);
    assert_eq!(bucket.check(), Conforming);
    let leaks: Vec<_> = (0..REQUESTS)
        .map(|_| match bucket.check() {
            Conforming => panic!("within the limit"),
            verdict => verdict == Leaked,
        })
        .collect();
    let share =
        |leaks: &[bool]| leaks.iter().filter(|leaked| **leaked).count() as f64 / leaks.len() as f64;
    assert!((0.24..0.26).contains(&share(&leaks)), "{}", share(&leaks));
    // Neither the place in a cycle nor what came before it makes a leak more or less likely.
    for cycle in 2..=16 {
        for place in 0..cycle {
            let picked: Vec<_> = leaks.iter().skip(place).step_by(cycle).copied().collect();
            assert!((0.22..0.28).contains(&share(&picked)), "{place} of {cycle}");
        }
    }
    for distance in 1..=16 {
        let after: Vec<_> =
            leaks.windows(distance + 1).filter(|run| run[0]).map(|run| run[distance]).collect();
        assert!((0.23..0.27).contains(&share(&after)), "{distance} after a leak");
    }
    assert_eq!(limiter.bucket(source, 2 * SECOND).check(), Conforming);
}

#[test]
#[cfg_attr(miri, ignore = "some 900,000 requests")]
fn neither_a_neighbour_in_step_nor_one_that_watches_its_replies_silences_a_victim() {
    const REQUESTS: u32 = 10_000;
    let [attacker, victim] = [[192, 0, 2, 66], [192, 0, 2, 7]].map(IpAddr::from);
    let answered_of = |attack: &mut dyn FnMut(&mut dyn FnMut() -> bool)| {
        let mut limiter = limiter(1, 1);
        assert_eq!(limiter.bucket(attacker, SECOND).check(), Conforming);
        let answered = (0..REQUESTS).filter(|_| {
            attack(&mut || limiter.bucket(attacker, SECOND).check() != Exceeding);
            limiter.bucket(victim, SECOND).check() != Exceeding
        });
        answered.count() as f64 / f64::from(REQUESTS)
    };
    for others in 1..8 {
        let share = answered_of(&mut |send| {
            for _ in 0..others {
                send();
            }
        });
        assert!(share > 0.2, "{share} beside {others} requests in step");
    }
    // It sends until its own are answered, and then lets the victim have some of the next places:
    // were every fourth request answered, none of those would be.
    for later in 0..3 {
        let share = answered_of(&mut |send| {
            while !send() {}
            for _ in 0..later {
                send();
            }
        });
        assert!(share > 0.2, "{share} at place {later} after an answer");
    }
    // It sends until as many of its own in a row went unanswered.
    for silent in 1..8 {
        let share = answered_of(&mut |send| {
            let mut run = 0;
            while run < silent {
                run = if send() { 0 } else { run + 1 };
            }
        });
        assert!(share > 0.2, "{share} after {silent} requests without an answer");
    }
}

#[test]
fn a_network_is_24_bits_of_ipv4_64_of_ipv6_or_an_address_where_strangers_share_a_prefix() {
    let numbers =
        |texts: [&str; 2]| texts.map(|text| Network::of(text.parse().expect("an address")));
    for texts in [
        ["192.0.2.0", "192.0.2.255"],
        ["192.0.2.7", "::ffff:192.0.2.9"],
        ["2001:db8::", "2001:db8::ffff:ffff:ffff:ffff"],
        ["fec0::1", "fec0::2"],
        ["64:ff9b:0:1::1", "64:ff9b:0:1::2"],
        ["64:ff9b:2::1", "64:ff9b:2::2"],
        ["2001:1::1", "2001:1::2"],
    ] {
        let [one, other] = numbers(texts);
        assert_eq!(one, other, "{texts:?}");
    }
    for texts in [
        ["192.0.2.255", "192.0.3.0"],
        ["2001:db8::1", "2001:db8:0:1::1"],
        ["0.0.0.0", "::"],
        ["255.255.255.255", "feff:ffff:ffff:ffff::1"],
        ["fe80::1", "fe80::2"],
        ["febf:ffff:ffff:ffff::1", "febf:ffff:ffff:ffff::2"],
        ["64:ff9b::192.0.2.1", "64:ff9b::192.0.2.2"],
        ["64:ff9b:1:2:3:4:5:6", "64:ff9b:1:2:3:4:5:7"],
        ["2001:0:1:2:3:4:5:6", "2001:0:1:2:3:4:5:7"],
    ] {
        let [one, other] = numbers(texts);
        assert_ne!(one, other, "{texts:?}");
    }
}

#[test]
fn a_bucket_has_no_padding_and_is_not_all_zeros() {
    assert_eq!(size_of::<BucketState>(), 24);
    assert_ne!(BucketState::FULL.network, Network { high: 0, low: 0 });
}

#[test]
fn the_default_is_a_thousand_per_second_and_twice_that_at_once() {
    let [rate, burst] = [Rate::DEFAULT_RATE, Rate::DEFAULT_BURST].map(NonZeroU32::new);
    let same = Rate::new(rate.expect("not zero"), burst.expect("not zero"));
    assert_eq!(same, Ok(Rate::default()));
    assert_eq!((rate, burst), (NonZeroU32::new(1000), NonZeroU32::new(2000)));
}

#[test]
#[cfg_attr(miri, ignore = "a million requests")]
fn who_is_over_the_limit_is_remembered_among_a_million_who_are_not() {
    let mut limiter = limiter(10, 10);
    let victim = IpAddr::from(Ipv4Addr::new(192, 0, 2, 7));
    assert_eq!(within(&mut limiter, victim, Duration::ZERO), 10);
    for number in 0..1_000_000_u128 {
        let source = Ipv6Addr::from_bits(0x2001_0db8 << 96 | number << 64);
        let mut bucket = limiter.bucket(source.into(), Duration::ZERO);
        assert_eq!(bucket.check(), Conforming);
    }
    assert_eq!(within(&mut limiter, victim, Duration::ZERO), 0);
}

#[test]
fn who_asks_nothing_that_is_answered_makes_nobody_be_forgotten() {
    /// Has all networks share one set.
    #[derive(Clone)]
    struct Same;
    impl BuildHasher for Same {
        type Hasher = std::hash::DefaultHasher;
        fn build_hasher(&self) -> Self::Hasher {
            Self::Hasher::default()
        }
        fn hash_one<T>(&self, _: T) -> u64 {
            0
        }
    }
    let limit = Rate::new(NonZeroU32::MIN, NonZeroU32::MIN).expect("a rate");
    let mut limiter = Limiter::new(limit, Same);
    let networks: [_; 256] =
        core::array::from_fn(|i| IpAddr::from([192, 0, i.to_le_bytes()[0], 7]));
    let (known, others) = networks.split_at(WAYS);
    for source in known {
        assert_eq!(limiter.bucket(*source, SECOND).check(), Conforming);
    }
    for source in others {
        assert_eq!(limiter.bucket(*source, SECOND).check_many(0).next(), None);
    }
    for source in known {
        assert_ne!(limiter.bucket(*source, SECOND).check(), Conforming, "{source}");
    }
    assert_eq!(limiter.bucket(others[0], SECOND).check(), Conforming);
    assert_eq!(limiter.bucket(known[0], SECOND).check(), Conforming, "it made way");
}

#[test]
fn requests_checked_together_are_decided_as_one_by_one() {
    let source = IpAddr::from([192, 0, 2, 7]);
    let mut together = limiter(10, 5);
    let mut singly = Limiter { hasher: together.hasher.clone(), ..limiter(10, 5) };
    for (requests, now) in [(3, 0), (0, 0), (100, 0), (1, 0), (7, 1), (100, 2)] {
        let now = now * SECOND;
        let mut bucket = singly.bucket(source, now);
        let expected = Vec::from_iter((0..requests).map(|_| bucket.check()));
        let decisions = together.bucket(source, now).check_many(requests);
        let conforming = expected.iter().filter(|decision| **decision == Conforming).count();
        assert_eq!(decisions.conforming(), conforming as u64);
        assert_eq!(Vec::from_iter(decisions), expected);
    }
}

#[test]
fn no_time_is_too_late() {
    let mut limiter = limiter(1, u32::MAX);
    let source = IpAddr::from([192, 0, 2, 7]);
    for now in [Duration::MAX, Duration::ZERO, Duration::MAX] {
        limiter.bucket(source, now).check();
    }
}
