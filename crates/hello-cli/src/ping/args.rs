//! The command line of `hello-ping`.

mod help;
mod targets;

use std::error::Error;
use std::io::ErrorKind::{HostUnreachable, NetworkUnreachable};
use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU8, NonZeroU16, NonZeroU64};
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use hello_measure::TracePlan;
use hello_net::{ErrorClass, Fleet, FleetBuilder, ProbeError, Prober, ProberBuilder, ZonedAddr};
use hello_proto::{MAX_NAME_LEN, Token};

use self::help::{
    AFTER_HELP, AFTER_LONG_HELP, NO_MTU, NO_TRACE, OUTPUT, PACKETS, PATHS, PROBES, TARGETS,
    THRESHOLDS,
};
pub use self::targets::Unreachable;
pub(crate) use self::targets::{SHORTEST_INTERVAL, is_multicast_or_broadcast};
use super::fleet::args::FleetArgs;
use super::join::args::{JoinArgs, exclude};
use super::plan::Plan;
use super::thresholds::Thresholds;
use crate::args::common::CommonArgs;
use crate::args::endpoint::Endpoint;
use crate::args::listen;
use crate::args::number;
use crate::args::packet::PacketArgs;
use crate::args::peer::PeerArg;
use crate::args::resolve::ResolveArgs;
use crate::output::options::ExportArgs;
use crate::process::descriptors;
use crate::process::exit::error_chain;

/// Probe Hello servers and report losses and their causes, round-trip times, jitter and paths
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
    #[arg(long, short, value_name = "COUNT", value_parser = number::positive::<NonZeroU64>, help_heading = PROBES)]
    pub(super) count: Option<NonZeroU64>,

    /// Send a probe every TIME
    ///
    /// Beyond the loopback, a host receives at most 500 probes per second (2ms), or more with
    /// --allow-flood.
    #[arg(long, short, value_name = "TIME", default_value = "1s", value_parser = number::duration, help_heading = PROBES)]
    pub(super) interval: Duration,

    /// Send probes for TIME, then stop
    ///
    /// Replies to the last probes are awaited.
    #[arg(long, value_name = "TIME", value_parser = number::duration, help_heading = PROBES)]
    pub(super) duration: Option<Duration>,

    /// Exit after TIME, even with probes in flight
    #[arg(long, short = 'w', value_name = "TIME", value_parser = number::duration, help_heading = PROBES)]
    deadline: Option<Duration>,

    /// Count a probe as lost after TIME without a reply
    ///
    /// A reply that arrives later is reported as late; the probe remains lost.
    #[arg(long, short = 'W', value_name = "TIME", default_value = "1s", value_parser = number::duration, help_heading = PROBES)]
    pub(super) timeout: Duration,

    /// Send from COUNT source ports in turn
    ///
    /// ECMP networks choose a path per flow, so several ports cover several paths. Each flow has
    /// its own statistics.
    #[arg(long, value_name = "COUNT", default_value = "1", value_parser = number::positive::<NonZeroU16>, help_heading = PROBES)]
    flows: NonZeroU16,

    /// Expect replies of this kind
    #[arg(long, value_name = "KIND", value_enum, default_value_t = PeerArg::Hello, help_heading = PROBES)]
    peer: PeerArg,

    /// Permit more than 500 probes per second to another machine
    ///
    /// Ask its owner first. Rate limits along the path, and the server's own, count as loss.
    #[arg(long, help_heading = PROBES)]
    pub(super) allow_flood: bool,

    // No documentation comment, here and below: it would become that of the command.
    #[command(flatten, next_help_heading = TARGETS)]
    pub(super) hosts: ResolveArgs,

    #[command(flatten, next_help_heading = TARGETS)]
    pub(super) fleet: FleetArgs,

    /// Send from this address or network interface
    #[arg(long, short = 'I', value_name = "ADDRESS|NAME", help_heading = TARGETS)]
    pub(super) interface: Option<String>,

    /// Send names of BYTES bytes
    ///
    /// Hello replies are 8 bytes longer. Many servers refuse names longer than 1024 bytes.
    #[arg(
        long,
        short,
        value_name = "BYTES",
        default_value_t = 16,
        value_parser = number::bytes::<u16>(Token::MIN_LEN as u64..=MAX_NAME_LEN as u64),
        help_heading = PACKETS,
    )]
    size: u16,

    #[command(flatten, next_help_heading = PACKETS)]
    packet: PacketArgs,

    /// Trace the path of each flow to each target, then stop
    ///
    /// Probes with a growing TTL leave from the port of the flow, so they take the flow's own path.
    /// Routers that do not answer are shown as *. No privileges are needed. Linux only.
    #[arg(
        long,
        conflicts_with_all = NO_TRACE,
        help_heading = PATHS,
    )]
    pub(super) trace: bool,

    /// Trace each flow that loses a probe, or more than PERCENT of its probes
    ///
    /// PERCENT needs the equals sign: --trace-on-loss=5. Without it, one lost probe is enough.
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
        help_heading = PATHS,
    )]
    pub(super) trace_on_loss: Option<f64>,

    /// Find the longest packet that the path takes in one piece, then stop
    ///
    /// Sizes are searched by halving, with the don't-fragment bit set. The result is the limit of
    /// this host's link, what a router reports, or a size above which packets vanish.
    #[arg(long, conflicts_with_all = NO_MTU, help_heading = PATHS)]
    pub(super) mtu: bool,

    #[command(flatten, next_help_heading = PATHS)]
    pub(super) join: JoinArgs,

    /// Exit with status 1 if more than PERCENT of the probes are lost
    ///
    /// Each target is checked. Probes that were due but not sent count as lost. Probes in flight are
    /// excluded.
    #[arg(long, value_name = "PERCENT", value_parser = number::percent, help_heading = THRESHOLDS)]
    max_loss: Option<f64>,

    /// Exit with status 1 if the p99 round-trip time exceeds TIME
    ///
    /// With fewer than 100 replies, no reply may take longer. If more than 1% of the probes were not
    /// sent, the p99 is unknown, and the threshold is exceeded.
    #[arg(long, value_name = "TIME", value_parser = number::duration, help_heading = THRESHOLDS)]
    max_p99: Option<Duration>,

    /// Exit with status 1 if the mean jitter exceeds TIME
    ///
    /// Jitter is the difference between consecutive round-trip times of a flow.
    #[arg(long, value_name = "TIME", value_parser = number::duration, help_heading = THRESHOLDS)]
    max_jitter: Option<Duration>,

    /// Exit with status 1 if an outage lasts longer than TIME
    ///
    /// An outage is a run of two or more consecutive probes that were lost or not sent, of one flow or
    /// of all flows together. It lasts from its first probe to the next answered one, or to its last
    /// probe if none was answered after it.
    #[arg(long, value_name = "TIME", value_parser = number::duration, help_heading = THRESHOLDS)]
    max_outage: Option<Duration>,

    /// Print only the summaries
    #[arg(long, short, help_heading = OUTPUT)]
    pub(super) quiet: bool,

    /// Print the time of day before each line about a probe, in seconds since 1970
    #[arg(long, short = 'D', help_heading = OUTPUT)]
    pub(super) timestamps: bool,

    /// Print interval statistics every TIME and at the end
    #[arg(long, value_name = "TIME", value_parser = number::duration, help_heading = OUTPUT)]
    every: Option<Duration>,

    #[command(flatten, next_help_heading = OUTPUT)]
    pub(super) outputs: ExportArgs,

    /// Keep Prometheus metrics in FILE
    ///
    /// The node exporter's textfile collector reads them. FILE is replaced atomically, so a reader
    /// always finds it complete. Its directory must be writable.
    #[arg(long, value_name = "FILE", help_heading = OUTPUT)]
    pub(super) metrics_file: Option<PathBuf>,

    /// Serve Prometheus metrics over HTTP at ADDRESS:PORT, or on PORT of the loopback
    ///
    /// GET /metrics returns those of the last second, and GET /healthz the status 200 during the run.
    /// Port 0 chooses a free port, which is printed. Everyone who can reach the address can read the
    /// metrics.
    #[arg(long, value_name = "[ADDRESS:]PORT", value_parser = listen::parse, help_heading = OUTPUT)]
    pub(super) metrics_listen: Option<SocketAddr>,

    #[command(flatten, next_help_heading = OUTPUT)]
    pub(super) common: CommonArgs,
}

/// The round-trip times of each hop in the trace of a single flow, as in traceroute(8).
const SAMPLES: NonZeroU8 = NonZeroU8::new(3).expect("not zero");

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

    /// Returns the settings of a fleet.
    pub(super) fn fleet_builder(&self) -> FleetBuilder {
        let (source, interface) = self.source();
        Fleet::builder()
            .interval(self.interval)
            .count(self.count.map(NonZeroU64::get))
            .duration(self.duration)
            .timeout(self.timeout)
            .peer(self.peer.into())
            .name_len(self.size.into())
            .source(source)
            .interface(interface)
            .packet(self.packet.options())
    }

    /// Returns the address or the interface of --interface.
    fn source(&self) -> (Option<IpAddr>, Option<String>) {
        let source = self.interface.as_ref().and_then(|interface| interface.parse().ok());
        (source, self.interface.clone().filter(|_| source.is_none()))
    }

    /// Returns the settings of the prober for each target.
    pub fn builder(&self) -> ProberBuilder {
        let (source, interface) = self.source();
        Prober::builder()
            .interval(self.interval)
            .count(if self.trace { Some(0) } else { self.plan().probes() })
            .trace(self.trace_plan())
            .timeout(self.timeout)
            .peer(self.peer.into())
            .name_len(self.size.into())
            .flows(self.flows)
            .source(source)
            .interface(interface)
            .packet(self.packet.options())
    }
}
