//! Stalls of a server, and of the generator.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::scripted_server::Server;
use super::{CLOSED_PORT, due, not_sent, run, start_load};
use crate::observability::fresh_path;
use crate::relay::{Inconclusive, retry_until_conclusive};
use crate::support::{count, json, peer};
use crate::truth::{mean, millis, nearest_rank, number, sorted};

/// The interval of a run at 500 requests per second.
const INTERVAL: Duration = Duration::from_millis(2);

/// A server that answers everything, but stalls before it answers request number `at`.
fn stalling(at: usize, stall: Duration) -> Server {
    Server::start(move |request| {
        if request.number == at {
            // Waits for no event: this is the stall.
            thread::sleep(stall);
        }
        Some(request.greeting())
    })
}

#[test]
fn generator_that_skips_most_requests_is_busy() {
    let arguments =
        ["--rate", "10M", "--warm-up", "0", "--duration", "100ms", "-W", "50ms", CLOSED_PORT];
    let (summary, _) = run(&arguments);
    assert_eq!(due(&summary), 1_000_000);
    let generator = &summary["generator"];
    assert_eq!(generator["limits"][0]["limit"], "late", "{generator}");
    assert!(number(&generator["busy"]) > 0.5, "{generator}");
}

#[test]
fn server_stall_shows_in_every_request_due_during_it() {
    const STALL: Duration = Duration::from_millis(150);
    retry_until_conclusive(0, |_| {
        let server = stalling(50, STALL);
        let arguments = ["--rate", "500", "--count", "200", "-W", "20s", &server.address()];
        let (summary, status) = run(&arguments);
        server.finish();
        assert_eq!((due(&summary), &summary["lost"], status), (200, &0.into(), Some(0)));
        assert_eq!(summary["answered"], summary["sent"]);
        // The request at which the stall began took at least as long as the stall, and each later
        // one at least as long as the rest of it. Requests that were not sent count as the slowest.
        let left = (0..75).map(|number| millis(STALL - INTERVAL * number));
        let not_sent = usize::try_from(not_sent(&summary)).expect("few");
        if not_sent > 35 {
            return Err(Inconclusive(format!("{not_sent} of 200 were not sent")));
        }
        let mut least = Vec::from_iter(left.skip(not_sent));
        least.resize(200 - not_sent, 0.0);
        let least = sorted(least);
        let latency = &summary["latency_ms"];
        for (name, permille) in [("p90", 900), ("p95", 950), ("p99", 990)] {
            let (stated, least) = (number(&latency[name]), nearest_rank(&least, permille));
            assert!(stated >= least - 1e-5, "{name} is less than {least}: {latency}");
        }
        assert!(number(&latency["mean"]) >= mean(&least) - 1e-5, "{latency}");
        Ok(())
    });
}

#[test]
fn replies_after_a_long_stall_are_late_and_their_requests_lost() {
    let server = stalling(50, Duration::from_millis(300));
    let arguments = ["--rate", "500", "--count", "300", "-W", "100ms", &server.address()];
    let (summary, status) = run(&arguments);
    server.finish();
    assert_eq!(status, Some(0));
    assert_eq!(due(&summary), 300);
    let [sent, answered, lost, late] =
        ["sent", "answered", "lost", "late"].map(|name| count(&summary[name]));
    assert_eq!((answered + lost, &summary["in_flight"]), (sent, &0.into()));
    // Two thirds of the stall make the requests due in it too late, and requests may themselves
    // leave up to 10 ms late.
    assert!(lost + not_sent(&summary) >= 95, "{summary}");
    assert!(lost >= late && late + not_sent(&summary) >= 95, "{summary}");
    assert!(number(&summary["loss"]) > 0.0);
}

#[test]
fn closed_loop_stall_affects_only_outstanding_requests() {
    let server = stalling(50, Duration::from_millis(150));
    let arguments = ["--outstanding", "1", "--count", "200", "-W", "20s", &server.address()];
    let (summary, _) = run(&arguments);
    server.finish();
    assert_eq!((&summary["sent"], &summary["answered"]), (&200.into(), &200.into()));
    let latency = &summary["latency_ms"];
    assert!(number(&latency["max"]) >= 150.0, "{latency}");
    assert!(number(&latency["p50"]) < number(&latency["max"]), "{latency}");
}

#[test]
fn closed_loop_sends_the_next_request_once_one_is_lost() {
    let silent = peer();
    let to = silent.local_addr().expect("bound").to_string();
    let mut process =
        start_load(&["--outstanding", "1", "--count", "400", "-W", "1ms", "--json", &to]);
    // If each were waited for even a tenth of a second, the run would take twice as long.
    let deadline = Instant::now() + Duration::from_secs(20);
    while !process.has_ended() {
        assert!(Instant::now() < deadline, "400 timeouts of a millisecond in 20 seconds");
        thread::yield_now();
    }
    let (lines, status) = process.finish();
    let summary = json(lines.last().expect("a summary"));
    assert_eq!((&summary["lost"], status), (&400.into(), Some(1)));
}

#[test]
fn busy_share_excludes_the_drain_after_the_last_request() {
    let server = Server::greeter();
    let to = server.address();
    let arguments =
        ["--outstanding", "1", "--duration", "100ms", "--warm-up", "0", "-W", "20s", &to];
    let (summary, status) = run(&arguments);
    assert!(number(&summary["generator"]["busy"]) > 0.0, "sending takes time: {summary}");
    assert_eq!(status, Some(0));
}

#[test]
fn suspended_generator_reports_unsent_requests_and_loses_none() {
    let file = fresh_path("suspended_generator_reports_unsent_requests_and_loses_none");
    let (server, path) = (Server::greeter(), file.to_str().expect("UTF-8"));
    let to = server.address();
    let options = ["--rate", "500", "--count", "600", "-W", "200ms", "--export-json", path];
    let process = start_load(&[&options[..], &[&to]].concat());
    server.wait_for(20);
    process.signal(Signal::STOP);
    process.wait_until_stopped();
    let since = Instant::now();
    // Waits for no event: the generator must be stopped for longer than any reply may take.
    thread::sleep(Duration::from_millis(300));
    let stopped = since.elapsed();
    process.signal(Signal::CONT);
    let (lines, status) = process.finish();
    assert_eq!(status, Some(0));
    let summary = &json(&fs::read_to_string(file).expect("there"))["results"][0];
    assert_eq!(due(summary), 600);
    assert_eq!(server.finish().len() as u64, count(&summary["sent"]));
    // The arrival time counts, not the time of the receive call.
    assert_eq!((&summary["answered"], &summary["lost"]), (&summary["sent"], &0.into()));
    // Requests more than 10 ms late are not sent; one may have been about to leave.
    let least = (stopped - Duration::from_millis(10)).as_millis() / INTERVAL.as_millis() - 1;
    let late = count(&summary["not_sent"]["late"]);
    assert!(u128::from(late) >= least, "{late} of {least} in {stopped:?}");
    let limits = summary["generator"]["limits"].as_array().expect("a list");
    let found = limits.iter().find(|limit| limit["limit"] == "late").expect("reported");
    assert_eq!(found["requests"], late);
    let expected = format!("generator limit: {late} requests not sent: too late");
    assert!(lines.contains(&expected), "{lines:?}");
    let expected =
        format!("{late} of 600 not sent: too late, because this process was stalled or too slow");
    assert!(lines.contains(&expected), "{lines:?}");
}
