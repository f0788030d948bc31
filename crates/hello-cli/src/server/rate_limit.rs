//! The rate limit of `hello-server`: its options, and its lines in the output.

use std::error::Error;
use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;

use hello_net::{IpNet, RateLimit};
use hello_proto::Rate;
use serde::Serialize;

use crate::args::{network, number};

/// The options of the rate limit.
#[derive(Debug, clap::Args)]
pub struct LimitArgs {
    // No documentation comment: rustdoc takes the brackets for a link.
    #[arg(
        long,
        help = "Answer at most RATE requests per second from each source network [default: 1000]",
        long_help = "Answer at most RATE requests per second from each source network \
                     [default: 1000, loopback exempt]\n\n\
                     A source network is a /24 of IPv4 or a /64 of IPv6. One in four requests over \
                     the limit is still answered, at random, so that spoofed requests cannot silence \
                     a victim. If RATE is given, it also applies to the loopback.",
        value_name = "RATE|off",
        value_parser = rate
    )]
    limit: Option<LimitValue>,

    /// Answer bursts of up to COUNT requests from a source network [default: twice RATE]
    #[arg(long, value_name = "COUNT", value_parser = number::count::<u32>(1..=u64::from(u32::MAX)))]
    limit_burst: Option<u32>,

    /// Exempt NETWORK from the limit, e.g. 192.0.2.0/24; repeat for several
    #[arg(long, value_name = "NETWORK", value_parser = network::parse)]
    limit_exempt: Vec<IpNet>,

    /// Count requests over the limit, but answer them
    ///
    /// Use it to choose a limit; see docs/operations.md.
    #[arg(long)]
    limit_dry_run: bool,
}

impl LimitArgs {
    /// Returns the limit, or `None` with `--limit off`.
    pub(crate) fn rate_limit(&self) -> Result<Option<RateLimit>, Box<dyn Error>> {
        let Some(numbers) = self.numbers() else {
            return match self.others().find(|(given, _)| *given) {
                Some((_, option)) => {
                    Err(format!("{option} cannot be combined with --limit off").into())
                }
                None => Ok(None),
            };
        };
        let [rate, burst] = [numbers.rate, numbers.burst].map(NonZeroU32::try_from);
        let limit = RateLimit::new(Rate::new(rate?, burst?)?);
        let limit = if self.limit.is_none() { limit.exempt_loopback() } else { limit };
        Ok(Some(limit.exempt(self.limit_exempt.iter().copied()).dry_run(self.limit_dry_run)))
    }

    /// Returns the limit in force at any of these bound addresses. The default limit exempts the
    /// loopback.
    pub fn in_force(&self, addresses: impl IntoIterator<Item = SocketAddr>) -> Option<LimitReport> {
        let is_loopback = |address: SocketAddr| address.ip().to_canonical().is_loopback();
        let exempt = self.limit.is_none() && addresses.into_iter().all(is_loopback);
        self.numbers().filter(|_| !exempt)
    }

    fn numbers(&self) -> Option<LimitReport> {
        let rate = match self.limit {
            None => Rate::DEFAULT_RATE,
            Some(LimitValue::Off) => return None,
            Some(LimitValue::PerSecond(rate)) => rate,
        };
        // The highest rate can be doubled without overflow.
        let burst = self.limit_burst.unwrap_or(2 * rate);
        Some(LimitReport { rate, burst, dry_run: self.limit_dry_run })
    }

    /// Yields the other options, each with whether it was given.
    fn others(&self) -> impl Iterator<Item = (bool, &'static str)> {
        [
            (self.limit_burst.is_some(), "--limit-burst"),
            (!self.limit_exempt.is_empty(), "--limit-exempt"),
            (self.limit_dry_run, "--limit-dry-run"),
        ]
        .into_iter()
    }
}

/// A rate limit, as the output shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LimitReport {
    /// Requests per second from each source network.
    pub rate: u32,
    /// The largest burst from a source network, in requests.
    pub burst: u32,
    /// Whether requests over the limit are answered.
    pub dry_run: bool,
}

impl LimitReport {
    /// Returns the line that the server prints at the start.
    pub fn notice(&self) -> String {
        format!("{self} (see --limit)")
    }

    /// Returns the line for a summary with requests over the limit.
    pub fn advice(&self) -> String {
        format!("{self}; raise it with --limit, or exempt networks with --limit-exempt")
    }
}

impl fmt::Display for LimitReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rate, burst, dry_run } = self;
        write!(
            f,
            "rate limit: {rate} requests/s per source network (/24, /64), bursts of {burst}"
        )?;
        if *dry_run { write!(f, ", not enforced (--limit-dry-run)") } else { Ok(()) }
    }
}

/// The value of `--limit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LimitValue {
    Off,
    PerSecond(u32),
}

fn rate(text: &str) -> Result<LimitValue, String> {
    if text == "off" {
        return Ok(LimitValue::Off);
    }
    let rate = number::rate(1..=Rate::MAX_RATE.into())(text);
    rate.map(LimitValue::PerSecond).map_err(|error| format!("{error}, or \"off\""))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Only {
        #[command(flatten)]
        limit: LimitArgs,
    }

    fn args(arguments: &[&str]) -> LimitArgs {
        Only::try_parse_from([&["x"], arguments].concat()).expect("good").limit
    }

    fn in_force(arguments: &[&str], addresses: &[&str]) -> Option<(u32, u32, bool)> {
        let addresses = addresses.iter().map(|text| text.parse().expect("an address"));
        let report = args(arguments).in_force(addresses);
        report.map(|LimitReport { rate, burst, dry_run }| (rate, burst, dry_run))
    }

    #[test]
    fn default_limit_equals_the_librarys() {
        assert_eq!(args(&[]).rate_limit().expect("good"), Some(RateLimit::default()));
    }

    #[test]
    fn explicit_rate_also_limits_the_loopback() {
        let limit = |rate, burst| {
            let [rate, burst] = [rate, burst].map(|number| NonZeroU32::new(number).expect("one"));
            RateLimit::new(Rate::new(rate, burst).expect("a rate"))
        };
        let network: IpNet = "192.0.2.0/24".parse().expect("one");
        for (arguments, expected) in [
            (&["--limit", "1000"][..], Some(limit(1000, 2000))),
            (&["--limit", "5", "--limit-burst", "3"], Some(limit(5, 3))),
            (&["--limit-burst", "3"], Some(limit(1000, 3).exempt_loopback())),
            (&["--limit-dry-run"], Some(RateLimit::default().dry_run(true))),
            (&["--limit-exempt", "192.0.2.0/24"], Some(RateLimit::default().exempt([network]))),
            (&["--limit", "off"], None),
        ] {
            assert_eq!(args(arguments).rate_limit().expect("good"), expected, "{arguments:?}");
        }
        let highest = ["--limit", "1000000000"];
        assert!(args(&highest).rate_limit().is_ok());
    }

    #[test]
    fn default_limit_is_in_force_beyond_the_loopback() {
        let loopback = ["127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"];
        assert_eq!(in_force(&[], &loopback), None);
        assert_eq!(in_force(&[], &["127.0.0.1:1", "[::]:1"]), Some((1000, 2000, false)));
        assert_eq!(in_force(&["--limit", "7"], &loopback), Some((7, 14, false)));
        assert_eq!(in_force(&["--limit", "off"], &["0.0.0.0:1"]), None);
        let dry_run = ["--limit-burst", "9", "--limit-dry-run"];
        assert_eq!(in_force(&dry_run, &["0.0.0.0:1"]), Some((1000, 9, true)));
    }

    #[test]
    fn limit_is_printed_at_the_start_and_in_the_summary() {
        let report = LimitReport { rate: 1000, burst: 2000, dry_run: false };
        let limit = "rate limit: 1000 requests/s per source network (/24, /64), bursts of 2000";
        assert_eq!(report.notice(), format!("{limit} (see --limit)"));
        assert!(report.advice().starts_with(&format!("{limit}; raise it with --limit, ")));
        let dry_run = LimitReport { dry_run: true, ..report };
        assert_eq!(dry_run.to_string(), format!("{limit}, not enforced (--limit-dry-run)"));
        let json = serde_json::to_string(&report).expect("good");
        assert_eq!(json, r#"{"rate":1000,"burst":2000,"dry_run":false}"#);
    }
}
