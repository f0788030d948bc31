use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;
use std::time::Duration;

use hello_proto::{Decision, Limiter, Rate};
use proptest::collection::vec;
use proptest::prelude::*;

use super::config;

/// A token bucket for each network, without a limit on their number. It counts in fractions of a
/// request: `1 / rate` of a nanosecond each.
struct Exact {
    rate: u128,
    burst: u128,
    buckets: HashMap<u32, BucketState>,
}

struct BucketState {
    earned: u128,
    seen: Duration,
}

const REQUEST: u128 = 1_000_000_000;

impl Exact {
    fn new(rate: u32, burst: u32) -> Self {
        Self { rate: rate.into(), burst: burst.into(), buckets: HashMap::new() }
    }

    /// Takes a request's emission interval from the bucket, if the bucket holds that much.
    fn check(&mut self, network: u32, now: Duration) -> bool {
        let full = self.burst * REQUEST;
        let fresh = BucketState { earned: full, seen: now };
        let bucket = self.buckets.entry(network).or_insert(fresh);
        let earned = (now - bucket.seen).as_nanos() * self.rate;
        (bucket.earned, bucket.seen) = (full.min(bucket.earned + earned), now);
        let left = bucket.earned.checked_sub(REQUEST);
        bucket.earned = left.unwrap_or(bucket.earned);
        left.is_some()
    }
}

/// An address of a network; the network's other addresses share its bucket.
fn source(network: u32, host: u8) -> IpAddr {
    if network % 2 == 0 {
        Ipv4Addr::from_bits(network << 8 | u32::from(host)).into()
    } else {
        Ipv6Addr::from_bits(0x2001_0db8 << 96 | u128::from(network) << 64 | u128::from(host)).into()
    }
}

/// The events of a run: time passes, and a network sends a number of requests.
type Steps = Vec<(u64, u32, u8, usize)>;

/// More steps than are played.
const LONG: usize = if cfg!(miri) { 20 } else { 200 };

fn steps(networks: u32) -> impl Strategy<Value = Steps> {
    let wait = prop_oneof![Just(0), 0..1_000_u64, 0..3_000_000_000_u64];
    vec((wait, 0..networks, any::<u8>(), 1..20_usize), 1..LONG)
}

/// Rates whose emission interval is a whole number of nanoseconds, in which the model counts too.
fn rate() -> impl Strategy<Value = u32> {
    prop::sample::select(vec![1, 2, 5, 8, 10, 1000, 50_000, 1_000_000_000])
}

/// Plays steps for both, and passes each pair of decisions on a network to `compare`: the limiter's
/// decision, and whether the request conforms according to the model.
fn play<S: BuildHasher + Clone>(
    (rate, burst): (u32, u32),
    hasher: S,
    steps: Steps,
    mut compare: impl FnMut(u32, Decision, bool) -> Result<(), TestCaseError>,
) -> Result<(), TestCaseError> {
    let [r, b] = [rate, burst].map(|number| NonZeroU32::new(number).expect("not zero"));
    let mut limiter = Limiter::new(Rate::new(r, b)?, hasher);
    let (mut exact, mut now) = (Exact::new(rate, burst), Duration::ZERO);
    for (wait, network, host, times) in steps {
        now += Duration::from_nanos(wait);
        let mut bucket = limiter.bucket(source(network, host), now);
        // At once, or one by one.
        let decisions = match host % 2 {
            0 => Vec::from_iter(bucket.check_many(times as u64)),
            _ => Vec::from_iter((0..times).map(|_| bucket.check())),
        };
        prop_assert_eq!(decisions.len(), times);
        for decision in decisions {
            compare(network, decision, exact.check(network, now))?;
        }
    }
    Ok(())
}

/// Puts every network into the same few buckets.
#[derive(Default)]
struct Crowded;

impl Hasher for Crowded {
    fn write(&mut self, _: &[u8]) {}

    fn finish(&self) -> u64 {
        7
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: config().cases.div_ceil(4), ..config() })]

    #[test]
    fn limit_is_exact_and_one_in_four_excess_requests_leaks(
        rate in rate(),
        burst in 1..30_u32,
        steps in steps(40),
    ) {
        let (mut over, mut leaked) = (0_u32, 0_u32);
        play((rate, burst), RandomState::new(), steps, |_, ours, exact| {
            prop_assert_eq!(ours == Decision::Conforming, exact);
            over += u32::from(!exact);
            leaked += u32::from(ours == Decision::Leaked);
            Ok(())
        })?;
        // Six standard deviations.
        let spread = 6.0 * (f64::from(over) * 3.0 / 16.0).sqrt();
        let off = (f64::from(leaked) - f64::from(over) / 4.0).abs();
        prop_assert!(off <= spread, "{leaked} leaked of {over} over the limit");
    }

    #[test]
    fn crowded_table_grants_every_network_its_limit(
        rate in rate(),
        burst in 1..30_u32,
        steps in steps(60),
    ) {
        let mut more = HashMap::new();
        play((rate, burst), BuildHasherDefault::<Crowded>::default(), steps, |network, ours, exact| {
            let more: &mut i32 = more.entry(network).or_default();
            *more += i32::from(ours == Decision::Conforming) - i32::from(exact);
            prop_assert!(*more >= 0);
            Ok(())
        })?;
    }

    #[test]
    fn networks_in_the_table_are_distinguished_under_any_hash(
        rate in rate(),
        burst in 1..30_u32,
        steps in steps(8),
    ) {
        play((rate, burst), BuildHasherDefault::<Crowded>::default(), steps, |_, ours, exact| {
            prop_assert_eq!(ours == Decision::Conforming, exact);
            Ok(())
        })?;
    }
}
