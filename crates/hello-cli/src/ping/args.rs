//! The command line of `hello-ping`.

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, value_parser};
use hello_net::{ProbeError, Prober, ProberBuilder};
use hello_proto::{MAX_NAME_LEN, Token};

use super::thresholds::Thresholds;
use crate::args::address_family::Family;
use crate::args::common::CommonArgs;
use crate::args::duration;
use crate::args::endpoint::Endpoint;
use crate::output::options::ExportArgs;
use crate::output::percent;
use crate::process::descriptors;

/// Asks hello servers again and again, and says what the way there is worth: loss, round-trip times
/// and their percentiles, jitter, and what else came back.
///
/// Any server that greets will do. Without a count or a duration it goes on until Ctrl-C; a summary
/// is always printed.
#[derive(Debug, Parser)]
#[command(name = "hello-ping", version, after_help = EXAMPLES)]
pub struct Args {
    // No documentation comment: rustdoc takes the brackets for a link.
    #[arg(
        help = "Whom to ask: HOST, HOST:PORT or [IPV6]:PORT; several are asked at once and compared",
        value_name = "TARGET",
        default_values_t = [Endpoint::default()],
        value_parser = Endpoint::parse_destination,
    )]
    targets: Vec<Endpoint>,

    /// Stop after so many probes to each target.
    #[arg(long, short, value_name = "COUNT", value_parser = value_parser!(u64).range(1..))]
    pub count: Option<u64>,

    /// How long after one probe the next is sent, such as 1, 0.2 or 10ms.
    #[arg(long, short, value_name = "TIME", default_value = "1", value_parser = duration::parse)]
    interval: Duration,

    /// The length of each name that is sent, in bytes; the reply is 8 longer. Many servers refuse
    /// names of more than 1024.
    #[arg(
        long,
        short,
        value_name = "BYTES",
        default_value_t = 16,
        value_parser = value_parser!(u16).range(Token::MIN_LEN as i64..=MAX_NAME_LEN as i64),
    )]
    pub size: u16,

    /// Stop sending after so long, and then wait for what is in flight.
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub duration: Option<Duration>,

    /// End after so long, whatever is in flight.
    #[arg(long, short = 'w', value_name = "TIME", value_parser = duration::parse)]
    pub deadline: Option<Duration>,

    /// After how long a probe without an answer is lost; an answer after that is late.
    #[arg(long, short = 'W', value_name = "TIME", default_value = "1", value_parser = duration::parse)]
    timeout: Duration,

    // No documentation comment: it would become that of the command.
    #[command(flatten)]
    family: Family,

    /// From which address to send, or by which interface.
    #[arg(long, short = 'I', value_name = "ADDRESS")]
    interface: Option<String>,

    /// Send from so many ports in turn: networks spread flows over ways, and each has its own.
    #[arg(long, value_name = "COUNT", default_value = "1")]
    flows: NonZeroU16,

    /// Print summaries only.
    #[arg(long, short)]
    pub quiet: bool,

    /// Print a summary of the time since the last one, that often and at the end.
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub every: Option<Duration>,

    /// Exit with 1 if more than so many per cent of the settled probes of a target are lost.
    #[arg(long, value_name = "PERCENT", value_parser = percent::parse)]
    pub max_loss: Option<f64>,

    /// Exit with 1 if one in a hundred answers took longer than this.
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub max_p99: Option<Duration>,

    /// Exit with 1 if round-trip times differ from one to the next by more than this on average.
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub max_jitter: Option<Duration>,

    // No documentation comment: it would become that of the command.
    #[command(flatten)]
    #[expect(missing_docs, reason = "it would become the help of the totals command")]
    pub outputs: ExportArgs,

    /// Keep a file with the counters for Prometheus, as the node exporter's textfile collector
    /// reads it.
    #[arg(long, value_name = "PATH")]
    pub metrics_file: Option<PathBuf>,

    // No documentation comment: it would become that of the command.
    #[command(flatten)]
    #[expect(missing_docs, reason = "it would become the help of the totals command")]
    pub common: CommonArgs,
}

const EXAMPLES: &str = "\
Examples:
  hello-ping                                    ask 127.0.0.1:9999 each second until Ctrl-C
  hello-ping -c 5 192.0.2.1                     as ping does
  hello-ping -c 1000 -i 10ms -q 192.0.2.1       percentiles in ten seconds
  hello-ping --flows 16 -i 20ms --duration 1m 192.0.2.1
                                                all ways of a network that spreads flows
  hello-ping 192.0.2.1 192.0.2.2 --every 10s    two servers side by side
  hello-ping -c 100 -i 20ms --max-loss 1 --max-p99 50ms 192.0.2.1 || echo bad
  hello-ping -c 500 -i 20ms --plot rtt.svg 192.0.2.1

Signals:
  SIGINT, SIGTERM, SIGHUP  stop sending, wait briefly for replies, and print the summary; a second
                           signal skips the wait, and ends the tool within half a second
  SIGQUIT                  print the summary so far, and go on

Exit status:
  0  every target answered, and no threshold was violations
  1  a target never answered; or answered fewer than COUNT probes (-c) before the deadline (-w);
     or a threshold was violations
  2  the command line is at fault, or a socket or an output failed";

/// Whom to ask, as it was written, and the address that this was found to be.
pub type Named = (String, SocketAddr);

impl Args {
    /// Looks the targets up, and takes the first address of each that is of the family asked for.
    ///
    /// # Errors
    ///
    /// Says which target has no such address, or is there twice: it would be asked twice as often
    /// as it was said, and metrics would have two values of one name. Says that the interval is too
    /// short for a network that others use, too.
    pub fn targets(&self) -> Result<Vec<Named>, Box<dyn Error>> {
        let mut targets = Vec::new();
        for (index, target) in self.targets.iter().enumerate() {
            if self.targets[..index].iter().any(|other| other.to_string() == target.to_string()) {
                return Err(format!("{target} is there twice; name each target once").into());
            }
            let address = self.family.address(target)?;
            if is_for_many(address.ip()) {
                return Err(format!("{address} is for many hosts: name one").into());
            }
            targets.push((target.to_string(), address));
        }
        self.check_rates(&targets)?;
        Ok(targets)
    }

    /// Adds to an error of a socket what it was asked for.
    pub fn explain(&self, error: ProbeError) -> Box<dyn Error> {
        match (&self.interface, error) {
            (_, error @ ProbeError::Connect { .. }) if descriptors::advice(&error).is_some() => {
                let causes = crate::process::exit::error_chain(&error);
                format!(
                    "{causes}, or use fewer --flows: each takes a port, which takes file \
                     descriptors"
                )
                .into()
            }
            (Some(interface), error @ ProbeError::Connect { .. }) => {
                let causes = crate::process::exit::error_chain(&error);
                format!("{causes}: is {interface:?} (-I) an address or an interface of ours?")
                    .into()
            }
            (_, error) => error.into(),
        }
    }

    /// Returns what the run may come to at most.
    pub fn thresholds(&self) -> Thresholds {
        let Self { max_loss, max_p99, max_jitter, .. } = *self;
        Thresholds { max_loss, max_p99, max_jitter }
    }

    /// Returns when to send probes to each of the targets, and how.
    pub fn builder(&self) -> ProberBuilder {
        let interval = self.interval;
        let of_duration = self.duration.map(|duration| {
            let probes = duration.as_nanos().div_ceil(interval.as_nanos());
            u64::try_from(probes).unwrap_or(u64::MAX)
        });
        let source = self.interface.as_ref().and_then(|interface| interface.parse().ok());
        let interface = self.interface.clone().filter(|_| source.is_none());
        Prober::builder()
            .interval(interval)
            .count(self.count.into_iter().chain(of_duration).min())
            .timeout(self.timeout)
            .name_len(self.size.into())
            .flows(self.flows)
            .source(source.map(|source: IpAddr| source))
            .interface(interface)
    }

    /// Checks that no host receives more probes than one each [`SHORTEST_INTERVAL`], all its ports
    /// taken together. The loopback disturbs no network.
    fn check_rates(&self, targets: &[Named]) -> Result<(), String> {
        let interval = self.interval;
        let host = |(_, address): &Named| address.ip().to_canonical();
        let on = |ip| targets.iter().filter(move |target| host(target) == ip).count();
        let remote = targets.iter().filter(|target| !host(target).is_loopback());
        let busiest = remote.map(|target| (on(host(target)), target));
        // The first of several that receive the same.
        let Some((count, target)) = busiest.rev().max_by_key(|(count, _)| *count) else {
            return Ok(());
        };
        let shortest = SHORTEST_INTERVAL.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX));
        match count {
            _ if interval >= shortest => Ok(()),
            1 => Err(format!(
                "an interval of {interval:?} is a load, not a probe: to {}, use {shortest:?} or more",
                target.1
            )),
            _ => Err(format!(
                "an interval of {interval:?} is a load, not a probe, for {count} targets on the \
                 host {}, which share its {} probes a second: use {shortest:?} or more",
                host(target),
                SECOND.as_millis() / SHORTEST_INTERVAL.as_millis(),
            )),
        }
    }
}

const SECOND: Duration = Duration::from_secs(1);

/// The shortest time between two probes to one host: below this, ping(8) lets the superuser only.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(2);

/// Tells whether many hosts get what is sent to an address, of whose answers none would count.
fn is_for_many(address: IpAddr) -> bool {
    let address = address.to_canonical();
    address.is_multicast() || matches!(address, IpAddr::V4(address) if address.is_broadcast())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args<const N: usize>(args: [&str; N]) -> Args {
        args_of(&args)
    }

    fn args_of(args: &[&str]) -> Args {
        Args::parse_from([&["hello-ping"], args].concat())
    }

    #[test]
    fn a_target_that_is_there_twice_is_an_error_however_it_is_written() {
        for [one, other] in [["127.0.0.1", "127.0.0.1:9999"], ["[::1]:1", "[::1]:1"]] {
            let error = args([one, "127.0.0.2", other]).targets().expect_err("twice");
            assert!(error.to_string().ends_with("is there twice; name each target once"));
        }
        let targets = args(["127.0.0.1:1", "127.0.0.1:2"]).targets().expect("two");
        assert_eq!(targets.len(), 2);
    }

    #[test]
    fn all_targets_on_one_host_share_its_rate_however_its_address_is_written() {
        let rate = "which share its 500 probes a second";
        for (hosts, interval, error) in [
            (&["192.0.2.1:1", "192.0.2.2:1"][..], "2ms", None),
            (&["192.0.2.1:1", "192.0.2.1:2"], "4ms", None),
            (
                &["192.0.2.1:1", "192.0.2.1:2"],
                "3.999ms",
                Some(("an interval of 3.999ms", "2 targets on the host 192.0.2.1", "4ms")),
            ),
            (
                &["192.0.2.2:1", "[::ffff:192.0.2.1]:1", "192.0.2.1:2", "192.0.2.1:3"],
                "5ms",
                Some(("an interval of 5ms", "3 targets on the host 192.0.2.1", "6ms")),
            ),
            (
                &["[fe80::1%1]:1", "[fe80::1%2]:1"],
                "2ms",
                Some(("an interval of 2ms", "2 targets on the host fe80::1", "4ms")),
            ),
            (&["127.0.0.1:1", "127.0.0.1:2", "[::1]:1", "[::1]:2"], "1us", None),
        ] {
            let found = args_of(&[&["-i", interval], hosts].concat()).targets().map(drop);
            let said = error.map(|(interval, targets, enough)| {
                format!(
                    "{interval} is a load, not a probe, for {targets}, {rate}: use {enough} or more"
                )
            });
            assert_eq!(found.err().map(|error| error.to_string()), said, "{hosts:?} {interval}");
        }
    }

    #[test]
    fn the_interval_that_the_error_names_would_do() {
        let hosts = Vec::from_iter((1..=40).map(|port| format!("192.0.2.1:{port}")));
        let hosts = Vec::from_iter(hosts.iter().map(String::as_str));
        let error = args_of(&[&["-i", "2ms"], &hosts[..]].concat()).targets().expect_err("a load");
        let error = error.to_string();
        let (_, enough) = error.rsplit_once(": use ").expect("advice");
        let enough = enough.strip_suffix(" or more").expect("advice");
        assert_eq!(enough, "80ms");
        args_of(&[&["-i", enough], &hosts[..]].concat()).targets().expect("no load");
    }
}
