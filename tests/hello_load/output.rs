//! The text output of a run.

use std::process::Command;

use regex::Regex;

use super::scripted_server::Server;
use super::{FEW, load};
use crate::support::{Finished, LOAD, count, run_at_terminal, run_at_terminal_of_width, server};

/// Replaces each number with a pattern that matches it.
fn assert_looks_like(out: &str, expected: &str) {
    // Unknown percentiles are dashes.
    let times = r"(\s+(\d+(\.\d+)?|-)){7}";
    let expected = regex::escape(expected)
        .replace("TIMES", times)
        .replace("NUMBER", r"\d+(,\d{3})*(\.\d+)?")
        .replace("ANYTHING", "[^\n]*");
    let expression = Regex::new(&format!("^{expected}$")).expect("an expression");
    assert!(expression.is_match(out), "{out}");
    assert!(!out.contains('\u{1b}') && !out.contains('\r'), "{out:?}");
}

#[test]
fn closed_loop_prints_a_header_and_a_summary() {
    let (_server, address) = server(&["--bind", "127.0.0.1:0", "--quiet"]);
    let address = address.to_string();
    let Finished { out, err, status } = load(&[&FEW[..], &[&address]].concat());
    assert_eq!((&*err, status), ("", Some(0)));
    let expected = format!(
        "LOAD {address} (127.0.0.1): 4 outstanding, 16-byte names, 1 source port, 20 requests

{address} answered 20 of 20 requests; too few for a rate with 4 outstanding
--- {address} load statistics ---
requests  count  share  requests/s  payload
sent         20                  -        -
answered     20   100%           -        -
lost          0     0%
in NUMBER s; payload: names sent and replies received, without headers
msANYTHING
latencyTIMES
rttTIMES
"
    );
    // Busy or not: this few requests take no time.
    let out = out.split_inclusive('\n').filter(|line| !line.starts_with("generator"));
    assert_looks_like(&out.collect::<String>(), &expected);
}

#[test]
fn open_loop_prints_its_timer_error() {
    let server = Server::greeter();
    let address = server.address();
    let options = ["--rate", "2k", "--poisson", "--size", "16..32", "--sources", "2"];
    let arguments = [&options[..], &["--duration", "0.2", "-W", "20s", &address]].concat();
    let Finished { out, err, status } = load(&arguments);
    assert_eq!((&*err, status), ("", Some(0)));
    let header = format!(
        "LOAD {address} (127.0.0.1): 2,000 requests/s (poisson), 384 kbit/s of payload, names of 16 to 32 bytes, 2 source \
         ports, 200ms after 20ms of warm-up\n"
    );
    assert!(out.starts_with(&header), "{out}");
    let (_, rest) = out.split_once("\ntimer error").expect("there");
    assert_looks_like(rest.lines().next().expect("a line"), "TIMES");
    assert!(out.contains("\nin 0.200 s; payload"), "{out}");
}

#[test]
fn interval_lines_sum_to_the_summary() {
    let server = Server::greeter();
    let to = server.address();
    for run in [&["--rate", "1k"][..], &["--outstanding", "2"]] {
        let options =
            ["--every", "50ms", "--duration", "0.3", "--warm-up", "0.1", "-W", "20s", &to];
        let (lines, status) = super::lines(&[run, &options].concat());
        assert_eq!(status, Some(0));
        let [start, parts @ .., summary] = &lines[..] else { panic!("{lines:?}") };
        assert_eq!(start["event"], "start");
        assert!(parts.len() > 1 && parts.iter().all(|part| part["event"] == "interval"));
        for what in ["sent", "answered", "lost"] {
            let sum = parts.iter().map(|part| count(&part[what])).sum::<u64>();
            assert_eq!(sum, count(&summary[what]), "{what} {lines:?}");
        }
        let (last, whole) = parts.split_last().expect("several");
        assert!(whole.iter().all(|part| part["partial"] == false), "{parts:?}");
        if last["partial"] == true {
            assert!(last["sent_per_s"].is_null() && last["answered_per_s"].is_null(), "{last}");
        }
        let ends = Vec::from_iter(parts.iter().map(|part| part["at_s"].as_f64()));
        assert!(ends.is_sorted() && ends[0] >= Some(0.05), "{ends:?}");
    }
    let options = ["--every", "1h", "--sweep", "500..1000", "--steps", "2", "--duration", "50ms"];
    let Finished { out, .. } = load(&[&options[..], &["-W", "20s", &to]].concat());
    let parts = out.lines().filter(|line| line.contains("  (partial: "));
    let loads = Vec::from_iter(parts.map(|line| line.contains(" s  500/s: ")));
    assert_eq!(loads, [true, false], "one at the end of each load: {out}");
}

#[test]
fn terminal_shows_a_transient_status_line() {
    let server = Server::greeter();
    let mut command = Command::new(LOAD);
    command.args(["--rate", "500", "--duration", "1h", "--warm-up", "0", "-W", "20s"]);
    command.arg(server.address());
    let seen = run_at_terminal(command, |seen| seen.contains(" answered/s, "));
    let (_, after) = seen.rsplit_once(" answered/s, ").expect("a status");
    assert!(after.contains("\r\u{1b}[2K"), "the status line is erased: {seen:?}");
    assert!(after.contains(" load statistics ---\r\n"), "{seen:?}");
}

#[test]
fn quiet_prints_only_the_result() {
    let server = Server::greeter();
    let to = server.address();
    for options in [
        &["--count", "20", "--every", "1ms"][..],
        &["--sweep", "100..200", "--steps", "2", "--duration", "50ms"],
        &["--find-max", "--rate", "100", "--max-rate", "100", "--duration", "50ms"],
    ] {
        let quiet = [options, &["-q", "-W", "20s", &to]].concat();
        let Finished { out, err, .. } = load(&quiet);
        assert_eq!(err, "");
        assert!(out.starts_with(&format!("\n{to} ")), "the headline: {out}");
        for other in ["LOAD ", "(partial: ", "search from", "sweep of", " carried  "] {
            assert!(!out.contains(other), "{other}: {out}");
        }
        let (lines, _) = super::lines(&quiet);
        let [start, result @ ..] = &lines[..] else { panic!("nothing") };
        assert_eq!(start["event"], "start");
        assert!(result.iter().all(|line| line["event"] != "interval"), "{lines:?}");
        assert!(lines.last().is_some_and(|line| line["headline"].is_string()), "{lines:?}");
    }
}

#[test]
fn output_fits_terminals_of_40_60_and_80_columns() {
    let codes = Regex::new("\u{1b}\\[[0-9;?]*[A-Za-z]").expect("an expression");
    for columns in [40, 60, 80] {
        for options in [
            &["--count", "200", "--outstanding", "2", "--every", "20ms"][..],
            &["--sweep", "400..800", "--steps", "2", "--duration", "0.3"],
            &["--find-max", "--rate", "400", "--max-rate", "400", "--duration", "0.3"],
        ] {
            let server = Server::greeter();
            let mut command = Command::new(LOAD);
            command.env("LC_ALL", "C").env_remove("COLUMNS");
            command.args(options).args(["-W", "20s", &server.address()]);
            let (seen, status) = run_at_terminal_of_width(columns, command, |_| false);
            assert!(seen.is_ascii(), "LC_ALL=C: {seen:?}");
            for line in codes.replace_all(&seen, "").split(['\n', '\r']) {
                assert!(line.chars().count() <= columns.into(), "{columns}: {line:?}");
            }
            // On a busy machine, a search may find nothing.
            assert!(status == Some(0) || options[0] == "--find-max", "{seen}");
        }
    }
}

#[test]
fn live_line_says_what_is_awaited_and_for_how_long_at_most() {
    let server = Server::start(|request| (request.number < 50).then(|| request.greeting()));
    let mut command = Command::new(LOAD);
    command.args(["--rate", "500", "--duration", "0.3", "--warm-up", "0", "-W", "1s"]);
    command.arg(server.address());
    let (seen, status) = run_at_terminal_of_width(80, command, |_| false);
    assert_eq!(status, Some(0));
    let (_, after) = seen.split_once("waiting 1s at most for ").expect("a wait");
    assert!(after.contains(" replies"), "{seen:?}");
    assert!(!after.contains(" answered/s, "), "no rate is shown while nothing is sent: {seen:?}");
}

#[test]
fn headline_is_coloured_by_its_meaning() {
    let server = Server::greeter();
    let to = server.address();
    let color = |target: &str| {
        let options = ["--rate", "500", "--count", "50", "--color", "always"];
        let Finished { out, .. } = load(&[&options[..], &["-q", "-W", "20s", target]].concat());
        out.trim_start().split('m').take(2).map(|code| format!("{code}m")).collect::<String>()
    };
    // Bold, and green or red.
    assert_eq!(color(&to), "\u{1b}[1m\u{1b}[32m");
    assert_eq!(color(super::CLOSED_PORT), "\u{1b}[1m\u{1b}[31m");
}
