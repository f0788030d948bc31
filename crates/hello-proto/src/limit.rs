use alloc::vec;
use alloc::vec::Vec;
use core::hash::BuildHasher;
use core::net::IpAddr;
use core::num::NonZeroU32;
use core::time::Duration;

use thiserror::Error;

/// How many requests one network may have answered: so many a second, and so many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What a request costs, in nanoseconds: how long it takes to earn one.
    cost: u64,
    /// What can be saved up, in nanoseconds: a burst's cost.
    savings: u64,
}

impl Limit {
    /// The highest rate, in requests a second: one each nanosecond, in which time is counted.
    pub const MAX_RATE: u32 = 1_000_000_000;

    /// Allows `rate` requests a second on the average, and up to `burst` at once.
    ///
    /// # Errors
    ///
    /// [`RateTooHigh`] above [`MAX_RATE`](Self::MAX_RATE).
    pub fn new(rate: NonZeroU32, burst: NonZeroU32) -> Result<Self, RateTooHigh> {
        if rate.get() > Self::MAX_RATE {
            return Err(RateTooHigh { rate: rate.get(), max: Self::MAX_RATE });
        }
        // Rounded up, so that no rounding allows more than was said.
        let cost = u64::from(Self::MAX_RATE.div_ceil(rate.get()));
        Ok(Self { cost, savings: cost * u64::from(burst.get()) })
    }
}

/// A rate is higher than can be counted: the caller's fault.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq, Hash)]
#[error("rate of {rate} requests a second is too high, at most {max} can be counted")]
pub struct RateTooHigh {
    /// The rate asked for, in requests a second.
    pub rate: u32,
    /// The highest rate, in requests a second.
    pub max: u32,
}

/// Holds each source network (/24 of IPv4, /64 of IPv6) to a [`Limit`], in memory that never
/// grows.
///
/// A source address is easily a lie. Who asks in the name of a victim, to have the replies flood
/// it or to have the victim itself go unanswered, is held to the limit. But one of
/// [`SPARED_ONE_IN`](Self::SPARED_ONE_IN) requests over it is answered all the same, so that a
/// victim that asks again is heard.
///
/// ```
/// use core::num::NonZeroU32;
/// use core::time::Duration;
/// use std::hash::RandomState;
///
/// use hello_proto::{Limit, Limiter, Verdict::*};
///
/// let limit = Limit::new(NonZeroU32::new(10).unwrap(), NonZeroU32::new(2).unwrap())?;
/// let mut limiter = Limiter::new(limit, RandomState::new());
///
/// let mut account = limiter.account([192, 0, 2, 7].into(), Duration::ZERO);
/// let verdicts: [_; 7] = std::array::from_fn(|_| account.debit());
/// assert_eq!(verdicts, [Within, Within, Over, Over, Over, Spared, Over]);
///
/// let mut later = limiter.account([192, 0, 2, 9].into(), Duration::from_millis(100));
/// assert_eq!([later.debit(), later.debit()], [Within, Over]);
/// # Ok::<(), hello_proto::RateTooHigh>(())
/// ```
///
/// # What it keeps
///
/// A token bucket for each network, kept as the time at which it will be full again (the generic
/// cell rate algorithm, ITU-T I.371), in a table of [`BUCKETS`](Self::BUCKETS). The places that a
/// network can have are chosen by `S`, which is to be keyed at random, lest somebody finds sources
/// that share them. Where all of them are taken, the bucket that is nearest to full makes way. A
/// full one is forgotten without loss; so only where more networks are active at once than the
/// table has room for may one have more answered than its limit. None ever has less in all.
#[derive(Debug)]
pub struct Limiter<S> {
    limit: Limit,
    buckets: Vec<Bucket>,
    hasher: S,
}

impl<S> Limiter<S> {
    /// How many networks are remembered at the most.
    pub const BUCKETS: usize = SETS * WAYS;

    /// Of so many requests over the limit, the last is answered.
    pub const SPARED_ONE_IN: u8 = 4;
}

impl<S: BuildHasher> Limiter<S> {
    /// Takes all the memory it will ever need, about 1.5 MiB.
    pub fn new(limit: Limit, hasher: S) -> Self {
        Self { limit, buckets: vec![Bucket::FULL; Self::BUCKETS], hasher }
    }

    /// Looks up the account of the network that `source` belongs to; `now` is the time since any
    /// origin, always the same. One who gets many datagrams of one sender at once asks only once.
    ///
    /// A network takes its place with its first debit, lest what is refused for other reasons has
    /// others forgotten.
    ///
    /// IPv4-mapped IPv6 addresses count as the IPv4 addresses they stand for.
    pub fn account(&mut self, source: IpAddr, now: Duration) -> Account<'_> {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let network = network(source);
        let set = set(self.hasher.hash_one(network)) * WAYS;
        let set = &mut self.buckets[set..][..WAYS];
        let place = set.iter().position(|bucket| bucket.network == network).unwrap_or_else(|| {
            let fuller = |a: usize, b: usize| if set[b].full_at < set[a].full_at { b } else { a };
            (1..WAYS).fold(0, fuller)
        });
        Account { limit: self.limit, network, bucket: &mut set[place], now }
    }
}

/// What one network has left.
#[derive(Debug)]
pub struct Account<'a> {
    limit: Limit,
    network: u64,
    /// Its own, or the one that makes way for it.
    bucket: &'a mut Bucket,
    now: u64,
}

impl Account<'_> {
    /// Decides on one request, and takes its cost from the account if it is within the limit.
    pub fn debit(&mut self) -> Verdict {
        if self.bucket.network != self.network {
            *self.bucket = Bucket { network: self.network, ..Bucket::FULL };
        }
        let Bucket { full_at, until_spared, .. } = &mut *self.bucket;
        let after = self.now.max(*full_at).saturating_add(self.limit.cost);
        if after - self.now <= self.limit.savings {
            *full_at = after;
            return Verdict::Within;
        }
        *until_spared -= 1;
        if *until_spared > 0 {
            return Verdict::Over;
        }
        *until_spared = Limiter::<()>::SPARED_ONE_IN;
        Verdict::Spared
    }
}

/// What a [`Limiter`] says to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It is within the limit.
    Within,
    /// It is over the limit, and not to be answered.
    Over,
    /// It is over the limit, and to be answered all the same.
    Spared,
}

/// A network's bucket of tokens.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    network: u64,
    /// When it will be full, if nothing is taken from it until then, in nanoseconds.
    full_at: u64,
    /// How many requests over the limit there are to come, until the last of them is spared.
    until_spared: u8,
}

impl Bucket {
    /// Not all zeros: those the system would give no memory before they change.
    const FULL: Self = Self { network: 0, full_at: 0, until_spared: Limiter::<()>::SPARED_ONE_IN };
}

/// Returns the number of a network: the first 64 bits of an IPv6 address, the first 24 of an IPv4
/// address behind bits that no IPv6 source starts with, for they would make it a multicast group.
fn network(source: IpAddr) -> u64 {
    match source.to_canonical() {
        IpAddr::V4(address) => u64::MAX << 24 | u64::from(address.to_bits() >> 8),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments().map(u64::from);
            a << 48 | b << 32 | c << 16 | d
        }
    }
}

/// Returns the number of the set that a hash belongs to.
#[expect(clippy::cast_possible_truncation, reason = "a few of the bits are enough")]
fn set(hash: u64) -> usize {
    hash as usize % SETS
}

/// In how many places a network's bucket can be.
const WAYS: usize = 8;

const SETS: usize = 8192;

#[cfg(test)]
mod tests {
    extern crate std;
    use std::hash::RandomState;
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::Verdict::{Over, Spared, Within};
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn limiter(rate: u32, burst: u32) -> Limiter<RandomState> {
        let [rate, burst] = [rate, burst].map(|number| NonZeroU32::new(number).expect("not zero"));
        Limiter::new(Limit::new(rate, burst).expect("a rate"), RandomState::new())
    }

    fn within(limiter: &mut Limiter<RandomState>, source: IpAddr, now: Duration) -> usize {
        let mut account = limiter.account(source, now);
        (0..1000).filter(|_| account.debit() == Within).count()
    }

    #[test]
    fn no_rounding_allows_more_than_the_rate() {
        for rate in [1, 3, 7, 999_999_999, 1_000_000_000] {
            let limit = Limit::new(NonZeroU32::new(rate).expect("not zero"), NonZeroU32::MIN);
            let cost = limit.expect("a rate").cost;
            assert!(cost * u64::from(rate) >= 1_000_000_000, "{rate}");
            assert!((cost - 1) * u64::from(rate) < 1_000_000_000, "{rate}");
        }
        let (rate, max) = (1_000_000_001, 1_000_000_000);
        let refused = Limit::new(NonZeroU32::new(rate).expect("not zero"), NonZeroU32::MIN);
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
    fn one_of_four_over_the_limit_is_spared_and_costs_nothing() {
        let mut limiter = limiter(1, 1);
        let source = IpAddr::from([192, 0, 2, 7]);
        let mut account = limiter.account(source, SECOND);
        assert_eq!(account.debit(), Within);
        for _ in 0..100 {
            let verdicts: [_; 4] = core::array::from_fn(|_| account.debit());
            assert_eq!(verdicts, [Over, Over, Over, Spared]);
        }
        assert_eq!(within(&mut limiter, source, 2 * SECOND), 1);
    }

    #[test]
    fn a_network_is_24_bits_of_ipv4_and_64_of_ipv6() {
        let numbers =
            |texts: [&str; 2]| texts.map(|text| network(text.parse().expect("an address")));
        for texts in [
            ["192.0.2.0", "192.0.2.255"],
            ["192.0.2.7", "::ffff:192.0.2.9"],
            ["2001:db8::", "2001:db8::ffff:ffff:ffff:ffff"],
        ] {
            let [one, other] = numbers(texts);
            assert_eq!(one, other, "{texts:?}");
        }
        for texts in [
            ["192.0.2.255", "192.0.3.0"],
            ["2001:db8::1", "2001:db8:0:1::1"],
            ["0.0.0.0", "::"],
            ["255.255.255.255", "feff:ffff:ffff:ffff::1"],
        ] {
            let [one, other] = numbers(texts);
            assert_ne!(one, other, "{texts:?}");
        }
    }

    #[test]
    fn who_is_over_the_limit_is_remembered_among_a_million_who_are_not() {
        let mut limiter = limiter(10, 10);
        let victim = IpAddr::from(Ipv4Addr::new(192, 0, 2, 7));
        assert_eq!(within(&mut limiter, victim, Duration::ZERO), 10);
        for number in 0..1_000_000_u128 {
            let source = Ipv6Addr::from_bits(0x2001_0db8 << 96 | number << 64);
            let mut account = limiter.account(source.into(), Duration::ZERO);
            assert_eq!(account.debit(), Within);
        }
        assert_eq!(within(&mut limiter, victim, Duration::ZERO), 0);
    }

    #[test]
    fn who_asks_nothing_that_is_answered_makes_nobody_be_forgotten() {
        /// Has all networks share one set.
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
        let limit = Limit::new(NonZeroU32::MIN, NonZeroU32::MIN).expect("a rate");
        let mut limiter = Limiter::new(limit, Same);
        let networks: [_; 256] =
            core::array::from_fn(|i| IpAddr::from([192, 0, i.to_le_bytes()[0], 7]));
        let (known, others) = networks.split_at(WAYS);
        for source in known {
            assert_eq!(limiter.account(*source, SECOND).debit(), Within);
        }
        for source in others {
            let _ = limiter.account(*source, SECOND);
        }
        for source in known {
            assert_eq!(limiter.account(*source, SECOND).debit(), Over, "{source}");
        }
        assert_eq!(limiter.account(others[0], SECOND).debit(), Within);
        assert_eq!(limiter.account(known[0], SECOND).debit(), Within, "it made way");
    }

    #[test]
    fn no_time_is_too_late() {
        let mut limiter = limiter(1, u32::MAX);
        let source = IpAddr::from([192, 0, 2, 7]);
        for now in [Duration::MAX, Duration::ZERO, Duration::MAX] {
            limiter.account(source, now).debit();
        }
    }
}
