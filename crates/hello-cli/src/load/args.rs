//! The command line of `hello-load`.

mod help;
mod search;
mod values;

use std::error::Error;
use std::num::{NonZeroU16, NonZeroU32, NonZeroU64};
use std::time::Duration;

use clap::Parser;
use hello_net::{
    ArrivalProcess, LoadBuilder, LoadError, LoadGenerator, LoadPlan, Pacing, Prober, Sources,
    ZonedAddr,
};

use self::help::{AFTER_LONG_HELP, LOAD, OUTPUT, SEARCH, TARGET, TIMING};
pub use self::search::Mode;
use self::search::SearchArgs;
use self::values::{Size, SourceKind, least_load, parse_size};
use crate::args::common::CommonArgs;
use crate::args::endpoint::Endpoint;
use crate::args::first_reply::Destination;
use crate::args::generate::AFTER_HELP;
use crate::args::number;
use crate::args::packet::PacketArgs;
use crate::args::peer::PeerArg;
use crate::args::resolve::ResolveArgs;
use crate::output::options::ExportArgs;
use crate::process::descriptors;
use crate::process::exit::error_chain;

/// Load-test a Hello server and report rates, loss and latency
///
/// Every byte of every reply is checked, and a warm-up is excluded. Latency counts from the time at
/// which a request was due, so a stall is not hidden. The result says if the generator, not the
/// server, was the limit.
///
/// Without --remote, only loopback targets are allowed: load tests disrupt networks, and belong in
/// an isolated one (RFC 6815).
#[derive(Debug, Parser)]
#[command(name = "hello-load", version, after_help = AFTER_HELP, after_long_help = AFTER_LONG_HELP)]
pub struct Args {
    // No documentation comment: rustdoc takes the brackets for a link.
    #[arg(
        help = "Server to load: HOST, HOST:PORT or [IPV6]:PORT",
        value_name = "TARGET",
        default_value_t = Endpoint::default(),
        value_parser = Endpoint::parse_destination,
    )]
    target: Endpoint,

    /// Allow a target outside this machine's loopback
    ///
    /// Use it only where the load disturbs nobody else (RFC 6815).
    #[arg(long, help_heading = TARGET)]
    remote: bool,

    // No documentation comment, here and below: it would become that of the command.
    #[command(flatten, next_help_heading = TARGET)]
    hosts: ResolveArgs,

    /// Send RATE requests per second, regardless of replies (open loop)
    ///
    /// With --find-max, start the search at RATE [default: 10k].
    #[arg(
        long,
        value_name = "RATE",
        value_parser = number::rate::<NonZeroU64>(1..=LoadPlan::MAX_RATE),
        conflicts_with = "outstanding",
        help_heading = LOAD,
    )]
    rate: Option<NonZeroU64>,

    /// Space requests at random (Poisson), as from many independent clients
    ///
    /// Without it, requests are evenly spaced. It requires an open loop.
    #[arg(long, help_heading = LOAD)]
    poisson: bool,

    /// Keep COUNT requests outstanding (closed loop) [default: 64 messages]
    ///
    /// The server sets the pace. A message has --train requests.
    #[arg(long, value_name = "COUNT", value_parser = number::positive::<NonZeroU32>, help_heading = LOAD)]
    outstanding: Option<NonZeroU32>,

    /// Send from COUNT sources in turn [default: one per thread]
    #[arg(long, value_name = "COUNT", value_parser = number::positive::<NonZeroU32>, help_heading = LOAD)]
    sources: Option<NonZeroU32>,

    /// Vary the source by port or by address
    #[arg(long, value_name = "KIND", value_enum, default_value_t = SourceKind::Ports, help_heading = LOAD)]
    sources_by: SourceKind,

    /// Send COUNT requests per message (UDP_SEGMENT), up to 64
    ///
    /// The kernel or the network card splits the message, so a request costs far less CPU time.
    #[arg(
        long,
        value_name = "COUNT",
        default_value = "1",
        value_parser = number::count::<u16>(1..=u64::from(LoadPlan::MAX_TRAIN)),
        help_heading = LOAD,
    )]
    train: u16,

    /// Expect replies of this kind
    #[arg(
        long,
        value_name = "KIND",
        value_enum,
        default_value_t = PeerArg::Hello,
        help_heading = TARGET,
    )]
    peer: PeerArg,

    /// Send names of BYTES bytes, or of a random length, e.g. 16..512
    ///
    /// Hello replies are 8 bytes longer. Many servers refuse names longer than 1024 bytes.
    #[arg(
        long,
        short,
        value_name = "BYTES",
        default_value = "16",
        value_parser = parse_size,
        help_heading = LOAD,
    )]
    size: Size,

    // No documentation comment: it would become that of the command.
    #[command(flatten, next_help_heading = LOAD)]
    packet: PacketArgs,

    /// Generate the load with COUNT threads, which divide the sources
    #[arg(long, value_name = "COUNT", default_value = "1", value_parser = number::positive::<NonZeroU16>, help_heading = LOAD)]
    threads: NonZeroU16,

    /// Seed the random sizes and times
    ///
    /// The same seed repeats the same load.
    #[arg(long, value_name = "NUMBER", default_value = "0", value_parser = number::count::<u64>(0..=u64::MAX), help_heading = LOAD)]
    seed: u64,

    /// Measure for TIME [default: 10s, or 2s per trial]
    ///
    /// Trials are those of --find-max and --sweep.
    #[arg(long, value_name = "TIME", value_parser = number::duration, help_heading = TIMING)]
    duration: Option<Duration>,

    /// Measure COUNT requests, then stop
    ///
    /// Without --duration, the run takes as long as COUNT requests do.
    #[arg(long, short, value_name = "COUNT", value_parser = number::positive::<NonZeroU64>, help_heading = TIMING)]
    count: Option<NonZeroU64>,

    /// Exclude the first TIME from the measurement [default: a tenth of --duration]
    ///
    /// The default is at most 5s, and 0 with --count alone.
    #[arg(long, value_name = "TIME", value_parser = number::duration_or_zero, help_heading = TIMING)]
    warm_up: Option<Duration>,

    /// Count a request as lost after TIME without a reply
    ///
    /// A reply that arrives later is reported as late; the request remains lost.
    #[arg(
        long,
        short = 'W',
        value_name = "TIME",
        default_value = "1s",
        value_parser = number::duration,
        help_heading = TIMING,
    )]
    timeout: Duration,

    #[command(flatten, next_help_heading = SEARCH)]
    search: SearchArgs,

    /// Print interval statistics every TIME and at the end
    #[arg(long, value_name = "TIME", value_parser = number::duration, help_heading = OUTPUT)]
    pub(super) every: Option<Duration>,

    /// Print only the result
    ///
    /// JSON keeps the line with the plan.
    #[arg(long, short, help_heading = OUTPUT)]
    pub(super) quiet: bool,

    #[command(flatten, next_help_heading = OUTPUT)]
    pub(super) outputs: ExportArgs,

    #[command(flatten, next_help_heading = OUTPUT)]
    pub(super) common: CommonArgs,
}

impl Args {
    /// Resolves the target, and chooses one of its addresses.
    ///
    /// An address beyond the loopback requires --remote.
    pub(crate) fn destination(&self) -> Result<Destination, Box<dyn Error>> {
        let host = self.hosts.resolve(&self.target)?;
        let remote = host.addresses.iter().find(|one| !one.ip().to_canonical().is_loopback());
        if let Some(address) = remote.filter(|_| !self.remote) {
            return Err(format!(
                "{} is not a loopback address. Load tests disrupt other users of a network (RFC \
                 6815): add --remote if nobody else uses it",
                ZonedAddr(*address)
            )
            .into());
        }
        let probes = Prober::builder().peer(self.peer.into()).packet(self.packet.options());
        Ok(Destination::choose(host, &probes)?)
    }

    /// Returns a hint if the target was perhaps meant otherwise.
    pub fn hint(&self) -> Option<String> {
        self.target.hint()
    }

    /// Returns the kind of measurement.
    pub fn mode(&self) -> Mode {
        let min = least_load(self.train, self.duration.unwrap_or(TRIAL));
        self.search.mode(self.rate.unwrap_or(FIRST_LOAD), min)
    }

    /// Returns the settings of the run, or the common settings of several trials.
    pub(crate) fn builder(&self) -> Result<LoadBuilder, Box<dyn Error>> {
        let is_open = self.rate.is_some() || self.mode() != Mode::Single;
        if self.poisson && !is_open {
            return Err("--poisson requires --rate, --sweep or --find-max".into());
        }
        let arrivals = self.arrivals();
        let train = NonZeroU16::new(self.train).unwrap_or(NonZeroU16::MIN);
        let pacing = match (self.rate, self.outstanding) {
            (Some(rate), _) => Pacing::Open { rate, arrivals },
            (None, Some(outstanding)) => Pacing::Closed { outstanding },
            (None, None) if is_open => Pacing::Open { rate: FIRST_LOAD, arrivals },
            (None, None) => Pacing::Closed { outstanding: MESSAGES.saturating_mul(train.into()) },
        };
        let min = u32::from(self.train) * u32::from(self.threads.get());
        if let Pacing::Closed { outstanding } = pacing
            && outstanding.get() < min
        {
            let error = format!("--outstanding must be at least --train times --threads ({min})");
            return Err(error.into());
        }
        let sources = self.sources.unwrap_or(self.threads.into());
        let duration = self.duration.unwrap_or(match (self.mode(), self.count) {
            (Mode::Single, None) => SINGLE,
            (Mode::Single, Some(_)) => UNLIMITED,
            _ => TRIAL,
        });
        let no_warm_up = self.count.is_some() && self.duration.is_none();
        let warm_up = if no_warm_up { Duration::ZERO } else { WARM_UP.min(duration / 10) };
        Ok(LoadGenerator::builder()
            .pacing(pacing)
            .duration(duration)
            .count(self.count.map(NonZeroU64::get))
            .warm_up(self.warm_up.unwrap_or(warm_up))
            .timeout(self.timeout)
            .peer(self.peer.into())
            .name_len(self.size.clone())
            .train(train)
            .sources(match self.sources_by {
                SourceKind::Ports => Sources::Ports(sources),
                SourceKind::Addresses => Sources::Addresses(sources),
            })
            .threads(self.threads)
            .seed(self.seed)
            .packet(self.packet.options()))
    }

    /// Returns what is offered in one trial.
    pub fn trial(&self, builder: &LoadBuilder, rate: NonZeroU64) -> LoadBuilder {
        builder.clone().pacing(Pacing::Open { rate, arrivals: self.arrivals() })
    }

    fn arrivals(&self) -> ArrivalProcess {
        if self.poisson { ArrivalProcess::Poisson } else { ArrivalProcess::Constant }
    }

    /// Adds advice to an error.
    pub fn explain(&self, error: LoadError) -> Box<dyn Error> {
        let causes = error_chain(&error);
        match error {
            LoadError::Connect { source, .. } if descriptors::advice(&source).is_some() => format!(
                "{causes}, use fewer --sources, or --sources-by addresses: each port needs a socket"
            )
            .into(),
            LoadError::Send { .. } if self.train > 1 => {
                format!("{causes}: try a smaller --train or --size").into()
            }
            error => error.into(),
        }
    }
}

/// The load at which a search starts by default.
const FIRST_LOAD: NonZeroU64 = NonZeroU64::new(10_000).expect("not zero");

/// The duration of a single run.
const SINGLE: Duration = Duration::from_secs(10);

/// The duration of each trial of several.
const TRIAL: Duration = Duration::from_secs(2);

/// The default number of outstanding messages in a closed loop.
pub(super) const MESSAGES: NonZeroU32 = NonZeroU32::new(64).expect("not zero");

/// The longest default warm-up.
const WARM_UP: Duration = Duration::from_secs(5);

/// A duration that no run reaches.
pub(super) const UNLIMITED: Duration = Duration::from_secs(100 * 365 * 86_400);

#[cfg(test)]
mod tests;
