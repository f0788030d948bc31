//! The command line of `hello-ping`.

mod targets;

use std::error::Error;
use std::io::ErrorKind::{HostUnreachable, NetworkUnreachable};
use std::net::IpAddr;
use std::num::{NonZeroU8, NonZeroU16, NonZeroU64};
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use hello_measure::TracePlan;
use hello_net::{ErrorClass, ProbeError, Prober, ProberBuilder, ZonedAddr};
use hello_proto::{MAX_NAME_LEN, Token};

pub use self::targets::Unreachable;
use super::join::args::{JoinArgs, exclude};
use super::plan::Plan;
use super::thresholds::Thresholds;
use crate::args::common::CommonArgs;
use crate::args::endpoint::Endpoint;
use crate::args::generate::AFTER_HELP;
use crate::args::number;
use crate::args::packet::PacketArgs;
use crate::args::peer::PeerArg;
use crate::args::resolve::ResolveArgs;
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
#[command(mut_args(exclude))]
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
    count: Option<NonZeroU64>,

    /// Send a probe every TIME
    ///
    /// Beyond the loopback, a host receives at most 500 probes per second (2ms), or more with
    /// --allow-flood.
    #[arg(long, short, value_name = "TIME", default_value = "1s", value_parser = number::duration)]
    pub(super) interval: Duration,

    /// Expect replies of this kind
    #[arg(long, value_name = "KIND", value_enum, default_value_t = PeerArg::Hello)]
    peer: PeerArg,

    /// Permit more than 500 probes per second to another machine
    ///
    /// Ask its owner first. Rate limits along the path, and the server's own, count as loss.
    #[arg(long)]
    allow_flood: bool,

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
    deadline: Option<Duration>,

    /// Count a probe as lost after TIME without a reply
    ///
    /// A reply that arrives later is reported as late; the probe remains lost.
    #[arg(long, short = 'W', value_name = "TIME", default_value = "1s", value_parser = number::duration)]
    pub(super) timeout: Duration,

    /// Find the longest packet that the path takes in one piece, then stop
    ///
    /// Sizes are searched by halving, with the don't-fragment bit set. The result is the limit of
    /// this host's link, what a router reports, or a size above which packets vanish.
    #[arg(long, conflicts_with_all = NO_MTU)]
    pub(super) mtu: bool,

    // No documentation comment: it would become that of the command.
    #[command(flatten)]
    hosts: ResolveArgs,

    /// Send from this address or network interface
    #[arg(long, short = 'I', value_name = "ADDRESS|NAME")]
    interface: Option<String>,

    /// Send from COUNT source ports in turn
    ///
    /// ECMP networks choose a path per flow, so several ports cover several paths. Each flow has
    /// its own statistics.
    #[arg(long, value_name = "COUNT", default_value = "1", value_parser = number::positive::<NonZeroU16>)]
    flows: NonZeroU16,

    // No documentation comment: it would become that of the command.
    #[command(flatten)]
    packet: PacketArgs,

    /// Trace the path of each flow to each target, then stop
    ///
    /// Probes with a growing TTL leave from the port of the flow, so they take the flow's own path.
    /// Routers that do not answer are shown as *. No privileges are needed. Linux only.
    #[arg(
        long,
        conflicts_with_all = [
            "count", "interval", "allow_flood", "duration", "quiet", "timestamps", "every", "max_loss",
            "max_p99", "max_jitter", "max_outage", "export_json", "export_csv", "export_markdown", "columns",
            "metrics_file", "ttl",
        ],
    )]
    pub(super) trace: bool,

    /// Trace each flow that loses a probe, or more than PERCENT of its probes
    ///
    /// A flow is traced once, as soon as its loss exceeds PERCENT, from its own port. After the last
    /// probe, the other flows are traced, too, and the routers that only losing flows share are named.
    /// Linux only.
    #[arg(
        long,
        value_name = "PERCENT",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "0",
        value_parser = number::percent,
        conflicts_with = "trace",
    )]
    pub(super) trace_on_loss: Option<f64>,

    /// Print only the summaries
    #[arg(long, short)]
    pub(super) quiet: bool,

    /// Print the time of day before each line about a probe, in seconds since 1970
    #[arg(long, short = 'D')]
    pub(super) timestamps: bool,

    /// Print interval statistics every TIME and at the end
    #[arg(long, value_name = "TIME", value_parser = number::duration)]
    every: Option<Duration>,

    /// Exit with status 1 if more than PERCENT of the probes are lost
    ///
    /// Each target is checked. Probes that were due but not sent count as lost. Probes in flight are
    /// excluded.
    #[arg(long, value_name = "PERCENT", value_parser = number::percent)]
    max_loss: Option<f64>,

    /// Exit with status 1 if the p99 round-trip time exceeds TIME
    ///
    /// With fewer than 100 replies, no reply may take longer. If more than 1% of the probes were not
    /// sent, the p99 is unknown, and the threshold is exceeded.
    #[arg(long, value_name = "TIME", value_parser = number::duration)]
    max_p99: Option<Duration>,

    /// Exit with status 1 if the mean jitter exceeds TIME
    ///
    /// Jitter is the difference between consecutive round-trip times of a flow.
    #[arg(long, value_name = "TIME", value_parser = number::duration)]
    max_jitter: Option<Duration>,

    /// Exit with status 1 if an outage lasts longer than TIME
    ///
    /// An outage is a run of two or more consecutive probes that were lost or not sent, of one flow or
    /// of all flows together. It lasts from its first probe to the next answered one, or to its last
    /// probe if none was answered after it.
    #[arg(long, value_name = "TIME", value_parser = number::duration)]
    max_outage: Option<Duration>,

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
    pub(super) join: JoinArgs,

    // No documentation comment: it would become that of the command.
    #[command(flatten)]
    pub(super) common: CommonArgs,
}

/// The round-trip times of each hop in the trace of a single flow, as in traceroute(8).
const SAMPLES: NonZeroU8 = NonZeroU8::new(3).expect("not zero");

/// The options that exclude --mtu.
const NO_MTU: [&str; 23] = [
    "count",
    "interval",
    "allow_flood",
    "size",
    "duration",
    "deadline",
    "flows",
    "pmtudisc",
    "dont_fragment",
    "timestamps",
    "every",
    "max_loss",
    "max_p99",
    "max_jitter",
    "max_outage",
    "metrics_file",
    "export_json",
    "export_csv",
    "export_markdown",
    "columns",
    "plot",
    "trace",
    "trace_on_loss",
];

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
                                           Check a path in a script
  hello-ping -i 100ms --duration 1h -q --max-outage 2s 192.0.2.1
                                           Find interruptions, and fail if one is long
  hello-ping -Q ef --ecn ect0 192.0.2.1    Measure the class of voice, with ECN
  hello-ping -M do -s 1464 --peer echo 192.0.2.1
                                           Check that packets of 1492 bytes pass whole
  hello-ping --trace 192.0.2.1             Show the routers on the path
  hello-ping --flows 8 -c 800 -i 20ms --trace-on-loss --plot paths.svg 192.0.2.1
                                           Name the routers that only losing flows pass
  hello-ping -c 500 -i 20ms --plot rtt.svg 192.0.2.1
                                           Draw round-trip times and losses
  hello-ping --mtu 192.0.2.1               Find the path MTU
  hello-ping --json 192.0.2.1 > run.jsonl  Record a run, while the server records its packets with
                                           tcpdump -i any -w server.pcap udp port 9999
  hello-ping --join run.jsonl --capture server.pcap
                                           Find out in which direction probes were lost

Signals:
  SIGINT, SIGTERM, SIGHUP  Stop sending, wait for the probes in flight until their timeout, and
                           print the summary. A second signal skips the wait and exits within half
                           a second.
  SIGQUIT                  Print the summary so far and continue

Exit status:
  0  Every target replied, and no threshold was exceeded; with --mtu, each result was found
  1  A target could not be probed, never replied, or replied to fewer than COUNT probes (-c) before
     the deadline (-w), or a threshold was exceeded
  2  Invalid command line, no target could be probed, or a socket or an output failed";

impl Args {
    /// Adds advice to an error of a socket.
    pub fn explain(&self, error: ProbeError) -> Box<dyn Error> {
        match (&self.interface, error) {
            (_, error @ ProbeError::Connect { .. }) if descriptors::advice(&error).is_some() => {
                format!("{}, or use fewer --flows: each needs a socket", error_chain(&error)).into()
            }
            (Some(interface), ProbeError::Connect { server, .. })
                if interface.parse().is_ok_and(|ip: IpAddr| ip.is_ipv4() != server.is_ipv4()) =>
            {
                let server = ZonedAddr(server);
                format!("cannot send from {interface} to {server}: one is IPv4, the other IPv6")
                    .into()
            }
            (Some(interface), error @ ProbeError::Connect { .. }) => {
                let causes = error_chain(&error);
                format!("{causes}: is -I {interface:?} an address or an interface of this machine?")
                    .into()
            }
            (None, ProbeError::Connect { server, source })
                if matches!(source.kind(), NetworkUnreachable | HostUnreachable) =>
            {
                format!(
                    "no route to {}: {source}: check the address and the routes",
                    ZonedAddr(server)
                )
                .into()
            }
            (None, ProbeError::Connect { server, source })
                if matches!(ErrorClass::of(&source), ErrorClass::Denied | ErrorClass::Invalid) =>
            {
                let class = ErrorClass::of(&source);
                format!("cannot send to {}: {class}: {source}", ZonedAddr(server)).into()
            }
            (_, error) => error.into(),
        }
    }

    /// Returns the plan of the run.
    pub fn plan(&self) -> Plan {
        let Self { max_loss, max_p99, max_jitter, max_outage, .. } = *self;
        Plan {
            interval: self.interval,
            count: self.count,
            duration: self.duration,
            deadline: self.deadline,
            timeout: self.timeout,
            every: self.every,
            peer: self.peer,
            source: self.interface.clone(),
            packet: self.packet.options(),
            trace: self.trace,
            trace_on_loss: self.trace_on_loss,
            thresholds: Thresholds { max_loss, max_p99, max_jitter, max_outage },
        }
    }

    /// Returns how paths are traced, if they are.
    fn trace_plan(&self) -> Option<TracePlan> {
        let several = TracePlan { timeout: self.timeout, ..TracePlan::default() };
        let is_single = self.trace && self.flows == NonZeroU16::MIN;
        let samples = if is_single { SAMPLES } else { several.samples };
        (self.trace || self.trace_on_loss.is_some()).then_some(TracePlan { samples, ..several })
    }

    /// Returns the settings of the prober for each target.
    pub fn builder(&self) -> ProberBuilder {
        let source = self.interface.as_ref().and_then(|interface| interface.parse().ok());
        let interface = self.interface.clone().filter(|_| source.is_none());
        Prober::builder()
            .interval(self.interval)
            .count(if self.trace { Some(0) } else { self.plan().probes() })
            .trace(self.trace_plan())
            .timeout(self.timeout)
            .peer(self.peer.into())
            .name_len(self.size.into())
            .flows(self.flows)
            .source(source.map(|source: IpAddr| source))
            .interface(interface)
            .packet(self.packet.options())
    }
}
