use std::{fs, thread};

use super::*;
use serde_json::Value;

#[derive(Serialize)]
struct Trip {
    name: &'static str,
    time_ms: Option<f64>,
    loss: Option<f64>,
}

impl Tabular for Trip {
    const BRIEF: &'static [&'static str] = &["name", "loss_percent"];

    fn heads() -> Vec<&'static str> {
        heads(COLUMNS).collect()
    }

    fn cells(&self, format: &CellFormat) -> Vec<String> {
        cells(COLUMNS, self, format)
    }
}

const COLUMNS: &[Column<Trip>] = &[
    ("name", |trip, _| trip.name.into()),
    ("time_ms", |trip, format| format.time(trip.time_ms)),
    ("loss_percent", |trip, format| format.percent(trip.loss)),
];

const TRIPS: [Trip; 2] = [
    Trip { name: "here", time_ms: Some(1.234_567), loss: Some(0.5) },
    Trip { name: "a,b|\"c\"", time_ms: None, loss: None },
];

#[test]
fn csv_has_a_header_all_decimals_and_empty_unknown_cells() {
    let expected = "name,time_ms,loss_percent\nhere,1.234567,50\n\"a,b|\"\"c\"\"\",,\n";
    assert_eq!(Export::Csv.text(&TRIPS, NO_TOTALS, &Trip::heads()), expected);
    assert_eq!(
        Export::Csv.text::<Trip>(&[], NO_TOTALS, &Trip::heads()),
        "name,time_ms,loss_percent\n"
    );
}

#[test]
fn markdown_has_the_main_columns_unless_others_are_chosen() {
    let brief = Export::Markdown.default_columns::<Trip>();
    let text = Export::Markdown.text(&TRIPS[..1], NO_TOTALS, &brief);
    assert_eq!(text, "| name | loss_percent |\n|:--|--:|\n| here | 50 |\n");
    let chosen = Export::Csv.text(&TRIPS[..1], NO_TOTALS, &["loss_percent", "name"]);
    assert_eq!(chosen, "loss_percent,name\n50,here\n");
    assert_eq!(Export::Csv.default_columns::<Trip>(), Trip::heads());
}

#[test]
fn markdown_has_microseconds_and_a_dash_for_unknown_cells() {
    let expected = "\
| name | time_ms | loss_percent |
|:--|--:|--:|
| here | 1.235 | 50 |
| a,b\\|\"c\" | - | - |
";
    assert_eq!(Export::Markdown.text(&TRIPS, NO_TOTALS, &Trip::heads()), expected);
}

#[test]
fn markdown_has_no_digits_that_nobody_knows() {
    let (csv, markdown) = (CellFormat::CSV, CellFormat::MARKDOWN);
    let third = Some(1.0 / 3.0);
    for (format, share, of_counts, rate) in
        [(csv, "33.3333", "33.3333", "12345.7"), (markdown, "33.3", "33", "12346")]
    {
        assert_eq!(format.percent(third), share);
        assert_eq!(format.percent_of(third, 2, 6), of_counts);
        assert_eq!(format.rate(Some(12_345.678)), rate);
    }
    assert_eq!(markdown.percent_of(None, 0, 0), "-");
}

#[test]
fn json_has_everything_under_results() {
    let json: Value =
        serde_json::from_str(&Export::Json.text(&TRIPS, NO_TOTALS, &Trip::heads())).expect("JSON");
    assert_eq!(json["results"][0]["time_ms"], 1.234_567);
    assert_eq!(json["results"][1]["time_ms"], Value::Null);
    assert_eq!(
        Export::Json.text::<Trip>(&[], NO_TOTALS, &Trip::heads()),
        "{\"schema_version\":1,\"results\":[]}\n"
    );
    let totals = Trip { name: "both", time_ms: None, loss: Some(0.25) };
    let json: Value =
        serde_json::from_str(&Export::Json.text(&TRIPS, Some(&totals), &Trip::heads()))
            .expect("JSON");
    assert_eq!((&json["results"][1]["loss"], &json["loss"]), (&Value::Null, &0.25.into()));
}

#[test]
fn check_leaves_a_file_unchanged() {
    let path = std::env::temp_dir().join(format!("hello-export-{}.old", std::process::id()));
    fs::write(&path, "old").expect("written");
    check(&path).expect("writable");
    assert_eq!(fs::read_to_string(&path).expect("a file"), "old");
    fs::remove_file(&path).expect("removed");
    assert_eq!(check(Path::new("/")).expect_err("a directory").to_string(), "cannot write \"/\"");
}

#[test]
fn pipe_receives_everything_or_is_an_error_without_a_reader() {
    let path = std::env::temp_dir().join(format!("hello-export-{}.pipe", std::process::id()));
    assert!(std::process::Command::new("mkfifo").arg(&path).status().expect("runs").success());
    check(&path).expect("a pipe");
    // Larger than the buffer of a pipe.
    let text = "x".repeat(1 << 20);
    let read = thread::spawn({
        let path = path.clone();
        move || fs::read_to_string(path)
    });
    write(&path, &text).expect("it is read");
    assert!(read.join().expect("no panic").expect("text") == text);
    let error = write(&path, &text).expect_err("no reader");
    assert_eq!(error.source.kind(), io::ErrorKind::TimedOut);
    fs::remove_file(&path).expect("removed");
}

#[test]
fn dash_is_the_output_and_an_unwritable_file_is_named() {
    let mut out = Vec::new();
    Export::Csv.write(Path::new("-"), &mut out, &TRIPS, NO_TOTALS, &Trip::heads()).expect("memory");
    assert_eq!(out, Export::Csv.text(&TRIPS, NO_TOTALS, &Trip::heads()).into_bytes());
    let error = Export::Csv
        .write(Path::new("/"), &mut out, &TRIPS, NO_TOTALS, &Trip::heads())
        .expect_err("a directory");
    assert_eq!(error.to_string(), "cannot write \"/\"");
}
