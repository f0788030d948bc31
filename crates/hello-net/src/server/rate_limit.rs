use std::hash::RandomState;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hello_proto::{BucketKey, Decision, Decisions, Limiter, Rate};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::classify::Verdict;
use crate::xdp::driver::DriverLimit;

/// The rate limit of each source network, and the networks exempt from it.
///
/// The default is 1000 requests per second with bursts of 2000 ([`Rate::default`]) for every
/// network but the loopback (127.0.0.0/8 and `::1`).
///
/// ```
/// use std::num::NonZeroU32;
///
/// use hello_net::{RateLimit, Server};
/// use hello_proto::Rate;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let limit = Rate::new(NonZeroU32::try_from(200)?, NonZeroU32::try_from(400)?)?;
/// let limit = RateLimit::new(limit).exempt(["192.0.2.0/24".parse()?]);
/// let server = Server::builder().rate_limit(limit).bind([([127, 0, 0, 1], 0).into()])?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    limit: Rate,
    exempt: Vec<IpNet>,
    dry_run: bool,
}

impl RateLimit {
    /// Limits every source network to this rate, including the loopback, in memory that never
    /// grows; see [`Limiter`].
    pub fn new(limit: Rate) -> Self {
        Self { limit, exempt: Vec::new(), dry_run: false }
    }

    /// Exempts networks from the limit. Networks of IPv4-mapped IPv6 addresses count as the IPv4
    /// networks they stand for.
    #[must_use]
    pub fn exempt(mut self, networks: impl IntoIterator<Item = IpNet>) -> Self {
        self.exempt.extend(networks.into_iter().map(canonical));
        self
    }

    /// Exempts the loopback, 127.0.0.0/8 and `::1`.
    #[must_use]
    pub fn exempt_loopback(self) -> Self {
        self.exempt(LOOPBACK)
    }

    /// Sets whether requests over the limit are only counted and still answered, to see what a
    /// limit would do; see [`ServerCounters::over_limit_answered`].
    ///
    /// [`ServerCounters::over_limit_answered`]:
    /// crate::server::counters::ServerCounters::over_limit_answered
    #[must_use]
    pub fn dry_run(self, dry_run: bool) -> Self {
        Self { dry_run, ..self }
    }

    /// Returns the same limit for what is answered in drivers.
    pub(super) fn in_driver(&self) -> DriverLimit {
        DriverLimit {
            emission_interval: self.limit.emission_interval(),
            burst_tolerance: self.limit.burst_tolerance(),
            exempt: self.exempt.clone(),
            dry_run: self.dry_run,
        }
    }
}

impl Default for RateLimit {
    fn default() -> Self {
        Self::new(Rate::default()).exempt_loopback()
    }
}

/// The limiter that all workers of a server share.
#[derive(Debug)]
pub(crate) struct SharedLimiter {
    limiter: Mutex<Limiter<RandomState>>,
    /// The limiter's.
    hasher: RandomState,
    exempt: Exempt,
    dry_run: bool,
    start: Instant,
}

impl SharedLimiter {
    pub(crate) fn new(limit: RateLimit) -> Self {
        let RateLimit { limit, exempt, dry_run } = limit;
        let hasher = RandomState::new();
        let limiter = Mutex::new(Limiter::new(limit, hasher.clone()));
        Self { limiter, hasher, exempt: Exempt::new(&exempt), dry_run, start: Instant::now() }
    }

    /// Returns the key of a source that is subject to the limit.
    pub(super) fn key(&self, source: IpAddr) -> Option<BucketKey> {
        let is_exempt = self.exempt.contains(source.to_canonical());
        (!is_exempt).then(|| BucketKey::new(source, &self.hasher))
    }

    /// Returns the time by which it counts.
    pub(super) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Decides on requests of one source that arrived together, and charges it for those that conform.
    ///
    /// The other workers wait meanwhile, so nothing else is done here.
    pub(super) fn check(&self, key: BucketKey, now: Duration, requests: u64) -> Verdicts {
        let mut limiter = self.limiter.lock().unwrap_or_else(PoisonError::into_inner);
        let decisions = limiter.bucket_at(key, now).check_many(requests);
        drop(limiter);
        Verdicts { decisions, dry_run: self.dry_run }
    }
}

/// The verdicts on requests that arrived together, in their order.
#[derive(Debug)]
pub(super) struct Verdicts {
    decisions: Decisions<RandomState>,
    dry_run: bool,
}

impl Verdicts {
    /// Returns how many of the next requests conform. All behind them exceed the limit.
    pub(super) fn conforming(&self) -> u64 {
        self.decisions.conforming()
    }
}

impl Iterator for Verdicts {
    type Item = Verdict;

    fn next(&mut self) -> Option<Verdict> {
        self.decisions.next().map(|decision| match decision {
            Decision::Conforming => Verdict::Answer,
            Decision::Exceeding if !self.dry_run => Verdict::OverLimit,
            Decision::Exceeding | Decision::Leaked => Verdict::AnswerOverLimit,
        })
    }
}

/// The addresses of the exempt networks: for each family disjoint ranges, in order.
#[derive(Debug)]
struct Exempt {
    v4: Vec<RangeInclusive<u32>>,
    v6: Vec<RangeInclusive<u128>>,
}

impl Exempt {
    fn new(networks: &Vec<IpNet>) -> Self {
        let mut disjoint = IpNet::aggregate(networks);
        disjoint.sort_unstable();
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for network in disjoint {
            match network {
                IpNet::V4(net) => v4.push(net.network().to_bits()..=net.broadcast().to_bits()),
                IpNet::V6(net) => v6.push(net.network().to_bits()..=net.broadcast().to_bits()),
            }
        }
        Self { v4, v6 }
    }

    fn contains(&self, source: IpAddr) -> bool {
        match source {
            IpAddr::V4(source) => contains(&self.v4, source.to_bits()),
            IpAddr::V6(source) => contains(&self.v6, source.to_bits()),
        }
    }
}

/// Returns whether one of the ranges contains an address, by binary search.
fn contains<T: Ord + Copy>(ranges: &[RangeInclusive<T>], address: T) -> bool {
    let behind = ranges.partition_point(|range| *range.start() <= address);
    ranges[..behind].last().is_some_and(|range| address <= *range.end())
}

/// Returns a network in the form that [`IpAddr::to_canonical`] gives its addresses.
fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(mapped) = network else { return network };
    let prefix = mapped.prefix_len().checked_sub(MAPPED);
    let known = mapped.addr().to_ipv4_mapped().zip(prefix);
    let stood_for = known.and_then(|(address, prefix)| Ipv4Net::new(address, prefix).ok());
    stood_for.map_or(network, IpNet::V4)
}

/// The networks of the loopback (RFC 6890).
const LOOPBACK: [IpNet; 2] = [
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8)),
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128)),
];

/// The number of bits before the IPv4 address in an IPv4-mapped IPv6 address.
const MAPPED: u8 = 96;

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn limiter(burst: u32, limit: impl FnOnce(RateLimit) -> RateLimit) -> SharedLimiter {
        let burst = NonZeroU32::new(burst).expect("not zero");
        let rate = Rate::new(NonZeroU32::MIN, burst).expect("a low rate");
        SharedLimiter::new(limit(RateLimit::new(rate)))
    }

    /// Debits one request as if no time had passed, however long this takes. Returns whether it
    /// conforms.
    fn check(limiter: &SharedLimiter, source: IpAddr) -> bool {
        limiter
            .key(source)
            .is_none_or(|key| limiter.check(key, Duration::ZERO, 1).next() == Some(Verdict::Answer))
    }

    /// Returns whether a source is limited to one request.
    fn is_limited(limiter: &SharedLimiter, source: &str) -> bool {
        let source = source.parse().expect("an address");
        (0..2).any(|_| !check(limiter, source))
    }

    #[test]
    fn exempt_networks_have_no_limit_whatever_family_the_socket_has() {
        let networks = ["192.0.2.0/25", "2001:db8::/32", "::ffff:203.0.113.0/121", "::/80"]
            .map(|text| text.parse().expect("one"));
        let limiter = limiter(1, |limit| limit.exempt(networks));
        for exempt in
            ["192.0.2.127", "::ffff:192.0.2.1", "2001:db8:ffff::1", "203.0.113.127", "::1"]
        {
            assert!(!is_limited(&limiter, exempt), "{exempt}");
        }
        for source in ["192.0.2.128", "::ffff:192.0.2.129", "2001:db9::1", "203.0.113.128"] {
            assert!(is_limited(&limiter, source), "{source}");
        }
    }

    #[test]
    fn the_default_limits_every_network_but_the_loopback() {
        let RateLimit { limit, exempt, dry_run } = RateLimit::default();
        assert_eq!((limit, dry_run), (Rate::default(), false));
        let limiter = limiter(1, |limit| limit.exempt(exempt));
        for exempt in ["127.0.0.1", "127.255.255.255", "::1", "::ffff:127.0.0.1"] {
            assert!(!is_limited(&limiter, exempt), "{exempt}");
        }
        for source in ["126.255.255.255", "128.0.0.0", "::", "::2", "192.0.2.1", "fe80::1"] {
            assert!(is_limited(&limiter, source), "{source}");
        }
    }

    #[test]
    fn buckets_persist_from_one_batch_to_the_next() {
        let limiter = limiter(2, |limit| limit);
        let conforms = [(); 3].map(|()| check(&limiter, [192, 0, 2, 7].into()));
        assert_eq!(conforms, [true, true, false]);
    }

    fn network() -> impl Strategy<Value = IpNet> {
        // Few addresses, so that networks meet, contain and touch each other.
        let v4 = (0..64_u32, 24..=32_u8).prop_map(|(address, len)| {
            let address = Ipv4Addr::from_bits(0xc000_0200 | address << 2);
            IpNet::new(address.into(), len).expect("a length")
        });
        let v6 = (0..64_u128, 120..=128_u8, any::<bool>()).prop_map(|(address, len, mapped)| {
            let prefix = if mapped { 0xffff_c000_0200 } else { 0 };
            let address = Ipv6Addr::from_bits(prefix | address << 2);
            IpNet::new(address.into(), len).expect("a length")
        });
        prop_oneof![
            v4,
            v6,
            Just("0.0.0.0/0".parse().expect("one")),
            Just("::/0".parse().expect("one"))
        ]
    }

    proptest! {
        #[test]
        fn a_source_is_exempt_if_any_of_the_networks_contains_it(
            networks in vec(network(), 0..20),
        ) {
            let networks = Vec::from_iter(networks.into_iter().map(canonical));
            let exempt = Exempt::new(&networks);
            for host in 0..=0x1ff {
                for source in [
                    IpAddr::from(Ipv4Addr::from_bits(0xc000_01ff + host)),
                    Ipv6Addr::from_bits(host.into()).into(),
                    Ipv6Addr::from_bits((0x2001_0db8 << 96) + u128::from(host)).into(),
                ] {
                    let naive = networks.iter().any(|network| network.contains(&source));
                    prop_assert_eq!(exempt.contains(source), naive, "{}", source);
                }
            }
        }
    }
}
