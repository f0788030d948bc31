//! The command line of `hello-ping`.

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU16, NonZeroU64};
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use hello_net::{ProbeError, Prober, ProberBuilder};
use hello_proto::{MAX_NAME_LEN, Token};

use super::thresholds::Thresholds;
use crate::args::address_family::Family;
use crate::args::common::CommonArgs;
use crate::args::endpoint::Endpoint;
use crate::args::generate::AFTER_HELP;
use crate::args::number;
use crate::args::peer::PeerArg;
use crate::output::options::ExportArgs;
use crate::process::descriptors;
use crate::process::exit::error_chain;

/// Probe Hello servers and report loss, round-trip times, jitter and reordering
///
/// Any server that replies "Hello, NAME!" is a valid target; with --peer echo, one that returns what
/// it receives. Without --count or --duration, probe
/// until Ctrl-C. A summary is always printed.
#[derive(Debug, Parser)]
#[command(name = "hello-ping", version, after_help = AFTER_HELP, after_long_help = AFTER_LONG_HELP)]
pub struct Args {
    // No documentation comment: rustdoc takes the brackets for a link.
    #[arg(
        help = "Servers to probe: HOST, HOST:PORT or [IPV6]:PORT",
        long_help = "Servers to probe: HOST, HOST:PORT or [IPV6]:PORT\n\n\
                     Several targets are probed at the same time, and compared in a table.",
        value_name = "TARGET",
        default_values_t = [Endpoint::default()],
        value_parser = Endpoint::parse_destination,
    )]
    targets: Vec<Endpoint>,

    /// Send COUNT probes to each target, then stop
    ///
    /// Replies to the last probes are awaited.
    #[arg(long, short, value_name = "COUNT", value_parser = number::positive::<NonZeroU64>)]
    pub(super) count: Option<NonZeroU64>,

    /// Send a probe every TIME
    ///
    /// Beyond the loopback, a host receives at most 500 probes per second (2ms).
    #[arg(long, short, value_name = "TIME", default_value = "1s", value_parser = number::duration)]
    interval: Duration,

    /// Expect replies of this kind
    #[arg(long, value_name = "KIND", value_enum, default_value_t = PeerArg::Hello)]
    peer: PeerArg,

    /// Send names of BYTES bytes
    ///
    /// Hello replies are 8 bytes longer. Many servers refuse names longer than 1024 bytes.
    #[arg(
        long,
        short,
        value_name = "BYTES",
        default_value_t = 16,
        value_parser = number::bytes::<u16>(Token::MIN_LEN as u64..=MAX_NAME_LEN as u64),
    )]
    size: u16,

    /// Send probes for TIME, then stop
    ///
    /// Replies to the last probes are awaited.
    #[arg(long, value_name = "TIME", value_parser = number::duration)]
    duration: Option<Duration>,

    /// Exit after TIME, even with probes in flight
    #[arg(long, short = 'w', value_name = "TIME", value_parser = number::duration)]
    pub(super) deadline: Option<Duration>,

    /// Count a probe as lost after TIME without a reply
    ///
    /// A reply that arrives later is reported as late; the probe remains lost.
    #[arg(long, short = 'W', value_name = "TIME", default_value = "1s", value_parser = number::duration)]
    timeout: Duration,

    // No documentation comment: it would become that of the command.
    #[command(flatten)]
    family: Family,

    /// Send from this address or network interface
    #[arg(long, short = 'I', value_name = "ADDRESS|NAME")]
    interface: Option<String>,

    /// Send from COUNT source ports in turn
    ///
    /// ECMP networks choose a path per flow, so several ports cover several paths. Each flow has
    /// its own statistics.
    #[arg(long, value_name = "COUNT", default_value = "1", value_parser = number::positive::<NonZeroU16>)]
    flows: NonZeroU16,

    /// Print only the summaries
    #[arg(long, short)]
    pub(super) quiet: bool,

    /// Print interval statistics every TIME and at the end
    #[arg(long, value_name = "TIME", value_parser = number::duration)]
    pub(super) every: Option<Duration>,

    /// Exit with status 1 if more than PERCENT of the probes are lost
    ///
    /// Each target is checked. Probes in flight are excluded.
    #[arg(long, value_name = "PERCENT", value_parser = number::percent)]
    max_loss: Option<f64>,

    /// Exit with status 1 if the p99 round-trip time exceeds TIME
    #[arg(long, value_name = "TIME", value_parser = number::duration)]
    max_p99: Option<Duration>,

    /// Exit with status 1 if the mean jitter exceeds TIME
    ///
    /// Jitter is the difference between consecutive round-trip times of a flow.
    #[arg(long, value_name = "TIME", value_parser = number::duration)]
    max_jitter: Option<Duration>,

    // No documentation comment: it would become that of the command.
    #[command(flatten)]
    pub(super) outputs: ExportArgs,

    /// Keep Prometheus metrics in FILE
    ///
    /// The node exporter's textfile collector reads them. FILE is replaced atomically, so a reader
    /// always finds it complete. Its directory must be writable.
    #[arg(long, value_name = "FILE")]
    pub(super) metrics_file: Option<PathBuf>,

    // No documentation comment: it would become that of the command.
    #[command(flatten)]
    pub(super) common: CommonArgs,
}

const AFTER_LONG_HELP: &str = "\
Units:
  TIME  seconds, or numbers with units: 0.5, 10ms, 1m30s

Examples:
  hello-ping                               Probe 127.0.0.1:9999 every second until Ctrl-C
  hello-ping -c 5 192.0.2.1                Send five probes, like ping
  hello-ping -c 1000 -i 10ms -q 192.0.2.1  Measure percentiles in ten seconds
  hello-ping --flows 16 -i 20ms --duration 1m 192.0.2.1
                                           Cover the paths of an ECMP network
  hello-ping 192.0.2.1 192.0.2.2 --every 10s
                                           Compare two servers
  hello-ping -c 100 -i 20ms --max-loss 1 --max-p99 50ms 192.0.2.1 || echo degraded
  hello-ping -c 500 -i 20ms --plot rtt.svg 192.0.2.1

Signals:
  SIGINT, SIGTERM, SIGHUP  Stop sending, wait for the replies to the probes in flight, for the
                           timeout at most, and print the summary. A second signal ends the wait
                           at once.
  SIGQUIT                  Print the summary so far and continue

Exit status:
  0  Every target replied, and no threshold was exceeded
  1  A target never replied, or replied to fewer than COUNT probes (-c) before the deadline (-w),
     or a threshold was exceeded
  2  Invalid command line, or a socket or an output failed";

impl Args {
    /// Resolves the targets, and returns each with its first address of the requested family.
    ///
    /// Duplicate targets are an error, because metrics would have two values of the same name. So
    /// is an interval that is too short for a shared network.
    pub(crate) fn targets(&self) -> Result<Vec<(String, SocketAddr)>, Box<dyn Error>> {
        let mut targets = Vec::new();
        for (index, target) in self.targets.iter().enumerate() {
            if self.targets[..index].iter().any(|other| other.to_string() == target.to_string()) {
                return Err(format!("duplicate target {target}").into());
            }
            let address = self.family.address(target)?;
            if is_multicast_or_broadcast(address.ip()) {
                let error =
                    format!("{address} is a multicast or broadcast address; probe one host");
                return Err(error.into());
            }
            targets.push((target.to_string(), address));
        }
        self.check_rates(&targets)?;
        Ok(targets)
    }

    /// Adds advice to an error of a socket.
    pub fn explain(&self, error: ProbeError) -> Box<dyn Error> {
        match (&self.interface, error) {
            (_, error @ ProbeError::Connect { .. }) if descriptors::advice(&error).is_some() => {
                format!("{}, or use fewer --flows: each needs a socket", error_chain(&error)).into()
            }
            (Some(interface), error @ ProbeError::Connect { .. }) => {
                let causes = error_chain(&error);
                format!("{causes}: is -I {interface:?} an address or an interface of this machine?")
                    .into()
            }
            (_, error) => error.into(),
        }
    }

    /// Returns the thresholds for the exit status.
    pub fn thresholds(&self) -> Thresholds {
        let Self { max_loss, max_p99, max_jitter, .. } = *self;
        Thresholds { max_loss, max_p99, max_jitter }
    }

    /// Returns the settings of the prober for each target.
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
            .count(self.count.map(NonZeroU64::get).into_iter().chain(of_duration).min())
            .timeout(self.timeout)
            .peer(self.peer.into())
            .name_len(self.size.into())
            .flows(self.flows)
            .source(source.map(|source: IpAddr| source))
            .interface(interface)
    }

    /// Checks that no host receives more than one probe per [`SHORTEST_INTERVAL`] on all its ports
    /// together. The loopback is exempt.
    fn check_rates(&self, targets: &[(String, SocketAddr)]) -> Result<(), String> {
        let interval = self.interval;
        let host = |(_, address): &(String, SocketAddr)| address.ip().to_canonical();
        let on = |ip| targets.iter().filter(move |target| host(target) == ip).count();
        let remote = targets.iter().filter(|target| !host(target).is_loopback());
        let busiest = remote.map(|target| (on(host(target)), target));
        // The first of several with the same number of targets.
        let Some((count, target)) = busiest.rev().max_by_key(|(count, _)| *count) else {
            return Ok(());
        };
        let shortest = SHORTEST_INTERVAL.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX));
        match count {
            _ if interval >= shortest => Ok(()),
            1 => Err(format!(
                "interval {interval:?} is too short for {}: use {shortest:?} or more, or hello-load",
                target.1
            )),
            _ => Err(format!(
                "interval {interval:?} is too short for {count} targets on {}, which share {} probes \
                 per second: use {shortest:?} or more",
                host(target),
                Duration::from_secs(1).as_millis() / SHORTEST_INTERVAL.as_millis(),
            )),
        }
    }
}

/// The shortest time between two probes to a host. ping(8) requires privileges for less.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(2);

/// Returns whether several hosts receive a datagram to this address; none of their replies would
/// count.
fn is_multicast_or_broadcast(address: IpAddr) -> bool {
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
    fn duplicate_target_is_an_error_in_any_notation() {
        for [one, other] in [["127.0.0.1", "127.0.0.1:9999"], ["[::1]:1", "[::1]:1"]] {
            let error = args([one, "127.0.0.2", other]).targets().expect_err("twice");
            assert!(error.to_string().starts_with("duplicate target "), "{error}");
        }
        let targets = args(["127.0.0.1:1", "127.0.0.1:2"]).targets().expect("two");
        assert_eq!(targets.len(), 2);
    }

    #[test]
    fn targets_on_one_host_share_its_rate_in_any_notation() {
        for (hosts, interval, error) in [
            (&["192.0.2.1:1", "192.0.2.2:1"][..], "2ms", None),
            (&["192.0.2.1:1", "192.0.2.1:2"], "4ms", None),
            (
                &["192.0.2.1:1", "192.0.2.1:2"],
                "3.999ms",
                Some(("3.999ms", "2 targets on 192.0.2.1", "4ms")),
            ),
            (
                &["192.0.2.2:1", "[::ffff:192.0.2.1]:1", "192.0.2.1:2", "192.0.2.1:3"],
                "5ms",
                Some(("5ms", "3 targets on 192.0.2.1", "6ms")),
            ),
            (
                &["[fe80::1%1]:1", "[fe80::1%2]:1"],
                "2ms",
                Some(("2ms", "2 targets on fe80::1", "4ms")),
            ),
            (&["127.0.0.1:1", "127.0.0.1:2", "[::1]:1", "[::1]:2"], "1us", None),
        ] {
            let found = args_of(&[&["-i", interval], hosts].concat()).targets().map(drop);
            let expected = error.map(|(interval, targets, enough)| {
                format!(
                    "interval {interval} is too short for {targets}, which share 500 probes per \
                     second: use {enough} or more"
                )
            });
            let error = found.err().map(|error| error.to_string());
            assert_eq!(error, expected, "{hosts:?} {interval}");
        }
    }

    #[test]
    fn interval_in_the_error_is_long_enough() {
        let hosts = Vec::from_iter((1..=40).map(|port| format!("192.0.2.1:{port}")));
        let hosts = Vec::from_iter(hosts.iter().map(String::as_str));
        let error =
            args_of(&[&["-i", "2ms"], &hosts[..]].concat()).targets().expect_err("too short");
        let error = error.to_string();
        let (_, enough) = error.rsplit_once(": use ").expect("advice");
        let enough = enough.strip_suffix(" or more").expect("advice");
        assert_eq!(enough, "80ms");
        args_of(&[&["-i", enough], &hosts[..]].concat()).targets().expect("long enough");
    }
}
