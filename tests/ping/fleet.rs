//! `--targets`: files, reloads, bad targets, metrics and bounds.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{CLOSED_PORT, ping, start_ping, wait_for};
use crate::observability::fresh_path;
use crate::ping_output::are_valid;
use crate::support::{Finished, PING, Process, count, have, json as parse, server};

/// Writes a targets file with this name of its own.
fn targets(test: &str, name: &str, text: &str) -> PathBuf {
    let path = fresh_path(test).with_file_name(name);
    fs::write(&path, text).expect("written");
    path
}

/// Replaces a file as an editor or Kubernetes does: at once.
fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).expect("written");
    fs::rename(new, path).expect("ours");
}

fn as_str(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// Returns the summary of each target.
fn summaries<'a>(lines: impl IntoIterator<Item = &'a str>) -> Vec<Value> {
    let lines = lines.into_iter().map(parse);
    lines.filter(|line| line["event"] == "target-summary").collect()
}

/// Returns the lines of metrics that start so.
fn samples<'a>(metrics: &'a str, start: &str) -> Vec<&'a str> {
    metrics.lines().filter(|line| line.starts_with(start)).collect()
}

#[test]
fn one_bad_target_makes_the_status_1_and_harms_no_other() {
    let (_server, address) = server(&["--bind", "0.0.0.0:0"]);
    let port = address.port();
    let text = format!("127.0.0.1:{port} site=a\n{CLOSED_PORT}\n127.0.0.2:{port}\n\n# the end\n");
    let file = targets("one_bad_target", "targets", &text);
    let arguments = ["--targets", as_str(&file), "-c", "2", "-i", "500ms", "-W", "20s"];
    // The bad one is lost only after its timeout.
    let quick = [&arguments[..6], &["-W", "500ms"]].concat();
    let Finished { out, err, status } = ping(&quick);
    assert_eq!((&*err, status), ("", Some(1)), "{out}");
    let first = format!("PROBING 3 targets every 500ms from {}: 16 bytes", as_str(&file));
    assert!(out.starts_with(&first), "{out}");
    let refused =
        format!("\n{CLOSED_PORT}: unreachable: port unreachable (reported by 127.78.0.1)\n");
    assert!(out.contains(&refused), "{out}");
    let (_, table) = out.split_once("\n\ntarget ").expect("a table");
    let rows = Vec::from_iter(
        table
            .lines()
            .skip(1)
            .take(3)
            .map(|row| Vec::from_iter(row.split_whitespace().take(6).map(str::to_owned))),
    );
    for (row, (target, received, loss)) in rows.iter().zip([
        (format!("127.0.0.1:{port}"), "2", "0%"),
        (format!("127.0.0.2:{port}"), "2", "0%"),
        (CLOSED_PORT.to_owned(), "0", "100%"),
    ]) {
        assert_eq!((&*row[0], &*row[1], &*row[2], &*row[5]), (&*target, "2", received, loss));
    }
    assert!(
        out.ends_with("3 targets: 6 packets transmitted, 4 received, 1 target never answered\n")
    );

    replace(&file, &format!("127.0.0.1:{port}\n"));
    let Finished { out, err, status } = ping(&[&arguments[..], &["--json", "-q"]].concat());
    assert_eq!((&*err, status), ("", Some(0)));
    let [summary] = &summaries(out.lines())[..] else { panic!("{out}") };
    assert_eq!((&summary["answered"], &summary["state"]), (&2.into(), &"answering".into()));
}

#[test]
fn file_is_read_again_on_a_signal_and_when_it_changes_and_a_bad_one_is_kept_out() {
    let (_server, address) = server(&["--bind", "0.0.0.0:0"]);
    let port = address.port();
    let group = |hosts: &[u8]| {
        let targets = Vec::from_iter(hosts.iter().map(|host| format!("127.0.0.{host}:{port}")));
        json!([{"targets": targets, "labels": {"site": "a"}}]).to_string()
    };
    let file = targets("file_is_read_again", "targets.json", &group(&[1]));
    let mut ping = start_ping(&["--targets", as_str(&file), "-i", "50ms", "--json"]);
    let start = ping.json();
    assert_eq!((&start["event"], &start["targets"]), (&"fleet-start".into(), &1.into()));
    assert_eq!(start["schema_version"], 1);
    // Unchanged, but asked for.
    ping.signal(Signal::HUP);
    let line = wait_for(&mut ping, "reload");
    assert_eq!(
        (&line["targets"], &line["added"], &line["error"]),
        (&1.into(), &0.into(), &Value::Null)
    );
    replace(&file, &group(&[1, 2, 3]));
    let line = wait_for(&mut ping, "reload");
    assert_eq!(
        (&line["targets"], &line["added"], &line["removed"]),
        (&3.into(), &2.into(), &0.into())
    );
    replace(&file, &group(&[1, 2]).replace("127.0.0.2", "two words"));
    let line = wait_for(&mut ping, "reload");
    let error = line["error"].as_str().expect("an error");
    assert!(error.starts_with(&format!("{}:1: target \"two words:", as_str(&file))), "{error}");
    assert_eq!(line["targets"], 3, "those before are kept");
    replace(&file, &group(&[3]));
    let line = wait_for(&mut ping, "reload");
    assert_eq!((&line["targets"], &line["removed"]), (&1.into(), &2.into()));
    ping.signal(Signal::INT);
    let (lines, status) = ping.finish();
    assert_eq!(status, Some(0));
    let [summary] = &summaries(lines.iter().map(String::as_str))[..] else { panic!("{lines:?}") };
    assert_eq!(summary["target"], format!("127.0.0.3:{port}"));
    assert_eq!(summary["labels"], json!({"site": "a"}));
    assert_eq!(summary["lost"], 0);
    let time = |name| summary[name].as_f64().expect("a time");
    assert!(time("duration_s") < time("at_s"), "it was added after the start: {summary}");
}

#[test]
fn flood_of_reloads_and_a_pipe_in_the_place_of_the_file_keep_no_stop_waiting() {
    let text = (1..=2000).fold(String::new(), |mut text, host| {
        let _ = writeln!(text, "127.78.{}.{}:9", host / 250, host % 250 + 1);
        text
    });
    let file = targets("flood_of_reloads", "targets", &text);
    let mut ping = start_ping(&["--targets", as_str(&file), "-q", "-W", "100ms", "--json"]);
    wait_for(&mut ping, "fleet-start");
    for _ in 0..2000 {
        ping.signal(Signal::HUP);
        std::thread::sleep(std::time::Duration::from_micros(200));
    }
    wait_for(&mut ping, "reload");
    let pipe = file.with_extension("pipe");
    let status = Command::new("mkfifo").arg(&pipe).status().expect("it runs");
    assert!(status.success());
    fs::rename(&pipe, &file).expect("ours");
    loop {
        let line = wait_for(&mut ping, "reload");
        let Some(error) = line["error"].as_str() else { continue };
        assert!(error.contains("not a regular file"), "{error}");
        assert_eq!(line["targets"], 2000, "those before are kept");
        break;
    }
    ping.signal(Signal::INT);
    let (lines, _) = ping.finish();
    assert_eq!(summaries(lines.iter().map(String::as_str)).len(), 2000);
    let reloads = lines.iter().filter(|line| line.contains("\"event\":\"reload\"")).count();
    assert!(reloads <= 3, "{reloads} more");
}

#[test]
fn snapshot_lists_every_target_and_a_signal_ends_the_run() {
    let (_server, address) = server(&["--bind", "127.0.0.1:0"]);
    let file =
        targets("snapshot_lists", "targets", &format!("{address}\nlocalhost:{}\n", address.port()));
    let mut ping = start_ping(&["--targets", as_str(&file), "-4", "-i", "50ms", "--json"]);
    ping.json();
    let found = loop {
        ping.signal(Signal::QUIT);
        let found =
            [wait_for(&mut ping, "target-snapshot"), wait_for(&mut ping, "target-snapshot")];
        if found.iter().all(|line| count(&line["answered"]) > 0) {
            break found;
        }
    };
    let names = found.each_ref().map(|line| line["target"].as_str().expect("a name").to_owned());
    assert_eq!(names, [address.to_string(), format!("localhost:{}", address.port())]);
    ping.signal(Signal::TERM);
    assert_eq!(ping.finish().1, Some(0));
}

#[test]
fn wrong_files_and_options_are_named_with_advice() {
    let test = "wrong_files_and_options";
    for (name, text, error) in [
        ("a.yaml", "- targets:\n  - a:b:c\n", "a.yaml:2: target \"a:b:c\": invalid "),
        ("b.txt", "a:1\nb:1 label\n", "b.txt:2: \"label\" is no label: write NAME=VALUE"),
        ("c.txt", "a:1\na:1\n", "c.txt:2: duplicate target a:1, which line 1 has: remove one"),
        ("d.txt", "a:1 target=x\n", "d.txt:1: the metrics have the label target already"),
    ] {
        let file = targets(test, name, text);
        let Finished { out, err, status } = ping(&["--targets", as_str(&file)]);
        assert_eq!((&*out, status), ("", Some(2)), "{err}");
        assert!(err.contains(error) && err.lines().count() == 1, "{err}");
    }
    let many = (1..=501).fold(String::new(), |mut text, port| {
        writeln!(text, "192.0.2.1:{port}").expect("a string");
        text
    });
    let file = targets(test, "e.txt", &many);
    let Finished { err, status, .. } = ping(&["--targets", as_str(&file)]);
    assert_eq!(status, Some(2));
    assert!(err.contains("e.txt: interval 1s is too short for 501 targets on 192.0.2.1"), "{err}");
    let Finished { err, status, .. } = ping(&["--targets", "/no-such-file"]);
    assert_eq!(status, Some(2));
    assert!(
        err.starts_with("hello-ping: cannot read the targets file \"/no-such-file\": "),
        "{err}"
    );
    for arguments in [&["127.0.0.1"][..], &["--flows", "2"], &["--every", "1s"], &["--mtu"]] {
        let Finished { err, status, .. } =
            ping(&[&["--targets", as_str(&file)], arguments].concat());
        assert!(status == Some(2) && err.contains("cannot be used with"), "{err}");
    }
    let Finished { err, status, .. } = ping(&["--exclude", "127.0.0.1"]);
    assert!(status == Some(2) && err.contains("--targets <FILE>"), "{err}");
}

#[test]
fn metrics_have_the_labels_of_the_file_and_the_state_of_names_and_reloads() {
    let (_server, address) = server(&["--bind", "0.0.0.0:0"]);
    let port = address.port();
    let test = "metrics_have_the_labels";
    let text = format!(
        "- targets: ['127.0.0.1:{port}', 'dns+localhost:{port}', 'no-such-host.invalid:{port}']\n  \
         labels: {{site: 'a \"b\"'}}\n"
    );
    let file = targets(test, "targets.yml", &text);
    let metrics = file.with_file_name("hello-ping.prom");
    let options = ["-4", "-c", "2", "-i", "100ms", "--exclude", "127.0.0.9", "--metrics-file"];
    let arguments =
        [&["--targets", as_str(&file)], &options[..], &[as_str(&metrics), "-q"]].concat();
    let Finished { err, status, .. } = ping(&arguments);
    assert_eq!((&*err, status), ("", Some(1)));
    let text = fs::read_to_string(metrics).expect("there");
    let site = r#"site="a \"b\"""#;
    let all = format!(r#"{{target="127.0.0.1:{port}",name="localhost",{site}}}"#);
    let one = format!(r#"{{target="127.0.0.1:{port}",{site}}}"#);
    let none = format!(r#"{{target="no-such-host.invalid:{port}",{site}}}"#);
    for line in [
        format!("hello_ping_responses_total{all} 2"),
        format!("hello_ping_responses_total{one} 2"),
        format!("hello_ping_response_duration_seconds_count{one} 2"),
        format!("hello_ping_target_resolved{one} 1"),
        format!("hello_ping_target_resolved{none} 0"),
        format!("hello_ping_lookup_failures_total{none} 1"),
        "hello_ping_targets 3".into(),
        "hello_ping_targets_last_reload_successful 1".into(),
        "hello_ping_fleet_unsolicited_total 0".into(),
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    let reason =
        format!("hello_ping_send_errors_total{}", none.replace('}', ",reason=\"unresolved\"}"));
    assert_eq!(samples(&text, &reason), [format!("{reason} 2")]);
    let buckets =
        format!("hello_ping_response_duration_seconds_bucket{}", one.trim_end_matches('}'));
    assert_eq!(samples(&text, &buckets).len(), 21, "{text}");
    let when = samples(&text, "hello_ping_targets_last_reload_success_timestamp_seconds ")[0];
    let (_, when) = when.split_once(' ').expect("a value");
    assert!(when.parse::<f64>().expect("a number") > 1.7e9, "{when}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_thousand_targets_take_few_threads_and_descriptors_and_little_memory() {
    let (_server, address) = server(&["--bind", "0.0.0.0:0"]);
    let text = (0..1000).fold(String::new(), |mut text, number| {
        let [high, low] = u16::to_be_bytes(number + 1);
        writeln!(text, "127.1.{high}.{low}:{}", address.port()).expect("a string");
        text
    });
    let file = targets("a_thousand_targets", "targets", &text);
    let metrics = file.with_file_name("hello-ping.prom");
    let arguments = ["--targets", as_str(&file), "-W", "20s", "--json", "-q"];
    let metrics = ["--metrics-file", as_str(&metrics), "--metrics-listen", "0"];
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 32 && exec \"$@\"", "sh", PING]).args(arguments).args(metrics);
    let mut ping = Process::start(&mut command);
    let start = wait_for(&mut ping, "fleet-start");
    assert_eq!(start["targets"], 1000);
    let process = PathBuf::from(format!("/proc/{}", ping.id()));
    let descriptors = fs::read_dir(process.join("fd")).expect("ours").count();
    assert!(ping.threads() <= 12 && descriptors <= 24, "{} {descriptors}", ping.threads());
    let mut has_answered = 0;
    while has_answered < 1000 {
        ping.signal(Signal::QUIT);
        let lines = (0..1000).map(|_| wait_for(&mut ping, "target-snapshot"));
        has_answered = Vec::from_iter(lines.filter(|line| count(&line["answered"]) > 0)).len();
    }
    let memory = fs::read_to_string(process.join("status")).expect("ours");
    let memory = memory.lines().find(|line| line.starts_with("VmHWM:")).expect("Linux has it");
    ping.signal(Signal::INT);
    let kib = memory.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok());
    // A debug build needs more than the release.
    assert!(kib.is_some_and(|kib| kib < 64 << 10), "{memory}");
    let (lines, status) = ping.finish();
    let summaries = summaries(lines.iter().map(String::as_str));
    let sum = |name: &str| summaries.iter().map(|one| count(&one[name])).sum::<u64>();
    assert_eq!((summaries.len(), sum("lost"), status), (1000, 0, Some(0)));
    assert_eq!(sum("sent"), sum("answered"));
}

#[test]
fn every_line_of_a_fleet_conforms_to_the_schema() {
    let test = "every_line_of_a_fleet_conforms_to_the_schema";
    if !have("jsonschema", "--version", test) {
        return;
    }
    let (_server, address) = server(&["--bind", "127.0.0.1:0"]);
    let text = format!("{address} site=a\n{CLOSED_PORT}\nno-such-host.invalid\n");
    let file = targets(test, "targets", &text);
    let mut ping = start_ping(&["--targets", as_str(&file), "-i", "50ms", "-W", "40ms", "--json"]);
    let mut lines = vec![];
    let mut wait = |ping: &mut Process, event: &str| loop {
        let line = ping.json();
        lines.push(line.clone());
        if line["event"] == event {
            return;
        }
    };
    wait(&mut ping, "target-state");
    ping.signal(Signal::HUP);
    wait(&mut ping, "reload");
    replace(&file, "a:b:c\n");
    wait(&mut ping, "reload");
    ping.signal(Signal::QUIT);
    wait(&mut ping, "target-snapshot");
    ping.signal(Signal::INT);
    wait(&mut ping, "fleet-summary");
    let events = ["fleet-start", "lookup", "target-state", "reload", "target-summary"];
    for event in events {
        assert!(lines.iter().any(|line| line["event"] == event), "{event}: {lines:?}");
    }
    assert!(are_valid(test, lines.iter().map(Value::to_string)));
}
