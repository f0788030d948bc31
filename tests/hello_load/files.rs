//! The files that a run writes.

use std::fs;

use rustix::process::Signal;
use serde_json::{Value, json as object};

use super::scripted_server::Server;
use super::{CLOSED_PORT, FEW, load, start_load};
use crate::observability::fresh_path;
use crate::ping::files::texts;
use crate::support::{Finished, count, have, json};

/// Arguments of a sweep and of a search with few trials.
const SWEEP: &[&str] = &["--sweep", "100..200", "--steps", "2", "--duration", "50ms"];
const SEARCH: &[&str] =
    &["--find-max", "--rate", "100", "--max-rate", "200", "--duration", "50ms", "--trials", "1"];

#[test]
fn export_to_standard_output_replaces_the_text() {
    let file = fresh_path("export_to_standard_output_replaces_the_text");
    let (server, path) = (Server::greeter(), file.to_str().expect("UTF-8"));
    let to = server.address();
    for (option, starts) in [
        ("--export-json", "{\"schema_version\":1,\"results\":[{\"target\":"),
        ("--export-csv", "target,started_at,rate_per_s,outstanding,"),
        ("--export-markdown", "| target | sent_per_s | answered_per_s | loss_percent |"),
    ] {
        for (run, results) in [(&FEW[..], 1), (SWEEP, 2), (SEARCH, 2)] {
            let Finished { out, err, .. } = load(&[run, &[&to, option, path]].concat());
            assert!(out.starts_with("LOAD "), "{out}");
            assert_eq!(err, "");
            let text = fs::read_to_string(&file).expect("there");
            assert!(text.starts_with(starts), "{text}");
            // On a busy machine, a whole search may have only one trial.
            let found = text.matches(&to).count();
            match option {
                "--export-json" => assert!(found > 2 * results, "and the headline: {text}"),
                _ if run == SEARCH => assert!(found > 0, "{text}"),
                _ => assert_eq!(found, results, "{text}"),
            }
            let Finished { out, err, .. } = load(&[run, &[&to, option, "-"]].concat());
            assert!(out.starts_with(starts), "nothing else is printed: {out}");
            assert!(!out.contains("LOAD ") && err.starts_with("LOAD "), "{err}");
        }
    }
}

#[test]
fn exported_results_equal_the_printed_ones() {
    let file = fresh_path("exported_results_equal_the_printed_ones");
    let (server, path) = (Server::greeter(), file.to_str().expect("UTF-8"));
    let to = server.address();
    for run in [&FEW[..], SWEEP, SEARCH] {
        let Finished { out, .. } = load(&[run, &["--json", &to, "--export-json", path]].concat());
        let mut printed = Vec::from_iter(out.lines().skip(1).map(json));
        let mut exported = json(&fs::read_to_string(&file).expect("there"));
        printed.iter_mut().for_each(|line| {
            let fields = line.as_object_mut().expect("fields");
            fields.retain(|name, _| name != "event" && name != "time");
        });
        // The last line has the conclusion, which the export has beside the results.
        let last = printed.pop().expect("the whole");
        let mut single = object!({});
        for (name, value) in last.as_object().expect("fields") {
            let is_whole = name != "started_at" && exported.get(name).is_some();
            match is_whole || run != &FEW[..] {
                true => assert_eq!(exported[name], *value, "{name}"),
                false => single[name] = value.clone(),
            }
        }
        if run == &FEW[..] {
            printed.push(single);
        }
        assert_eq!(exported["results"].take(), Value::from(printed));
    }
}

#[test]
fn exported_table_has_the_numbers_of_the_summary() {
    let (server, file) =
        (Server::greeter(), fresh_path("exported_table_has_the_numbers_of_the_summary"));
    let (to, csv) = (server.address(), file.with_file_name("csv"));
    let (path, csv) = (file.to_str().expect("UTF-8"), csv.to_str().expect("UTF-8"));
    let exports = ["--export-json", path, "--export-csv", csv, &to];
    assert_eq!(load(&[&FEW[..], &exports].concat()).status, Some(0));
    let summary = &json(&fs::read_to_string(path).expect("there"))["results"][0];
    let text = fs::read_to_string(csv).expect("there");
    let [head, row] = Vec::from_iter(text.lines())[..] else { panic!("{text}") };
    let cells = std::collections::HashMap::<_, _>::from_iter(head.split(',').zip(row.split(',')));
    assert_eq!(head.split(',').count(), row.split(',').count());
    for name in ["sent", "answered", "lost", "in_flight", "late", "duplicate", "corrupt"] {
        assert_eq!(cells[name], count(&summary[name]).to_string(), "{name}");
    }
    for (name, times) in [("latency", &summary["latency_ms"]), ("rtt", &summary["rtt_ms"])] {
        for which in ["p50", "p99", "p999", "max"] {
            let cell = cells[&*format!("{name}_{which}_ms")].parse::<f64>().ok();
            assert_eq!(times[which].as_f64(), cell, "{name} {which}");
        }
    }
    assert_eq!(summary["started_at"], cells["started_at"]);
    assert_eq!((cells["rate_per_s"], cells["outstanding"], cells["verdict"]), ("", "4", ""));
}

#[test]
fn unwritable_file_is_named_and_exits_with_2() {
    // Errors that can be found before sending are; otherwise the summary is still printed.
    for (path, before) in [("/nowhere/x", true), ("/dev/full", false)] {
        for option in ["--export-json", "--export-csv", "--plot"] {
            let arguments = ["--count", "1", "-W", "50ms", option, path, CLOSED_PORT];
            let Finished { out, err, status } = load(&arguments);
            assert_eq!(status, Some(2));
            assert!(err.starts_with(&format!("hello-load: cannot write {path:?}: ")), "{err}");
            assert_eq!(out.contains(" load statistics ---\n"), !before, "{out}");
        }
    }
}

#[test]
fn closed_output_costs_no_exported_file() {
    let file = fresh_path("closed_output_costs_no_exported_file");
    let path = file.to_str().expect("UTF-8");
    for run in [&["--rate", "1k"][..], &["--sweep", "1k..2k"]] {
        let server = Server::greeter();
        let to = server.address();
        let options = ["--duration", "1h", "--warm-up", "0", "--export-csv", path, &to];
        let mut process = start_load(&[run, &options].concat());
        process.line();
        process.close_output();
        server.wait_for(20);
        process.signal(Signal::INT);
        assert_eq!(process.exit_status(), Some(0));
        let text = fs::read_to_string(&file).expect("there");
        assert_eq!(text.lines().filter(|line| line.starts_with(&to)).count(), 1, "{text}");
    }
}

#[test]
fn plot_is_xml_for_one_run_and_for_a_sweep() {
    let test = "plot_is_xml_for_one_run_and_for_a_sweep";
    if !have("python3", "--version", test) {
        return;
    }
    let (server, file) = (Server::greeter(), fresh_path(test));
    let (to, path) = (server.address(), file.to_str().expect("UTF-8"));
    for (run, expected) in [
        (&FEW[..], &["latency since due"][..]),
        (SWEEP, &["p99 since due", "p50 since sent", "loss, %"]),
        (SEARCH, &["p99 since due", "p50 since sent", "loss, %"]),
    ] {
        load(&[run, &["--plot", path, &to]].concat());
        let texts = texts(&file);
        assert!(texts.contains(&to), "{texts}");
        assert!(expected.iter().all(|text| texts.contains(text)), "{texts}");
    }
    let lost = ["--count", "2", "-W", "50ms", "--plot", path, CLOSED_PORT];
    assert_eq!(load(&lost).status, Some(1));
    let texts = texts(&file);
    assert!(texts.contains(CLOSED_PORT) && texts.contains("2 sent, 0 answered, 2 lost"), "{texts}");
}
