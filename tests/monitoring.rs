//! The files in `deploy/prometheus` and `deploy/grafana`, checked by the programs that read them.

mod dashboards;
mod mesh;

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use crate::support::{Finished, have};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn read(path: &str) -> String {
    fs::read_to_string(format!("{ROOT}/{path}")).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Runs promtool on a file of `deploy/prometheus`, and returns what it prints; `None` without it.
fn promtool(test: &str, command: &[&str], file: &str) -> Option<String> {
    if !have("promtool", "--version", test) {
        return None;
    }
    let path = format!("{ROOT}/deploy/prometheus/{file}");
    let output = Command::new("promtool").args(command).arg(path).output();
    let Finished { out, err, status } = output.expect("runs").into();
    assert_eq!(status, Some(0), "{out}{err}");
    Some(out + &err)
}

/// Returns the names behind a key, one for each line that has it.
fn values<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
    let lines = text.lines().map(|line| line.trim_start().trim_start_matches("- "));
    lines.filter_map(|line| line.strip_prefix(key)?.strip_prefix(": ")).collect()
}

#[test]
fn prometheus_accepts_the_rules() {
    let test = "prometheus_accepts_the_rules";
    let Some(out) = promtool(test, &["check", "rules"], "alerts.yml") else { return };
    let rules = read("deploy/prometheus/alerts.yml");
    let count = values(&rules, "alert").len() + values(&rules, "record").len();
    assert!(out.contains(&format!("SUCCESS: {count} rules found")), "{out}");
}

#[test]
fn prometheus_accepts_the_example_configuration() {
    let test = "prometheus_accepts_the_example_configuration";
    let Some(out) = promtool(test, &["check", "config"], "prometheus.yml") else { return };
    assert!(out.contains("SUCCESS") && !out.contains("WARNING"), "{out}");
}

#[test]
fn alerts_fire_when_they_should_and_only_then() {
    promtool("alerts_fire_when_they_should_and_only_then", &["test", "rules"], "alerts_test.yml");
}

#[test]
fn every_rule_is_tested() {
    let [rules, tests] =
        ["alerts", "alerts_test"].map(|name| read(&format!("deploy/prometheus/{name}.yml")));
    for alert in values(&rules, "alert") {
        assert!(tests.contains(&format!("alertname=\"{alert}\"")), "{alert} never fires");
    }
    for record in values(&rules, "record") {
        assert!(tests.contains(&format!("expr: {record}")), "{record} is never evaluated");
    }
}

#[test]
fn every_alert_says_what_it_is_about_and_what_to_do() {
    let rules = read("deploy/prometheus/alerts.yml");
    for rule in rules.split("- alert: ").skip(1) {
        let name = rule.lines().next().expect("a name");
        for part in ["severity: ", "summary: ", "description: >-", "{{ $labels."] {
            assert!(rule.contains(part), "{name} lacks {part}");
        }
    }
}

#[test]
fn listed_alerts_match_the_rules() {
    let rules = read("deploy/prometheus/alerts.yml");
    let listed = read("docs/operations.md");
    let (_, listed) = listed.split_once("\n### Alerts\n").expect("a section");
    let (listed, _) = listed.split_once("\n### ").expect("another");
    let rows = listed.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let listed: BTreeSet<_> = rows.map(|(name, _)| name).collect();
    assert_eq!(listed, values(&rules, "alert").into_iter().collect());
}
