//! The files that a run writes.

use std::fs;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use super::{CLOSED_PORT, ping, start_ping, summary, wait_for};
use crate::observability::{assert_valid_for_prometheus, fresh_path, metric};
use crate::ping_output::are_valid;
use crate::support::{Finished, PING, can_unshare, count, have, json, server};

#[test]
fn summaries_are_exported_to_files_and_to_standard_output() {
    let test = "summaries_are_exported_to_files_and_to_standard_output";
    let (_server, address) = server(&["--bind", "127.0.0.1:0"]);
    let (address, file) = (address.to_string(), fresh_path(test));
    let path = file.to_str().expect("UTF-8");
    for (option, starts) in [
        ("--export-json", "{\"schema_version\":1,\"results\":[{\"target\":"),
        ("--export-csv", "target,started_at,duration_s,sent,answered,lost,"),
        ("--export-markdown", "| target | sent | lost | loss_percent | "),
    ] {
        let run = ["-c", "2", "-i", "10ms", "-W", "20s", "-q", &address, option];
        assert_eq!(ping(&[&run[..], &[path]].concat()).status, Some(0));
        let text = fs::read_to_string(&file).expect("there");
        assert!(text.starts_with(starts) && text.contains(&address), "{text}");
        let Finished { out, status, .. } = ping(&[&run[..], &["-"]].concat());
        assert_eq!(status, Some(0));
        assert!(out.starts_with(starts), "nothing else is printed: {out}");
        if option == "--export-json" {
            assert_eq!(json(&text)["results"][0]["answered"], 2);
            assert!(!have("jsonschema", "--version", test) || are_valid(test, [text]));
        }
    }
}

#[test]
fn closed_output_costs_no_exported_file() {
    let (_server, address) = server(&["--bind", "127.0.0.1:0"]);
    let (address, file) =
        (address.to_string(), fresh_path("a_reader_who_leaves_costs_no_file_of_a_ping"));
    let path = file.to_str().expect("UTF-8");
    let mut ping = start_ping(&["-i", "10ms", "-W", "20s", "--export-csv", path, &address]);
    // The header and a reply.
    ping.line();
    ping.line();
    ping.close_output();
    assert_eq!(ping.exit_status(), Some(0));
    let text = fs::read_to_string(&file).expect("there");
    assert_eq!(text.lines().filter(|line| line.starts_with(&address)).count(), 1, "{text}");
}

#[test]
fn unwritable_file_is_named_and_exits_with_2() {
    // Errors that can be found before sending are; otherwise the summary is still printed.
    for (path, before) in [("/nowhere/x", true), ("/dev/full", false)] {
        for option in ["--export-json", "--export-csv", "--plot"] {
            let arguments = ["-c", "1", "-W", "50ms", "-q", option, path, CLOSED_PORT];
            let Finished { out, err, status } = ping(&arguments);
            assert_eq!(status, Some(2));
            assert!(err.starts_with(&format!("hello-ping: cannot write {path:?}: ")), "{err}");
            assert_eq!(out.contains(" ping statistics ---\n"), !before, "{out}");
        }
    }
    // A failed export costs no other.
    let file = fresh_path("unwritable_file_is_named_and_exits_with_2");
    let path = file.to_str().expect("UTF-8");
    let exports = ["--export-json", "/dev/full", "--export-csv", path];
    let arguments = [&["-c", "1", "-W", "50ms", "-q", CLOSED_PORT], &exports[..]].concat();
    assert_eq!(ping(&arguments).status, Some(2));
    assert!(fs::read_to_string(&file).expect("there").contains(CLOSED_PORT));
}

#[test]
fn plot_is_xml_and_marks_losses() {
    let test = "plot_is_xml_and_marks_losses";
    if !have("python3", "--version", test) {
        return;
    }
    let file = fresh_path(test);
    let path = file.to_str().expect("UTF-8");
    let arguments = ["-c", "2", "-i", "10ms", "-W", "50ms", "-q", "--plot", path, CLOSED_PORT];
    assert_eq!(ping(&arguments).status, Some(1));
    let texts = texts(&file);
    assert!(texts.contains("Round-trip times to 127.78.0.1:9"), "{texts}");
    assert!(texts.contains("2 sent, 0 answered, 2 lost (100%)"), "{texts}");
    let text = fs::read_to_string(&file).expect("there");
    assert_eq!(text.matches("fill=\"#d55e00\"").count(), 3, "the legend and two bars: {text}");
}

#[test]
fn metrics_exist_during_the_run_and_are_complete_at_the_end() {
    let test = "metrics_exist_during_the_run_and_are_complete_at_the_end";
    let (_server, address) = server(&["--bind", "127.0.0.1:0"]);
    let (address, file) = (address.to_string(), fresh_path(test));
    let path = file.to_str().expect("UTF-8");
    let options = ["-i", "10ms", "-W", "20s", "--json", "--metrics-file", path];
    let mut run = start_ping(&[&options[..], &[&address]].concat());
    wait_for(&mut run, "reply");
    let requests = format!("hello_ping_requests_total{{target=\"{address}\"}}");
    // Nothing has been sent at the start; the counts are there a second later.
    while metric(&fs::read_to_string(&file).expect("there"), &requests) == Some(0) {
        wait_for(&mut run, "reply");
    }
    run.signal(Signal::INT);
    let (lines, status) = run.finish();
    assert_eq!(status, Some(0));
    let whole = summary(lines.last().expect("a summary"));
    let text = fs::read_to_string(&file).expect("there");
    for (name, field) in
        [("requests_total", "sent"), ("responses_total", "answered"), ("lost_total", "lost")]
    {
        let name = format!("hello_ping_{name}{{target=\"{address}\"}}");
        assert_eq!(metric(&text, &name), Some(count(&whole[field])), "{name}: {text}");
    }
    assert_valid_for_prometheus(test, &file);
}

#[test]
fn plot_escapes_the_target_name() {
    let test = "plot_escapes_the_target_name";
    if !have("python3", "--version", test) || !can_unshare(test) {
        return;
    }
    let file = fresh_path(test);
    let hosts = file.with_file_name("hosts");
    fs::write(&hosts, "127.78.0.1 a<b>&c\n").expect("ours");
    // No one else resolves this name.
    let script = "mount --bind \"$0\" /etc/hosts && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script]).arg(&hosts).arg(PING);
    command.args(["-c", "1", "-W", "50ms", "-q", "a<b>&c:9", "--plot"]).arg(&file);
    let Finished { err, status, .. } = command.output().expect("runs").into();
    assert_eq!((&*err, status), ("", Some(1)));
    assert!(texts(&file).contains("Round-trip times to a<b>&c:9"));
}

/// Returns all text in an XML file.
pub(crate) fn texts(file: &Path) -> String {
    let script = "import sys, xml.etree.ElementTree as t
print(' '.join(x.strip() for x in t.parse(sys.argv[1]).getroot().itertext() if x.strip()))";
    let output = Command::new("python3").args(["-c", script]).arg(file).output();
    let Finished { out, err, .. } = output.expect("runs").into();
    assert_eq!(err, "");
    out
}
