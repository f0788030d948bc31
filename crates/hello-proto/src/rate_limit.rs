use alloc::vec;
use alloc::vec::Vec;
use core::hash::{BuildHasher, Hash, Hasher};
use core::net::{IpAddr, Ipv6Addr};
use core::num::NonZeroU32;
use core::ops::Range;
use core::time::Duration;

use thiserror::Error;

/// The rate and the burst that one source network may have.
///
/// The default is [`DEFAULT_RATE`](Self::DEFAULT_RATE) and [`DEFAULT_BURST`](Self::DEFAULT_BURST).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// The time between requests at the rate, in nanoseconds (GCRA).
    emission_interval: u64,
    /// The emission intervals of a burst, in nanoseconds (GCRA).
    burst_tolerance: u64,
}

impl Rate {
    /// The highest rate, in requests per second: one each nanosecond, the unit of time here.
    pub const MAX_RATE: u32 = 1_000_000_000;

    /// The default rate, in requests per second.
    pub const DEFAULT_RATE: u32 = 1000;

    /// The default burst, in requests: two seconds' worth.
    pub const DEFAULT_BURST: u32 = 2000;

    /// Allows `rate` requests per second on average, and up to `burst` at once.
    ///
    /// # Errors
    ///
    /// [`RateTooHigh`] above [`MAX_RATE`](Self::MAX_RATE).
    pub fn new(rate: NonZeroU32, burst: NonZeroU32) -> Result<Self, RateTooHigh> {
        if rate.get() > Self::MAX_RATE {
            return Err(RateTooHigh { rate: rate.get(), max: Self::MAX_RATE });
        }
        // Rounded up, so that rounding never allows more than the rate.
        let emission_interval = u64::from(Self::MAX_RATE.div_ceil(rate.get()));
        Ok(Self { emission_interval, burst_tolerance: emission_interval * u64::from(burst.get()) })
    }

    /// Returns the time between requests at the rate (GCRA).
    pub const fn emission_interval(&self) -> Duration {
        Duration::from_nanos(self.emission_interval)
    }

    /// Returns the emission intervals of a burst (GCRA).
    pub const fn burst_tolerance(&self) -> Duration {
        Duration::from_nanos(self.burst_tolerance)
    }
}

impl Default for Rate {
    fn default() -> Self {
        let emission_interval = u64::from(Self::MAX_RATE / Self::DEFAULT_RATE);
        Self {
            emission_interval,
            burst_tolerance: emission_interval * u64::from(Self::DEFAULT_BURST),
        }
    }
}

/// An error of the caller: a rate is too high to be counted.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq, Hash)]
#[error("rate of {rate} requests a second is too high, at most {max} can be counted")]
pub struct RateTooHigh {
    /// The rate asked for, in requests a second.
    pub rate: u32,
    /// The highest rate, in requests a second.
    pub max: u32,
}

/// A rate limiter for each source network, in constant memory.
///
/// A network is a /24 of IPv4 or a /64 of IPv6. Prefixes that strangers share count address by
/// address: link-local (`fe80::/10`), NAT64 (`64:ff9b::/96`, `64:ff9b:1::/48`) and Teredo
/// (`2001::/32`).
///
/// Source addresses can be spoofed. An attacker who spoofs a victim, to flood it with replies or to
/// use up its limit, is limited too. But one in [`LEAK_ONE_IN`](Self::LEAK_ONE_IN) requests over the
/// limit is answered, so a victim that retries gets through. It is chosen at random, so that nobody can
/// synchronise with it or predict it from earlier replies.
///
/// ```
/// use core::num::NonZeroU32;
/// use core::time::Duration;
/// use std::hash::RandomState;
///
/// use hello_proto::{Decision, Limiter, Rate};
///
/// let limit = Rate::new(NonZeroU32::new(10).unwrap(), NonZeroU32::new(2).unwrap())?;
/// let mut limiter = Limiter::new(limit, RandomState::new());
///
/// let mut bucket = limiter.bucket([192, 0, 2, 7].into(), Duration::ZERO);
/// let decisions: [_; 1002] = std::array::from_fn(|_| bucket.check());
/// let (burst, over) = decisions.split_at(2);
/// assert_eq!(burst, [Decision::Conforming; 2]);
/// assert!(!over.contains(&Decision::Conforming));
/// let leaked = over.iter().filter(|decision| **decision == Decision::Leaked).count();
/// assert!((150..350).contains(&leaked), "about one in four");
///
/// let mut later = limiter.bucket([192, 0, 2, 9].into(), Duration::from_millis(100));
/// assert_eq!(later.check(), Decision::Conforming);
/// assert_ne!(later.check(), Decision::Conforming);
/// # Ok::<(), hello_proto::RateTooHigh>(())
/// ```
///
/// # Table
///
/// A token bucket for each network, stored as the time at which it will be full again (the generic
/// cell rate algorithm, ITU-T I.371), in an 8-way set-associative table of
/// [`BUCKETS`](Self::BUCKETS). The hasher `S` chooses the set of a network and the requests that leak.
/// Key it at random, or an attacker can compute sources that share a set, and predict the leaks.
///
/// When a set is full, its fullest bucket is evicted. Evicting a full bucket loses nothing, so a network
/// can exceed its limit only while more networks are active than the table holds. No network ever gets
/// less than its limit.
#[derive(Debug)]
pub struct Limiter<S> {
    limit: Rate,
    buckets: Vec<BucketState>,
    hasher: S,
    draws: u64,
}

impl<S> Limiter<S> {
    /// The number of networks in the table.
    pub const BUCKETS: usize = SETS * WAYS;

    /// One in this many requests over the limit is answered, on average.
    pub const LEAK_ONE_IN: u64 = 4;

    /// The prefixes that strangers share, each with its length in bits: link-local (RFC 4291 section
    /// 2.5.6), NAT64 (RFC 6052 and, for local use, RFC 8215) and Teredo (RFC 4380).
    pub const SHARED_PREFIXES: [(Ipv6Addr, u8); 4] = [
        (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10),
        (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96),
        (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48),
        (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 32),
    ];
}

impl<S: BuildHasher> Limiter<S> {
    /// Creates a limiter, and allocates all the memory it will ever need, about 1.5 MiB.
    pub fn new(limit: Rate, hasher: S) -> Self {
        Self { limit, buckets: vec![BucketState::FULL; Self::BUCKETS], hasher, draws: 0 }
    }

    /// Looks up the bucket of a source's network at `now`, the time since any fixed origin. Call it once
    /// for all datagrams of one source in a batch.
    ///
    /// A network enters the table with its first [check](Bucket::check), so requests that are refused
    /// for other reasons evict nothing. IPv4-mapped IPv6 addresses count as IPv4 addresses.
    pub fn bucket(&mut self, source: IpAddr, now: Duration) -> Bucket<'_, S> {
        self.bucket_at(BucketKey::new(source, &self.hasher), now)
    }

    /// Looks up the bucket of a key, which was computed with the hasher of this limiter, as
    /// [`bucket`](Self::bucket) does.
    pub fn bucket_at(&mut self, key: BucketKey, now: Duration) -> Bucket<'_, S> {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let BucketKey { network, set } = key;
        let set = &mut self.buckets[set * WAYS..][..WAYS];
        let place = set.iter().position(|bucket| bucket.network == network).unwrap_or_else(|| {
            let fuller = |a: usize, b: usize| if set[b].full_at < set[a].full_at { b } else { a };
            (1..WAYS).fold(0, fuller)
        });
        let (bucket, hasher, draws) = (&mut set[place], &self.hasher, &mut self.draws);
        Bucket { limit: self.limit, network, bucket, now, hasher, draws }
    }
}

/// Where a [`Limiter`] keeps the bucket of a source's network. It is the costly part of a decision, and
/// needs only the hasher, so threads that share a limiter can compute it before they lock it.
///
/// ```
/// use core::time::Duration;
/// use std::hash::RandomState;
///
/// use hello_proto::{BucketKey, Decision, Limiter, Rate};
///
/// let hasher = RandomState::new();
/// let mut limiter = Limiter::new(Rate::default(), hasher.clone());
/// let key = BucketKey::new([192, 0, 2, 7].into(), &hasher);
/// assert_eq!(key, BucketKey::new([192, 0, 2, 8].into(), &hasher), "the same network");
/// let mut decisions = limiter.bucket_at(key, Duration::ZERO).check_many(2001);
/// assert_eq!(decisions.conforming(), 2000);
/// assert_ne!(decisions.nth(2000), Some(Decision::Conforming));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BucketKey {
    network: Network,
    set: usize,
}

impl BucketKey {
    /// Computes the key of a source. IPv4-mapped IPv6 addresses count as IPv4 addresses.
    pub fn new(source: IpAddr, hasher: &impl BuildHasher) -> Self {
        let network = Network::of(source);
        Self { network, set: set(hasher.hash_one(network)) }
    }
}

/// The bucket of one network in a [`Limiter`].
#[derive(Debug)]
pub struct Bucket<'a, S> {
    limit: Rate,
    network: Network,
    /// The bucket of this network, or the one to evict.
    bucket: &'a mut BucketState,
    now: u64,
    hasher: &'a S,
    /// The draws so far, of any network.
    draws: &'a mut u64,
}

impl<S: BuildHasher + Clone> Bucket<'_, S> {
    /// Decides on one request, and charges it to the bucket if it conforms.
    pub fn check(&mut self) -> Decision {
        self.check_many(1).next().unwrap_or(Decision::Exceeding)
    }

    /// Decides on requests that arrived together, and charges those to the bucket that conform: the
    /// first ones. This takes no longer for many than for one. The decisions borrow nothing, so threads
    /// that share a limiter can unlock it before they read them.
    pub fn check_many(&mut self, requests: u64) -> Decisions<S> {
        let mut conforming = 0;
        if requests > 0 {
            if self.bucket.network != self.network {
                *self.bucket = BucketState { network: self.network, ..BucketState::FULL };
            }
            let Rate { emission_interval, burst_tolerance } = self.limit;
            let from = self.now.max(self.bucket.full_at);
            let room = self.now.saturating_add(burst_tolerance).saturating_sub(from);
            conforming = requests.min(room / emission_interval);
            self.bucket.full_at = from + conforming * emission_interval;
        }
        let first = *self.draws;
        *self.draws = first.wrapping_add(requests - conforming);
        Decisions { conforming, draws: first..*self.draws, drawn: 0, hasher: self.hasher.clone() }
    }
}

/// The decisions on requests that arrived together, in their order; see [`Bucket::check_many`].
#[derive(Clone, Debug)]
pub struct Decisions<S> {
    conforming: u64,
    /// A draw for each of the others.
    draws: Range<u64>,
    /// The bits of the draws that were hashed together.
    drawn: u64,
    hasher: S,
}

impl<S> Decisions<S> {
    /// Returns how many of the next requests conform. All behind them exceed the limit.
    pub const fn conforming(&self) -> u64 {
        self.conforming
    }
}

impl<S: BuildHasher> Iterator for Decisions<S> {
    type Item = Decision;

    fn next(&mut self) -> Option<Decision> {
        if let Some(left) = self.conforming.checked_sub(1) {
            self.conforming = left;
            return Some(Decision::Conforming);
        }
        let draw = self.draws.next()?;
        // A keyed hash of a counter: without the key, earlier draws do not predict the next.
        if self.drawn == 0 || draw % DRAWS_PER_HASH == 0 {
            self.drawn = self.hasher.hash_one(draw / DRAWS_PER_HASH);
        }
        let bits = self.drawn >> (draw % DRAWS_PER_HASH * DRAW_BITS);
        Some(match bits % Limiter::<S>::LEAK_ONE_IN {
            0 => Decision::Leaked,
            _ => Decision::Exceeding,
        })
    }
}

/// The bits of a hash that decide whether one request leaks.
const DRAW_BITS: u64 = Limiter::<()>::LEAK_ONE_IN.ilog2() as u64;
const DRAWS_PER_HASH: u64 = u64::BITS as u64 / DRAW_BITS;

const _: () = assert!(Limiter::<()>::LEAK_ONE_IN.is_power_of_two(), "or some leak more often");

/// The decision of a [`Limiter`] on one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Decision {
    /// Within the limit: answer it.
    Conforming,
    /// Over the limit: do not answer it.
    Exceeding,
    /// Over the limit, but chosen at random: answer it.
    Leaked,
}

/// The state of one bucket in the table.
#[derive(Clone, Copy, Debug)]
struct BucketState {
    network: Network,
    /// When it will be full, in nanoseconds, if nothing is charged until then.
    full_at: u64,
}

impl BucketState {
    /// A full bucket. Not all zeros, since the system backs zeroed memory only once it changes. No
    /// source has this network: it is a multicast group.
    const FULL: Self = Self { network: Network { high: u64::MAX, low: u64::MAX }, full_at: 0 };
}

/// The address of a network; IPv4 in its IPv4-mapped form. In two halves, because a `u128` is aligned
/// to 16 bytes and would pad the bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    high: u64,
    low: u64,
}

impl Hash for Network {
    /// Hashes both halves at once, which is faster.
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(u128::from(self.high) << 64 | u128::from(self.low));
    }
}

impl Network {
    #[expect(clippy::cast_possible_truncation, reason = "the upper half is kept apart")]
    fn of(source: IpAddr) -> Self {
        let network = match source.to_canonical() {
            IpAddr::V4(address) => address.to_ipv6_mapped().to_bits() & !0 << 8,
            IpAddr::V6(address) => {
                let bits = address.to_bits();
                let is_in = |(prefix, len): &(Ipv6Addr, u8)| {
                    (bits ^ prefix.to_bits()) >> (128 - u32::from(*len)) == 0
                };
                if Limiter::<()>::SHARED_PREFIXES.iter().any(is_in) {
                    bits
                } else {
                    bits & !0 << 64
                }
            }
        };
        Self { high: (network >> 64) as u64, low: network as u64 }
    }
}

/// Returns the set of a hash.
#[expect(clippy::cast_possible_truncation, reason = "a few of the bits are enough")]
fn set(hash: u64) -> usize {
    hash as usize % SETS
}

/// The buckets of a set: the places for a network.
const WAYS: usize = 8;

/// Few under Miri, where it takes ten seconds to make them all.
const SETS: usize = if cfg!(miri) { 16 } else { 8192 };

#[cfg(test)]
mod tests;
