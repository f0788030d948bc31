//! The dashboards in `deploy/grafana`, and the metrics that they and the rules name.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use regex::Regex;
use serde_json::Value;

use super::{ROOT, read, values};
use crate::support::{Finished, PING, have, json, server, summary};

const DASHBOARDS: [&str; 2] = ["hello-server", "hello-paths"];

fn panels(name: &str) -> Vec<Value> {
    let dashboard = json(&read(&format!("deploy/grafana/{name}.json")));
    let panels = dashboard["panels"].as_array().expect("panels").iter();
    panels.filter(|panel| panel["type"] != "row").cloned().collect()
}

/// Returns the queries of all panels of a dashboard.
fn queries(name: &str) -> Vec<String> {
    let panels = panels(name);
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().expect("queries"));
    targets.map(|target| target["expr"].as_str().expect("a query").to_owned()).collect()
}

#[test]
fn grafana_knows_every_field_of_the_dashboards() {
    let test = "grafana_knows_every_field_of_the_dashboards";
    if !have("validate-python", "--version", test) {
        return;
    }
    let script = format!("{ROOT}/tests/monitoring/dashboards.py");
    for name in DASHBOARDS {
        let path = format!("{ROOT}/deploy/grafana/{name}.json");
        let output = Command::new("validate-python").args(["-B", &script, &path]).output();
        let Finished { out, err, status } = output.expect("runs").into();
        assert_eq!((&*err, status), ("", Some(0)), "{path}");
        assert_eq!(json(&out)["panels"], panels(name).len());
    }
}

#[test]
fn panels_explain_themselves_and_do_not_overlap() {
    for name in DASHBOARDS {
        let mut cells = BTreeSet::new();
        for panel in panels(name) {
            let title = &panel["title"];
            assert!(
                panel["description"].as_str().is_some_and(|text| text.ends_with('.')),
                "{title}"
            );
            let [x, y, w, h] =
                ["x", "y", "w", "h"].map(|name| panel["gridPos"][name].as_u64().expect("a number"));
            assert!(x + w <= 24, "{title}");
            for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
                assert!(cells.insert(cell), "{title} overlaps another");
            }
        }
    }
}

#[test]
fn prometheus_parses_every_query_of_the_dashboards() {
    let test = "prometheus_parses_every_query_of_the_dashboards";
    if !have("promtool", "--version", test) {
        return;
    }
    let window = Regex::new(r"\$__(rate_interval|range|interval)").expect("valid");
    let variable = Regex::new(r"\$\w+").expect("valid");
    let mut rules = String::from("groups:\n  - name: queries\n    rules:\n");
    let queries = DASHBOARDS.map(queries).concat();
    for (number, query) in queries.iter().enumerate() {
        let query = window.replace_all(query, "5m");
        let query = variable.replace_all(&query, ".*");
        let expr = serde_json::to_string(&query).expect("text");
        write!(rules, "      - record: query:{number}\n        expr: {expr}\n").expect("in memory");
    }
    let path = format!("{}/{test}.yml", env!("CARGO_TARGET_TMPDIR"));
    fs::write(&path, rules).expect("written");
    let output = Command::new("promtool").args(["check", "rules", &path]).output();
    let Finished { out, err, status } = output.expect("runs").into();
    assert_eq!(status, Some(0), "{out}{err}");
    assert!(out.contains(&format!("SUCCESS: {} rules found", queries.len())), "{out}");
}

/// Returns the names of the metrics that the tools write. With `--targets`, `hello-ping` has others.
fn exposed() -> BTreeSet<String> {
    let path = |name: &str| format!("{}/exposed.{name}", env!("CARGO_TARGET_TMPDIR"));
    let [targets, of_server, of_ping, of_fleet] =
        ["targets", "server.prom", "ping.prom", "fleet.prom"].map(path);
    let (server, address) = server(&["--bind", "127.0.0.1:0", "--metrics-file", &of_server]);
    let address = address.to_string();
    fs::write(&targets, format!("{address} site=here\n")).expect("written");
    for (target, file) in [(&[&*address][..], &of_ping), (&["--targets", &targets], &of_fleet)] {
        let mut ping = Command::new(PING);
        ping.args(["--quiet", "--count", "2", "--interval", "10ms", "--metrics-file", file]);
        let Finished { err, status, .. } = ping.args(target).output().expect("runs").into();
        assert_eq!(status, Some(0), "{err}");
    }
    summary(server);

    let mut names = BTreeSet::new();
    for path in [of_server, of_ping, of_fleet] {
        let text = fs::read_to_string(path).expect("there");
        for line in text.lines() {
            // Also those that have no samples yet.
            let name = line.strip_prefix("# TYPE ").unwrap_or(line);
            let end = name.find([' ', '{']).expect("a value or a type");
            names.insert(name[..end].to_owned());
        }
    }
    names
}

#[test]
fn dashboards_and_rules_name_metrics_that_exist() {
    let exposed = exposed();
    let rules = read("deploy/prometheus/alerts.yml");
    let recorded: BTreeSet<_> = values(&rules, "record").into_iter().collect();
    // Names of jobs and programs have a dash.
    let name = Regex::new(r"\bhello_[a-z0-9_:]+").expect("valid");
    let dashboards = DASHBOARDS.map(|name| read(&format!("deploy/grafana/{name}.json")));
    let mut named = BTreeSet::new();
    for text in dashboards.iter().chain([&rules]) {
        named.extend(name.find_iter(text).map(|found| found.as_str()));
    }
    assert!(named.len() > 20, "{named:?}");
    let unknown: Vec<_> = named
        .iter()
        .filter(|name| !exposed.contains(**name) && !recorded.contains(**name))
        .collect();
    assert!(unknown.is_empty(), "{unknown:?} of {exposed:?}");
}
