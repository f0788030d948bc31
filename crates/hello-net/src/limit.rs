use std::hash::RandomState;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hello_proto::{Account, Limit, Limiter};
use ipnet::{IpNet, Ipv4Net};

/// To which rate a server holds the networks that it answers, and which of them it does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    limit: Limit,
    exempt: Vec<IpNet>,
    dry_run: bool,
}

impl RateLimit {
    /// Holds every source network to `limit`, in memory that does not grow; see [`Limiter`].
    pub fn new(limit: Limit) -> Self {
        Self { limit, exempt: Vec::new(), dry_run: false }
    }

    /// Holds these networks to no limit. Those of IPv4-mapped IPv6 addresses count as the IPv4
    /// networks they stand for.
    #[must_use]
    pub fn exempt(mut self, networks: impl IntoIterator<Item = IpNet>) -> Self {
        self.exempt.extend(networks.into_iter().map(canonical));
        self
    }

    /// Sets whether what is over the limit is counted and answered all the same
    /// ([`Counters::over_limit_answered`](crate::Counters::over_limit_answered)), to see what a
    /// limit would do.
    #[must_use]
    pub fn dry_run(self, dry_run: bool) -> Self {
        Self { dry_run, ..self }
    }
}

/// The accounts of a server's sources, which all of its workers share.
#[derive(Debug)]
pub(crate) struct Accounts {
    limiter: Mutex<Limiter<RandomState>>,
    exempt: Vec<IpNet>,
    pub(crate) dry_run: bool,
    start: Instant,
}

/// The accounts while one worker decides.
#[derive(Debug)]
pub(crate) struct OpenAccounts<'a> {
    limiter: MutexGuard<'a, Limiter<RandomState>>,
    exempt: &'a [IpNet],
    now: Duration,
}

impl Accounts {
    pub(crate) fn new(limit: RateLimit) -> Self {
        let RateLimit { limit, exempt, dry_run } = limit;
        let limiter = Mutex::new(Limiter::new(limit, RandomState::new()));
        Self { limiter, exempt, dry_run, start: Instant::now() }
    }

    /// Takes the accounts for a whole batch, so that its datagrams have one time.
    pub(crate) fn open(&self) -> OpenAccounts<'_> {
        let limiter = self.limiter.lock().unwrap_or_else(PoisonError::into_inner);
        OpenAccounts { limiter, exempt: &self.exempt, now: self.start.elapsed() }
    }
}

impl OpenAccounts<'_> {
    /// Returns the account of the source's network, unless that is exempt.
    pub(crate) fn of(&mut self, source: IpAddr) -> Option<Account<'_>> {
        let source = source.to_canonical();
        let exempt = self.exempt.iter().any(|network| network.contains(&source));
        (!exempt).then(|| self.limiter.account(source, self.now))
    }
}

/// Returns a network as [`IpAddr::to_canonical`] has its addresses.
fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(mapped) = network else { return network };
    let prefix = mapped.prefix_len().checked_sub(MAPPED);
    let known = mapped.addr().to_ipv4_mapped().zip(prefix);
    let stood_for = known.and_then(|(address, prefix)| Ipv4Net::new(address, prefix).ok());
    stood_for.map_or(network, IpNet::V4)
}

/// How many bits of an IPv4-mapped IPv6 address stand before the IPv4 address.
const MAPPED: u8 = 96;

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use hello_proto::Verdict;

    use super::*;

    #[test]
    fn exempt_networks_have_no_account_whatever_family_the_socket_has() {
        let limit = Limit::new(NonZeroU32::MIN, NonZeroU32::MIN).expect("a low rate");
        let networks = ["192.0.2.0/25", "2001:db8::/32", "::ffff:203.0.113.0/121", "::/80"]
            .map(|text| text.parse().expect("one"));
        let accounts = Accounts::new(RateLimit::new(limit).exempt(networks));
        let mut open = accounts.open();
        let mut limited = |text: &str| open.of(text.parse().expect("an address")).is_some();
        for exempt in
            ["192.0.2.127", "::ffff:192.0.2.1", "2001:db8:ffff::1", "203.0.113.127", "::1"]
        {
            assert!(!limited(exempt), "{exempt}");
        }
        for source in ["192.0.2.128", "::ffff:192.0.2.129", "2001:db9::1", "203.0.113.128"] {
            assert!(limited(source), "{source}");
        }
    }

    #[test]
    fn accounts_last_from_one_batch_to_the_next() {
        let rate = NonZeroU32::MIN;
        let burst = NonZeroU32::new(2).expect("not zero");
        let accounts = Accounts::new(RateLimit::new(Limit::new(rate, burst).expect("a low rate")));
        let verdicts = [(); 3].map(|()| {
            let mut open = accounts.open();
            // As if no time had passed, however long this takes.
            open.now = Duration::ZERO;
            open.of([192, 0, 2, 7].into()).map(|mut account| account.debit())
        });
        assert_eq!(verdicts, [Verdict::Within, Verdict::Within, Verdict::Over].map(Some));
    }
}
