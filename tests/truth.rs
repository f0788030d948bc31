//! The output of `hello-ping`, compared with a relay's record: every number, over many seeds.

mod ends;
mod flows;
mod impairments;
mod outages;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::panic;
use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

pub(crate) use self::impairments::{assert_everything_occurred, everything, quick, slow};
use crate::relay::{Greeter, Inconclusive, Log, Plan, Relay, Truth};
use crate::support::{Process, count, json};

const PING: &str = env!("CARGO_BIN_EXE_hello-ping");

/// One probe each 2 ms, so that whatever takes [`LONG`] arrives before a [`WHOLE`] run ends.
const PACE: &str = "-i 2ms -W 250ms";
const WHOLE: &str = "-c 420 -i 2ms -W 250ms";
/// The number of impaired probes at the start.
pub(crate) const IMPAIRED: usize = 150;

/// A delay is well below or above the timeout: at most [`SHORT`] or at least [`LONG`].
pub(crate) const TIMEOUT: Duration = Duration::from_millis(250);
pub(crate) const SHORT: Duration = Duration::from_millis(40);
pub(crate) const LONG: Duration = Duration::from_millis(450);

fn ping(arguments: &str, servers: &[SocketAddr]) -> Process {
    let mut command = Command::new(PING);
    command.arg("--json").args(arguments.split(' '));
    Process::start(command.args(servers.iter().map(SocketAddr::to_string)))
}

/// Runs something with a relay to a server.
pub(crate) fn through_relay<T>(
    server: SocketAddr,
    plan: &Plan,
    run: impl FnOnce(SocketAddr) -> T,
) -> (T, Log) {
    let relay = Relay::start(server, plan);
    let result = run(relay.address());
    (result, relay.finish())
}

/// Runs `hello-ping` to its end, through a relay to an independent server.
fn measure(plan: &Plan, arguments: &str) -> Result<(Run, Log, Truth), Inconclusive> {
    let greeter = Greeter::start();
    let (run, log) = through_relay(greeter.address(), plan, |address| {
        Run::of(vec![], ping(arguments, &[address]))
    });
    greeter.finish();
    let truth = log.truth(TIMEOUT)?;
    Ok((run, log, truth))
}

/// Runs something for each of several values in parallel, because runs mostly wait.
pub(crate) fn in_parallel<T: Send, U: Send, const N: usize>(
    each: [T; N],
    run: impl Fn(T) -> U + Sync,
) -> [U; N] {
    thread::scope(|scope| {
        let run = &run;
        let runs = each.map(|one| scope.spawn(move || run(one)));
        runs.map(|run| run.join().unwrap_or_else(|cause| panic::resume_unwind(cause)))
    })
}

/// The output of a run for one target, and its exit status.
struct Run {
    events: Vec<Value>,
    summary: Value,
    status: Option<i32>,
}

impl Run {
    /// Reads the rest, after the events read already.
    fn of(mut events: Vec<Value>, process: Process) -> Self {
        let (lines, status) = process.finish();
        events.extend(lines.iter().map(|line| json(line)));
        Self::new(events, status)
    }

    fn new(mut events: Vec<Value>, status: Option<i32>) -> Self {
        let summary = events.pop().expect("a summary");
        assert_eq!(summary["event"], "summary");
        Self { events, summary, status }
    }

    fn events(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.events.iter().filter(move |event| event["event"] == kind)
    }

    /// Returns the number of probes that were due; after a stall, some may not have been sent.
    fn due(&self) -> u64 {
        let left_out = self.summary["not_sent"].as_object().expect("counts");
        count(&self.summary["sent"]) + left_out.values().map(count).sum::<u64>()
    }

    /// Returns the sequence numbers of the events of a kind, in order.
    fn seqs(&self, kind: &str) -> Vec<u32> {
        let seq = |event: &Value| count(&event["seq"]).try_into().expect("32 bits");
        self.events(kind).map(seq).collect()
    }

    /// Compares everything with the expected counts, and the summary with the events; for one flow.
    fn assert_agrees(&self, truth: &Truth) {
        self.assert_counts(truth);
        let order: Vec<_> = truth.answers.iter().map(|answer| answer.seq).collect();
        assert_eq!(self.seqs("reply"), order);
        let marked = self.events("reply").map(|event| &event["reordered"]);
        assert!(marked.eq(truth.answers.iter().map(|answer| answer.reordered)));
        assert_eq!(self.summary["reordered"], truth.reordered());
        self.assert_outages(&truth.lost);
        self.assert_times(truth);
    }

    /// Compares what does not depend on which of two flows is read first.
    fn assert_counts(&self, truth: &Truth) {
        let summary = &self.summary;
        let (answered, lost) = (truth.answers.len(), truth.lost.len());
        let expected = json!({
            "sent": truth.sent,
            "answered": answered,
            "lost": lost,
            "in_flight": truth.in_flight,
            "late": truth.late,
            "duplicate": truth.duplicate,
            "corrupt": truth.corrupt,
            "unsolicited": truth.unsolicited,
            "out_of_window": 0,
            "errors": {},
        });
        let names = expected.as_object().expect("an object").keys();
        let found: Value = names.map(|name| (name.clone(), summary[name].clone())).collect();
        assert_eq!(found, expected);
        assert_near(&summary["loss"], lost as f64 / (answered + lost) as f64, "loss");
        for (event, name) in [
            ("reply", "answered"),
            ("lost", "lost"),
            ("late", "late"),
            ("duplicate", "duplicate"),
            ("corrupt", "corrupt"),
            ("unsolicited", "unsolicited"),
        ] {
            assert_eq!(summary[name], self.events(event).count(), "{event}");
        }
        assert_eq!(self.seqs("lost"), truth.lost);
        let missed = ["probes", "scattered"].map(|name| count(&summary["outages"][name]));
        let settled = count(&summary["answered"]) + count(&summary["in_flight"]);
        assert_eq!(missed.iter().sum::<u64>(), self.due() - settled, "{summary}");
        let mut shortest: BTreeMap<_, _> =
            truth.answers.iter().map(|answer| (u64::from(answer.seq), answer.shortest)).collect();
        for reply in self.events("reply") {
            let shortest = shortest.remove(&count(&reply["seq"])).expect("an answer");
            assert!(number(&reply["rtt_ms"]) >= millis(shortest), "{reply}: at least {shortest:?}");
        }
        assert_eq!(self.status, Some(0));
    }

    /// Compares round-trip times with the relay's bounds, and the summary with them.
    fn assert_times(&self, truth: &Truth) {
        let rtts: Vec<_> = self.events("reply").map(|reply| number(&reply["rtt_ms"])).collect();
        let longest = sorted(truth.answers.iter().map(|answer| millis(answer.longest)).collect());
        let rtt = &self.summary["rtt_ms"];
        // A probe may be delayed between its timestamp and its departure, but not every second one.
        let (median, most) = (number(&rtt["p50"]), nearest_rank(&longest, 500) * 1.001);
        assert!(median <= most, "a median of {median} ms is more than {most} ms");

        let differences: Vec<_> = rtts.windows(2).map(|pair| (pair[1] - pair[0]).abs()).collect();
        let jitter = &self.summary["jitter_ms"];
        assert_near(&jitter["mean"], mean(&differences), "jitter");
        let smoothed = differences.iter().fold(0.0, |old, new| old + (new - old) / 16.0);
        assert_near(&jitter["rfc3550"], smoothed, "jitter of RFC 3550");

        assert_near(&rtt["mean"], mean(&rtts), "mean");
        let squares: Vec<_> = rtts.iter().map(|rtt| (rtt - mean(&rtts)).powi(2)).collect();
        assert_near(&rtt["stddev"], mean(&squares).sqrt(), "standard deviation");
        let rtts = sorted(rtts);
        assert_near(&rtt["min"], rtts[0], "minimum");
        assert_near(&rtt["max"], rtts[rtts.len() - 1], "maximum");
        for (name, permille) in
            [("p50", 500), ("p90", 900), ("p95", 950), ("p99", 990), ("p999", 999)]
        {
            let Some(stated) = percentile(rtt, name, permille, rtts.len()) else { continue };
            let exact = nearest_rank(&rtts, permille);
            // Times are kept to three digits.
            let near = exact - 1e-5..=exact * 1.001 + 1e-5;
            assert!(near.contains(&stated), "{name}: {stated} instead of {exact}");
        }
    }
}

/// Compares to ten nanoseconds, because addition and printing lose digits.
pub(crate) fn assert_near(stated: &Value, exact: f64, what: &str) {
    assert!((number(stated) - exact).abs() < 1e-5, "{what}: {stated} instead of {exact}");
}

/// Returns a percentile of the times, which is known if and only if it has enough samples.
pub(crate) fn percentile(
    times: &Value,
    name: &str,
    permille: usize,
    samples: usize,
) -> Option<f64> {
    let is_known = samples * (1000 - permille) >= 1000;
    assert_eq!(times[name].is_number(), is_known, "{name} of {samples} samples");
    times[name].as_f64()
}

/// Returns the value that this many thousandths of all do not exceed.
pub(crate) fn nearest_rank(sorted: &[f64], permille: usize) -> f64 {
    sorted[(sorted.len() * permille).div_ceil(1000) - 1]
}

pub(crate) fn sorted(mut numbers: Vec<f64>) -> Vec<f64> {
    numbers.sort_by(f64::total_cmp);
    numbers
}

pub(crate) fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / numbers.len() as f64
}

pub(crate) fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is not a number"))
}

pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
