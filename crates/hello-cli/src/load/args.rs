//! The command line of `hello-load`.

mod help;
mod values;

use std::error::Error;
use std::net::SocketAddr;
use std::num::{NonZeroU16, NonZeroU32, NonZeroU64};
use std::time::Duration;

use clap::Parser;
use hello_measure::SearchPlan;
use hello_net::{ArrivalProcess, LoadBuilder, LoadError, LoadGenerator, LoadPlan, Pacing, Sources};

use self::help::{EXAMPLES, LOAD, OUTPUT, SEARCH, TARGET, TIME};
use self::values::{
    LoadRange, Size, SourceKind, at_least_one, least_load, parse_count, parse_load, parse_loads,
    parse_number, parse_size,
};
use crate::args::address_family::Family;
use crate::args::common::CommonArgs;
use crate::args::duration;
use crate::args::endpoint::Endpoint;
use crate::output::options::ExportArgs;
use crate::output::percent;
use crate::process::descriptors;

/// Asks a hello server as much as it takes, or as much as it is told to, and says what came of it:
/// rates, loss, and latencies since each request was due and since it left.
///
/// Every byte of every reply is compared. A warm-up is left out. Ctrl-C ends a run early, and what
/// is known by then is printed. It says when the generator was the limit, and not the server.
///
/// It asks this machine only, unless --remote is given: a load takes down networks that others use,
/// and RFC 6815 says where it may be offered: in a network of its own.
#[derive(Debug, Parser)]
#[command(name = "hello-load", version, after_help = EXAMPLES)]
pub struct Args {
    // No documentation comment: rustdoc takes the brackets for a link.
    #[arg(
        help = "Whom to ask: HOST, HOST:PORT or [IPV6]:PORT",
        value_name = "TARGET",
        default_value_t = Endpoint::default(),
        value_parser = Endpoint::parse_destination,
    )]
    target: Endpoint,

    /// So many requests a second, whether they are answered or not: an open loop. With --find-max,
    /// the load to begin with, 10k if not given. 10k is 10000, 1M a million.
    #[arg(
        long,
        value_name = "LOAD",
        value_parser = parse_load,
        conflicts_with = "outstanding",
        help_heading = LOAD,
    )]
    rate: Option<NonZeroU64>,

    /// Draw the times at which requests are due, as those of many clients are who know nothing of
    /// each other (a Poisson process); else they are even.
    #[arg(long, help_heading = LOAD)]
    poisson: bool,

    /// Keep so many requests outstanding: a closed loop, in which the server says how fast it goes.
    /// 64 messages, if there is no --rate.
    #[arg(long, value_name = "COUNT", value_parser = parse_count, help_heading = LOAD)]
    outstanding: Option<NonZeroU32>,

    /// Ask from so many sources in turn; from as many as there are threads, if not given.
    #[arg(long, value_name = "COUNT", value_parser = parse_count, help_heading = LOAD)]
    sources: Option<NonZeroU32>,

    /// What a source is.
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = SourceKind::Ports, help_heading = LOAD)]
    sources_by: SourceKind,

    /// Send so many requests as one message, which the kernel or the network card cuts
    /// (UDP_SEGMENT); up to 64.
    #[arg(
        long,
        value_name = "COUNT",
        default_value = "1",
        value_parser = clap::value_parser!(u16).range(1..=MAX_TRAIN),
        help_heading = LOAD,
    )]
    train: u16,

    /// The length of each name in bytes, or two lengths to draw from: 16..512. The reply is 8
    /// longer. Many servers refuse names of more than 1024.
    #[arg(
        long,
        short,
        value_name = "BYTES",
        default_value = "16",
        value_parser = parse_size,
        help_heading = LOAD,
    )]
    size: Size,

    /// Measure for so long (500ms, 2m): 10 s, or 2 s for each trial of --find-max and --sweep.
    #[arg(long, value_name = "TIME", value_parser = duration::parse, help_heading = TIME)]
    duration: Option<Duration>,

    /// Stop after so many requests; without --duration, as long as that takes.
    #[arg(long, short, value_name = "COUNT", value_parser = parse_number, help_heading = TIME)]
    count: Option<NonZeroU64>,

    /// Ask for so long before that, and leave it out: a tenth of the duration, up to 5 s; nothing
    /// with --count alone.
    #[arg(long, value_name = "TIME", value_parser = duration::parse_or_zero, help_heading = TIME)]
    warm_up: Option<Duration>,

    /// After how long a request without an answer is lost; an answer after that is late.
    #[arg(
        long,
        short = 'W',
        value_name = "TIME",
        default_value = "1s",
        value_parser = duration::parse,
        help_heading = TIME,
    )]
    timeout: Duration,

    /// Send and receive with so many threads, each with its part of the sources.
    #[arg(long, value_name = "COUNT", default_value = "1", help_heading = LOAD)]
    threads: NonZeroU16,

    /// Draw sizes and times anew from this number: the same draws the same.
    #[arg(long, value_name = "NUMBER", default_value_t = 0, help_heading = LOAD)]
    seed: u64,

    /// Find the highest load with no more loss than --tolerance: throughput as in RFC 2544 section
    /// 26.1.
    #[arg(long, conflicts_with_all = NO_SEARCH, help_heading = SEARCH)]
    find_max: bool,

    /// The loss that a trial of --find-max may have, in per cent.
    #[arg(
        long,
        value_name = "PERCENT",
        default_value = "0",
        value_parser = percent::parse,
        requires = "find_max",
        conflicts_with_all = NO_SEARCH,
        help_heading = SEARCH,
    )]
    tolerance: f64,

    /// Make so many trials for each load of --find-max: more than half have to carry it.
    #[arg(
        long,
        value_name = "COUNT",
        default_value = "3",
        requires = "find_max",
        conflicts_with_all = NO_SEARCH,
        help_heading = SEARCH,
    )]
    trials: NonZeroU32,

    /// How close --find-max gets, in per cent of the lowest load of which too much is lost.
    #[arg(
        long,
        value_name = "PERCENT",
        default_value = "2",
        value_parser = percent::parse,
        requires = "find_max",
        conflicts_with_all = NO_SEARCH,
        help_heading = SEARCH,
    )]
    resolution: f64,

    /// The highest load that --find-max tries.
    #[arg(
        long,
        value_name = "LOAD",
        default_value = "100M",
        value_parser = parse_load,
        requires = "find_max",
        conflicts_with_all = NO_SEARCH,
        help_heading = SEARCH,
    )]
    max_rate: NonZeroU64,

    /// Try loads from the first to the second, and show what becomes of latencies and loss.
    #[arg(
        long,
        value_name = "LOAD..LOAD",
        value_parser = parse_loads,
        conflicts_with_all = NO_SWEEP,
        help_heading = SEARCH,
    )]
    sweep: Option<LoadRange>,

    /// How many loads --sweep tries, evenly spaced.
    #[arg(
        long,
        value_name = "COUNT",
        default_value = "10",
        value_parser = clap::value_parser!(u32).range(2..=1000),
        requires = "sweep",
        conflicts_with_all = NO_SWEEP,
        help_heading = SEARCH,
    )]
    steps: u32,

    /// Ask another machine. Do so only where nobody else is disturbed (RFC 6815).
    #[arg(long, help_heading = TARGET)]
    remote: bool,

    // No documentation comment, here and below: it would become that of the command.
    #[command(flatten, next_help_heading = TARGET)]
    family: Family,

    /// Print rates and losses of the time since the last such line, that often and at the end.
    #[arg(long, value_name = "TIME", value_parser = duration::parse, help_heading = OUTPUT)]
    pub every: Option<Duration>,

    #[command(flatten, next_help_heading = OUTPUT)]
    #[expect(missing_docs, reason = "it would become the help of the totals command")]
    pub outputs: ExportArgs,

    #[command(flatten, next_help_heading = OUTPUT)]
    #[expect(missing_docs, reason = "it would become the help of the totals command")]
    pub common: CommonArgs,
}

/// What is measured.
#[derive(Clone, Debug, PartialEq)]
pub enum Mode {
    /// One run.
    Single,
    /// A search, and the loss that a trial may have.
    FindMax(SearchPlan, f64),
    /// A run for each of these loads, in requests a second.
    Sweep(Vec<NonZeroU64>),
}

impl Args {
    /// Looks the target up, and returns what it is called and its first address of the family asked
    /// for.
    ///
    /// # Errors
    ///
    /// Says that it has no such address, or is another machine and --remote is not given.
    pub fn target(&self) -> Result<(String, SocketAddr), Box<dyn Error>> {
        let address = self.family.address(&self.target)?;
        if !self.remote && !address.ip().to_canonical().is_loopback() {
            return Err(format!(
                "{address} is not on the loopback of this machine, and a load takes down networks \
                 that others use (RFC 6815): give --remote if nobody else does"
            )
            .into());
        }
        Ok((self.target.to_string(), address))
    }

    /// Returns what is measured.
    pub fn mode(&self) -> Mode {
        if self.find_max {
            let start = self.rate.unwrap_or(FIRST_LOAD);
            let Self { max_rate: max, trials, resolution, tolerance, .. } = *self;
            let min = least_load(self.train, self.duration.unwrap_or(TRIAL));
            return Mode::FindMax(SearchPlan { start, min, max, trials, resolution }, tolerance);
        }
        match self.sweep {
            None => Mode::Single,
            Some((from, to)) => {
                let last = u128::from(self.steps - 1);
                let step = |step: u128| {
                    let (from, to) = (u128::from(from.get()), u128::from(to.get()));
                    let load = from + (to - from) * step / last;
                    u64::try_from(load).map_or(NonZeroU64::MAX, at_least_one)
                };
                let mut loads = Vec::from_iter((0..=last).map(step));
                // There may be fewer totals numbers between the two.
                loads.dedup();
                Mode::Sweep(loads)
            }
        }
    }

    /// Returns what is offered: of several trials, what is the same in all.
    ///
    /// # Errors
    ///
    /// Says that no times can be drawn in a closed loop.
    pub fn builder(&self) -> Result<LoadBuilder, Box<dyn Error>> {
        let is_open = self.rate.is_some() || self.mode() != Mode::Single;
        if self.poisson && !is_open {
            return Err("--poisson draws times: give --rate, too".into());
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
            let each = "each thread has a message outstanding, with all of its train";
            return Err(format!("{each}: give --outstanding {min}").into());
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
            .name_len(self.size.clone())
            .train(train)
            .sources(match self.sources_by {
                SourceKind::Ports => Sources::Ports(sources),
                SourceKind::Addresses => Sources::Addresses(sources),
            })
            .threads(self.threads)
            .seed(self.seed))
    }

    /// Returns what is offered in one trial.
    pub fn trial(&self, builder: &LoadBuilder, rate: NonZeroU64) -> LoadBuilder {
        builder.clone().pacing(Pacing::Open { rate, arrivals: self.arrivals() })
    }

    fn arrivals(&self) -> ArrivalProcess {
        if self.poisson { ArrivalProcess::Poisson } else { ArrivalProcess::Constant }
    }

    /// Adds to an error what can be done about it.
    pub fn explain(&self, error: LoadError) -> Box<dyn Error> {
        let causes = crate::process::exit::error_chain(&error);
        match error {
            LoadError::Connect { source, .. } if descriptors::advice(&source).is_some() => format!(
                "{causes}, use fewer --sources, or --sources-by addresses: each port takes a file \
                 descriptor"
            )
            .into(),
            LoadError::Send { .. } if self.train > 1 => {
                format!("{causes}: try a shorter --train, or a shorter --size").into()
            }
            error => error.into(),
        }
    }
}

/// The load that a search begins with.
const FIRST_LOAD: NonZeroU64 = NonZeroU64::new(10_000).expect("not zero");

/// The duration of a single run.
const SINGLE: Duration = Duration::from_secs(10);

/// The duration of each trial of several.
const TRIAL: Duration = Duration::from_secs(2);

/// How many messages are outstanding in a closed loop, if it is not said.
const MESSAGES: NonZeroU32 = NonZeroU32::new(64).expect("not zero");

/// A longer warm-up is not needed.
const WARM_UP: Duration = Duration::from_secs(5);

/// Nobody waits longer.
pub(super) const UNLIMITED: Duration = Duration::from_secs(100 * 365 * 86_400);

/// What keeps --find-max and its options out: to clap, a requirement is void where what it requires
/// conflicts with something else.
const NO_SEARCH: [&str; 3] = ["outstanding", "count", "sweep"];

/// What keeps --sweep and its options out.
const NO_SWEEP: [&str; 4] = ["rate", "outstanding", "count", "find_max"];

/// The most requests that a message takes.
const MAX_TRAIN: i64 = LoadPlan::MAX_TRAIN as i64;

#[cfg(test)]
mod tests;
