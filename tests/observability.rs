//! Statistics, metrics and status of `hello-server`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{
    Finished, Process, SERVER, exchange, have, json, peer, receive, run_at_terminal, server,
    summary,
};

/// Returns a path for a file of the test, where none exists.
pub(crate) fn fresh_path(test: &str) -> PathBuf {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(test);
    // Does not exist at the first run.
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).expect("a directory");
    directory.join("hello-server.prom")
}

/// The metric of the replies of a server without XDP.
pub(crate) const ANSWERED: &str = "hello_server_answered_total{by=\"socket\"}";

/// Returns the value of one metric, by its name and labels.
pub(crate) fn metric(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    Some(value.parse().expect("a number"))
}

/// Returns a line's numbers by name, including those of its objects.
fn flat(line: &Value) -> Vec<(String, u64)> {
    let flat = line.as_object().expect("an object").iter().flat_map(|(name, value)| match value {
        Value::Number(number) => vec![(name.clone(), number.as_u64().expect("whole"))],
        Value::Object(counts) if name != "rates" && name != "limit" => counts
            .iter()
            .map(|(label, count)| (format!("{name} {label}"), count.as_u64().expect("whole")))
            .collect(),
        _ => vec![],
    });
    flat.collect()
}

#[test]
fn statistics_have_counters_and_rates_at_the_given_interval() {
    let (mut server, address) = server(&["--bind", "127.0.0.1:0", "--quiet", "--stats", "0.2"]);
    let client = peer();
    for _ in 0..7 {
        exchange(&client, address, b"Tracy");
    }
    client.send_to(b"Hello, Hello, World!!", address).expect("sent");
    let (mut received, mut answered, mut refused) = (0.0, 0.0, 0.0);
    let last = loop {
        let line = server.json();
        assert_eq!(line["event"], "stats");
        let rates = &line["rates"];
        let rate = |name: &str| rates[name].as_f64().expect("a number");
        received += rate("received") * rate("interval_s");
        answered += rate("answered") * rate("interval_s");
        refused += rate("refused") * rate("interval_s");
        if line["refused"]["greeted-twice"] == 1 {
            break line;
        }
    };
    assert_eq!((&last["received"], &last["answered"]), (&8.into(), &7.into()));
    let sums = [received, answered, refused].map(|sum| (sum * 1e6).round() / 1e6);
    assert_eq!(sums, [8.0, 7.0, 1.0], "rates times intervals equal counts");
    assert_eq!(summary(server)["received"], 8);
}

#[test]
fn statistics_interval_out_of_range_is_an_error() {
    for period in ["1ns", "9ms", "366days", "1e9"] {
        let output = Command::new(SERVER).args(["--stats", period]).output().expect("runs");
        let Finished { out, err, status } = output.into();
        assert_eq!((&*out, status), ("", Some(2)), "{period}");
        assert!(err.contains("must be between 10ms and 365days"), "{err}");
    }
}

#[test]
fn statistics_as_text_are_one_line() {
    let arguments = ["--bind", "127.0.0.1:0", "--quiet", "--stats", "100ms"];
    let mut server = Process::start(Command::new(SERVER).args(arguments));
    let address = server.line();
    let address = address.strip_prefix("listening on ").expect("an address").parse();
    exchange(&peer(), address.expect("one"), b"Tracy");
    loop {
        let line = server.line();
        let (uptime, counts) = line.split_once(": ").expect("the time since the start");
        let counts = counts.split(", ").map(|part| part.split(' ').next().expect("a number"));
        if counts.eq(["1", "1", "0", "0", "0"]) {
            assert!(uptime.starts_with("after ") && line.contains(": 1 received ("), "{line}");
            return assert!(line.ends_with("/s), 0 dropped by the kernel (0/s)"), "{line}");
        }
    }
}

#[test]
fn sigusr1_prints_a_snapshot_and_rewrites_the_metrics() {
    let file = fresh_path("sigusr1_prints_a_snapshot_and_rewrites_the_metrics");
    let path = file.to_str().expect("UTF-8");
    let (mut server, address) =
        server(&["--bind", "127.0.0.1:0", "--quiet", "--metrics-file", path]);
    let text = fs::read_to_string(&file).expect("there from the start");
    assert_eq!(metric(&text, "hello_server_received_total"), Some(0));
    let client = peer();
    for requests in 1..=3 {
        exchange(&client, address, b"Tracy");
        // The client gets its reply a moment before it is counted.
        let snapshot = loop {
            server.signal(Signal::USR1);
            let snapshot = server.json();
            assert_eq!(snapshot["event"], "snapshot");
            if snapshot["answered"] == requests {
                break snapshot;
            }
        };
        assert!(snapshot["uptime_s"].is_f64(), "{snapshot}");
        assert_eq!(snapshot["received"], requests);
        // Another thread writes the file, and the next line does not wait for it.
        let written = || {
            let text = fs::read_to_string(&file).expect("there");
            metric(&text, ANSWERED)
        };
        while written() == Some(requests - 1) {
            server.signal(Signal::USR1);
            server.json();
        }
        assert_eq!(written(), Some(requests));
    }
    assert_eq!(summary(server)["answered"], 3);
}

#[test]
fn metrics_equal_the_summary_and_are_valid_for_prometheus() {
    let test = "metrics_equal_the_summary_and_are_valid_for_prometheus";
    let file = fresh_path(test);
    let path = file.to_str().expect("UTF-8");
    let options = ["--bind", "127.0.0.1:0", "--quiet", "--metrics-file", path];
    let (server, address) =
        server(&[&options[..], &["--limit", "1", "--limit-burst", "3"]].concat());
    let client = peer();
    for name in [&b"Hello, Hello, World!!"[..], &[b'x'; 1025], b"a", b"b", b"c"] {
        client.send_to(name, address).expect("sent");
    }
    // Exceed the limit, so that some requests are refused.
    for _ in 0..100 {
        client.send_to(b"d", address).expect("sent");
    }
    for name in ["a", "b", "c"] {
        assert_eq!(receive(&client), (format!("Hello, {name}!").into_bytes(), address));
    }
    let summary = summary(server);
    let text = fs::read_to_string(&file).expect("there");
    let mut samples = text.lines().filter(|line| !line.starts_with('#')).count();
    for (name, count) in flat(&summary) {
        let metric_name = match name.split_once(' ') {
            None if name == "answered" => ANSWERED.into(),
            None => format!("hello_server_{name}_total"),
            Some(("refused", label)) => format!("hello_server_refused_total{{reason=\"{label}\"}}"),
            Some((name, label)) => format!("hello_server_{name}_total{{class=\"{label}\"}}"),
        };
        assert_eq!(metric(&text, &metric_name), Some(count), "{metric_name}: {text}");
        samples -= 1;
    }
    assert_eq!(samples, 2, "all except the start time and the version");
    assert!(metric(&text, "hello_server_refused_total{reason=\"over-limit\"}") > Some(0));

    assert_valid_for_prometheus(test, &file);
}

/// Checks a metrics file with promtool, if it is installed.
pub(crate) fn assert_valid_for_prometheus(test: &str, file: &Path) {
    if have("promtool", "--version", test) {
        let metrics = File::open(file).expect("there");
        let output = Command::new("promtool").args(["check", "metrics"]).stdin(metrics).output();
        let Finished { out, err, status } = output.expect("runs").into();
        assert_eq!((&*out, &*err, status), ("", "", Some(0)));
    }
}

#[test]
fn metrics_readers_always_see_one_complete_file() {
    let file = fresh_path("metrics_readers_always_see_one_complete_file");
    let path = file.to_str().expect("UTF-8");
    let (mut server, _) = server(&["--bind", "127.0.0.1:0", "--metrics-file", path]);
    for _ in 0..50 {
        server.signal(Signal::USR1);
        for _ in 0..20 {
            let text = fs::read_to_string(&file).expect("there");
            assert!(metric(&text, "hello_server_received_total").is_some(), "{text}");
            assert!(metric(&text, "hello_server_start_time_seconds").is_some(), "{text}");
        }
    }
    assert_eq!(server.json()["event"], "snapshot");
    assert_eq!(summary(server)["received"], 0);
    let left = fs::read_dir(file.parent().expect("a directory")).expect("readable").count();
    assert_eq!(left, 1, "no unfinished file is left");
}

#[test]
fn unwritable_metrics_file_is_fatal_only_at_the_start() {
    let file = fresh_path("a_metrics_file_that_cannot_be_written");
    let nowhere = file.with_file_name("nowhere").join("hello-server.prom");
    let arguments = ["--bind", "127.0.0.1:0", "--metrics-file"];
    let output = Command::new(SERVER).args(arguments).arg(&nowhere).output().expect("runs");
    let Finished { out, err, status } = output.into();
    assert_eq!((&*out, status), ("", Some(2)));
    let expected = format!(
        "hello-server: cannot write the metrics file {nowhere:?}: its directory must exist and be writable: "
    );
    assert!(err.starts_with(&expected), "{err}");

    let path = file.to_str().expect("UTF-8");
    let (mut server, address) =
        server(&["--bind", "127.0.0.1:0", "--quiet", "--metrics-file", path]);
    fs::remove_dir_all(file.parent().expect("a directory")).expect("ours");
    server.signal(Signal::USR1);
    let lines = [server.json(), server.json()];
    assert_eq!((&lines[0]["event"], &lines[1]["event"]), (&"snapshot".into(), &"error".into()));
    assert_eq!(exchange(&peer(), address, b"Tracy"), b"Hello, Tracy!");
    server.signal(Signal::TERM);
    let (lines, status) = server.finish();
    // Reported once, and again at the end, because the counts are not in the file.
    assert_eq!(
        (json(&lines[0])["event"].as_str(), lines.len(), status),
        (Some("summary"), 1, Some(2))
    );
}

/// Runs a server at a terminal until it has printed its status line, and returns the whole output.
fn terminal_output(arguments: &[&str]) -> String {
    let mut command = Command::new(SERVER);
    command.args(["--bind", "127.0.0.1:0"]).args(arguments);
    run_at_terminal(command, |seen| seen.contains("received/s") || seen.contains("\"stats\""))
}

#[test]
fn terminal_shows_a_transient_server_status_line() {
    let seen = terminal_output(&["--quiet"]);
    let status = "0 received/s, 0 answered/s, 0 refused/s, 0 send failed/s, 0 dropped/s";
    let (before, after) = seen.split_once(status).expect("a status");
    assert!(before.starts_with("listening on 127.0.0.1:"), "{seen:?}");
    // The status line is erased before the next line.
    assert!(after.contains("\r\u{1b}[2K0 received, 0 answered"), "{seen:?}");
}

#[test]
fn piped_output_has_no_status_line() {
    let seen = terminal_output(&["--json", "--stats", "0.1"]);
    assert!(!seen.contains('\u{1b}'), "{seen:?}");
}
