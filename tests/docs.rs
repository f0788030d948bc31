//! The claims of the documents, checked against the code.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use hello_net::ErrorClass;

use crate::support::{Finished, have, server, summary};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn read(path: &str) -> String {
    fs::read_to_string(format!("{ROOT}/{path}")).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns the cells of the first table below a heading, row by row.
fn rows<'a>(document: &'a str, heading: &str) -> Vec<Vec<&'a str>> {
    let mut lines = document.lines();
    assert!(lines.any(|line| line == heading), "no {heading:?}");
    let table = lines.skip_while(|line| !line.starts_with('|')).skip(2);
    let rows = table.take_while(|line| line.starts_with('|'));
    let rows: Vec<_> =
        rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect();
    assert!(!rows.is_empty(), "no table below {heading:?}");
    rows
}

/// Yields the words in backticks.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Returns whether a word is the name of a test: test names are claims, with several underscores.
fn is_test(word: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    word.bytes().all(plain) && word.matches('_').count() > 2
}

/// Adds the names of the tests in all files below a directory.
fn add_tests(directory: &Path, tests: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("readable").path();
        if path.is_dir() && !path.ends_with("target") {
            add_tests(&path, tests);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("UTF-8");
            for test in text.split("#[test]").skip(1) {
                let name = test.split_once("fn ").and_then(|(_, rest)| rest.split_once('('));
                tests.extend(name.map(|(name, _)| name.to_owned()));
            }
        }
    }
}

#[test]
fn every_test_named_in_the_security_page_exists() {
    let document = read("docs/security.md");
    let mut tests = BTreeSet::new();
    for directory in ["crates", "tests"] {
        add_tests(&Path::new(ROOT).join(directory), &mut tests);
    }
    let named: BTreeSet<_> = code(&document).filter(|word| is_test(word)).collect();
    assert!(named.len() > 40, "{named:?}");
    let missing: Vec<_> = named.iter().filter(|name| !tests.contains(**name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_threat_has_a_figure_and_a_test_and_every_recommendation_a_test_or_none() {
    let document = read("docs/security.md");
    for row in rows(&document, "## RFC 8085") {
        let last = row.last().expect("a cell");
        let none = ["none", "does not apply"].contains(last);
        assert!(none || code(last).any(is_test), "{row:?}");
    }
    for heading in [
        "### Off-path attackers against the server",
        "### Off-path attackers against the tools",
        "### On-path attackers",
        "### Local users",
        "### Scrapers",
        "### Untrusted text in output",
        "### A compromised server",
    ] {
        for row in rows(&document, heading) {
            let [_, _, impact, shown] = row[..] else { panic!("{heading}: {row:?}") };
            let has_number = impact.contains(|char: char| char.is_ascii_digit());
            assert!(has_number && code(shown).any(is_test), "{heading}: {row:?}");
        }
    }
}

/// Returns the external dependencies of one of our crates on this system, down to a depth.
fn dependencies(package: &str, depth: &str) -> BTreeSet<String> {
    let mut command = Command::new("cargo");
    command.current_dir(ROOT).args(["tree", "--locked", "--offline", "--package", package]);
    command.args(["--edges", "normal", "--prefix", "none", "--depth", depth, "--all-features"]);
    let Finished { out, err, status } = command.output().expect("runs").into();
    assert_eq!(status, Some(0), "{err}");
    let crates = out.lines().filter_map(|line| line.split(' ').next());
    crates.filter(|name| !name.starts_with("hello-")).map(str::to_owned).collect()
}

#[test]
fn listed_dependencies_match_cargo() {
    if !have("cargo", "--version", "listed_dependencies_match_cargo") {
        return;
    }
    let document = read("docs/security.md");
    let (mut direct, mut all) = (BTreeSet::new(), BTreeSet::new());
    for row in rows(&document, "## Dependencies") {
        let [name, _, brought] = row[..] else { panic!("{row:?}") };
        direct.extend(code(name).map(str::to_owned));
        for name in code(name).chain(code(brought)) {
            assert!(all.insert(name.to_owned()), "{name} is listed twice");
        }
    }
    let ours = ["hello-cli", "hello-net", "hello-measure", "hello-proto"];
    let named = ours.into_iter().flat_map(|package| dependencies(package, "1")).collect();
    assert_eq!(direct, named);
    assert_eq!(all, dependencies("hello-cli", "99"));
}

#[test]
fn readme_names_the_minimum_rust_version_of_the_manifest() {
    let manifest = read("Cargo.toml");
    let mut values = manifest.lines().filter_map(|line| line.strip_prefix("rust-version = "));
    let oldest = values.next().expect("a version").trim_matches('"');
    let sentence = format!("Rust toolchain ({oldest} or later)");
    assert!(read("README.md").contains(&sentence), "{sentence}");
}

#[test]
fn listed_metrics_match_the_server() {
    let document = read("docs/operations.md");
    let listed = rows(&document, "### Metrics").into_iter().map(|row| {
        let [name, label, _] = row[..] else { panic!("{row:?}") };
        (code(name).next().expect("a name").to_owned(), code(label).next().map(str::to_owned))
    });

    let path = format!("{}/docs.prom", env!("CARGO_TARGET_TMPDIR"));
    let (server, _) = server(&["--bind", "127.0.0.1:0", "--metrics-file", &path]);
    summary(server);
    let text = fs::read_to_string(path).expect("there");
    let samples = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let name = line.split(' ').next().expect("a name");
        match name.split_once('{') {
            None => (name.to_owned(), None),
            Some((name, label)) => {
                (name.to_owned(), label.split_once('=').map(|(label, _)| label.to_owned()))
            }
        }
    });
    assert_eq!(BTreeMap::from_iter(listed), BTreeMap::from_iter(samples));
}

#[test]
fn listed_error_classes_match_the_library() {
    let document = read("docs/operations.md");
    let listed = rows(&document, "### Error classes");
    let listed = Vec::from_iter(listed.iter().flat_map(|row| code(row[0])));
    assert_eq!(listed, ErrorClass::ALL.map(ErrorClass::label));
}

/// Returns the JSON events of a tool with their fields, as its source declares them.
fn declared_events(source: &str) -> BTreeMap<String, BTreeSet<String>> {
    let (_, rest) = source.split_once("enum Line<'a> {\n").expect("the events");
    let (lines, _) = rest.split_once("\n}\n").expect("their end");
    let mut events: Vec<(String, BTreeSet<String>)> = Vec::new();
    for line in lines.lines() {
        let code = line.trim_start();
        let is_name = code.starts_with(|char: char| char.is_ascii_alphabetic());
        match (line.len() - code.len(), code.split_once(':')) {
            (4, _) if is_name => {
                let name = code.trim_end_matches(" {");
                let kebab = name.chars().enumerate().flat_map(|(i, char)| {
                    let dash = (i > 0 && char.is_ascii_uppercase()).then_some('-');
                    dash.into_iter().chain([char.to_ascii_lowercase()])
                });
                events.push((kebab.collect(), BTreeSet::new()));
            }
            // What several events have: the counts, and the origin of a run.
            (8, Some(("totals" | "origin", _))) => {}
            (8, Some((field, _))) if is_name => {
                events.last_mut().expect("an event").1.insert(field.to_owned());
            }
            _ => {}
        }
    }
    events.into_iter().collect()
}

#[test]
fn listed_json_events_match_the_tools() {
    let document = read("docs/operations.md");
    let listed = rows(&document, "### JSON lines");
    for tool in ["server", "client"] {
        let source = read(&format!("crates/hello-cli/src/{tool}/report/json.rs"));
        let declared = declared_events(&source);
        let mut found = BTreeSet::new();
        for row in &listed {
            let [event, of, _, fields] = row[..] else { panic!("{row:?}") };
            let event = code(event).next().expect("a name");
            // The console reports suppressed lines for every tool.
            if code(of).next() != Some(&format!("hello-{tool}")) || event == "suppressed" {
                continue;
            }
            let named: BTreeSet<_> = code(fields).collect();
            let fields = declared.get(event).unwrap_or_else(|| panic!("no {event} in {tool}"));
            assert!(fields.iter().all(|field| named.contains(&**field)), "{fields:?} {row:?}");
            found.insert(event);
        }
        assert_eq!(found, declared.keys().map(String::as_str).collect());
    }
}
