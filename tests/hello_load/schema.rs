//! The JSON output and its schema, compared in both directions.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use hello_cli::load::saturation::GeneratorLimit;
use hello_cli::load::saturation::SuspectedLimit;
use hello_measure::TrialVerdict;
use serde_json::{Value, json};

use super::scripted_server::Server;
use super::{CLOSED_PORT, FEW, load};
use crate::observability::fresh_path;
use crate::ping_output::conform_to;
use crate::support::{have, json};

const SCHEMA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/hello-load.schema.json");

fn schema() -> Value {
    json(&fs::read_to_string(SCHEMA).expect("there"))
}

/// Real lines and files of every kind: closed and open loops, a search, a sweep, and runs without
/// any answer.
fn real(test: &str) -> Vec<Value> {
    let (server, file) = (Server::greeter(), fresh_path(test));
    let (to, path) = (server.address(), file.to_str().expect("UTF-8"));
    let short = ["--duration", "20ms", "-W", "20s", &to];
    let mut all = vec![];
    for arguments in [
        &[&FEW[..], &[&to]].concat()[..],
        &[&["--rate", "500", "--poisson"], &short[..]].concat(),
        &[&["--find-max", "--rate", "100", "--max-rate", "200"], &short[..]].concat(),
        &[&["--sweep", "100..200", "--steps", "2"], &short[..]].concat(),
        &["--rate", "500", "--count", "2", "-W", "20ms", "--every", "1h", CLOSED_PORT],
        &["--find-max", "--rate", "2", "--duration", "20ms", "-W", "20ms", CLOSED_PORT],
    ] {
        let output = load(&[arguments, &["--json", "--export-json", path]].concat());
        assert_eq!(output.err, "");
        all.extend(output.out.lines().map(json));
        all.push(json(&fs::read_to_string(&file).expect("there")));
    }
    all
}

/// Real lines, with rare values substituted.
fn rare(real: &[Value]) -> Vec<Value> {
    let of = |event| real.iter().find(|line| line["event"] == event).expect("one").clone();
    let mut all = vec![];
    let limits = [
        GeneratorLimit::Late { requests: 1 },
        GeneratorLimit::TooManyInFlight { requests: 1 },
        GeneratorLimit::NotTaken { requests: 1 },
        GeneratorLimit::NoRoomToSend { times: 1 },
        GeneratorLimit::Stalled { share: 0.5 },
        GeneratorLimit::Dropped { datagrams: 1 },
        GeneratorLimit::Busy { share: 1.0 },
        GeneratorLimit::Timer { p99_ms: 1.5 },
    ];
    let mut summary = of("summary");
    summary["generator"]["limits"] = json!(limits);
    summary["errors"] = json!({"would-block": 1});
    summary["not_sent"] = json!({"late": 1});
    summary["generator"]["dropped"] = Value::Null;
    summary["suspected_limit"] = json!(SuspectedLimit { rate: 1000, burst: 2000 });
    all.push(summary);
    for verdict in [TrialVerdict::Carried, TrialVerdict::Lost, TrialVerdict::NotOffered] {
        let mut trial = of("trial");
        trial["verdict"] = json!(verdict);
        all.push(trial);
    }
    for bound in ["server", "generator", "max-rate", "interrupted"] {
        let mut throughput = of("throughput");
        throughput["bound"] = bound.into();
        all.push(throughput);
    }
    for reason in ["refused", "late", "unrelated", "errors", "size", "overload", "silent"] {
        let mut throughput =
            real.iter().rfind(|line| line["no_answer"].is_object()).expect("one").clone();
        throughput["no_answer"]["reason"] = reason.into();
        (throughput["no_answer"]["error"], throughput["no_answer"]["greeting_answered"]) =
            (Value::Null, true.into());
        all.push(throughput);
    }
    all
}

/// Returns the schema with unknown fields forbidden.
fn strict(test: &str) -> PathBuf {
    /// Definitions that other schemas extend; those forbid unknown fields.
    const PARTS: [&str; 5] = ["totals", "found", "started", "concluded", "swept"];
    fn close(schema: &mut Value, is_part: bool) {
        let is_whole = |schema: &Value| {
            ["properties", "allOf"].iter().any(|key| schema.get(key).is_some())
                || schema["$ref"]
                    .as_str()
                    .is_some_and(|to| PARTS.iter().any(|part| to.ends_with(part)))
        };
        if !is_part && is_whole(schema) {
            schema["unevaluatedProperties"] = false.into();
        }
        match schema {
            Value::Object(fields) => {
                for (name, field) in fields {
                    match (&**name, field) {
                        ("allOf", Value::Array(parts)) => {
                            parts.iter_mut().for_each(|part| close(part, true));
                        }
                        // Only in the export, and only beside its results.
                        ("anyOf", Value::Array(parts)) => {
                            for part in parts {
                                let to = part["$ref"].as_str().unwrap_or_default();
                                let is_part = PARTS.iter().any(|name| to.ends_with(name));
                                close(part, is_part);
                            }
                        }
                        (name, field) => close(field, PARTS.contains(&name)),
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| close(item, false)),
            _ => {}
        }
    }
    let mut schema = schema();
    close(&mut schema, false);
    let file = fresh_path(test);
    fs::write(&file, schema.to_string()).expect("written");
    file
}

/// Returns whether all lines conform to a schema.
fn are_valid(schema: &Path, test: &str, lines: impl IntoIterator<Item = Value>) -> bool {
    conform_to(schema, test, lines.into_iter().map(|line| line.to_string()))
}

#[test]
fn every_line_and_export_conforms_to_the_schema() {
    let test = "every_line_and_export_conforms_to_the_schema";
    if !have("jsonschema", "--version", test) {
        return;
    }
    let real = real(test);
    let events = BTreeSet::from_iter(real.iter().map(|line| line["event"].to_string()));
    let expected = ["interval", "start", "summary", "sweep", "throughput", "trial"]
        .map(|event| format!("{event:?}"));
    let expected = [&expected[..], &["null".to_owned()]].concat();
    assert!(events.iter().eq(&expected), "{events:?}");
    let all = [&real[..], &rare(&real)].concat();
    assert!(are_valid(Path::new(SCHEMA), test, all.clone()), "{all:?}");
    // Nor does the schema miss a field.
    let strict = strict(&format!("{test}_strict"));
    assert!(are_valid(&strict, test, all), "checked above");
}

#[test]
fn schema_check_rejects_unknown_fields_at_every_level() {
    let test = "schema_check_rejects_unknown_fields_at_every_level";
    if !have("jsonschema", "--version", test) {
        return;
    }
    let (real, strict) = (real(test), strict(&format!("{test}_strict")));
    let find = |event: &str| real.iter().find(|line| line["event"] == event).expect("one");
    let export = real.iter().find(|line| line["event"].is_null() && line["bound"].is_string());
    let mut all = vec![];
    for (whole, at) in [
        (find("start"), "/plan"),
        (find("trial"), "/generator"),
        (export.expect("one"), ""),
        (export.expect("one"), "/results/0"),
    ] {
        let mut more = whole.clone();
        more.pointer_mut(at).expect("there")["more"] = 1.into();
        assert!(!are_valid(&strict, test, [more.clone()]), "{at}: {more}");
        all.push(more);
    }
    assert!(are_valid(Path::new(SCHEMA), test, all), "readers ignore unknown fields");
}

#[test]
fn every_field_except_the_verdict_is_always_present() {
    fn count_fields(schema: &Value, found: &mut usize) {
        if let Some(named) = schema["properties"].as_object() {
            let named = BTreeSet::from_iter(named.keys().filter(|name| *name != "verdict"));
            let required = schema["required"].as_array().expect("a list");
            let required = BTreeSet::from_iter(required.iter().filter_map(Value::as_str));
            assert!(named.iter().copied().eq(required), "{named:?}");
            *found += named.len();
        }
        match schema {
            Value::Object(fields) => fields.values().for_each(|field| count_fields(field, found)),
            Value::Array(items) => items.iter().for_each(|item| count_fields(item, found)),
            _ => {}
        }
    }
    let mut found = 0;
    count_fields(&schema(), &mut found);
    assert!(found > 70, "{found}");
}
