//! The search for the highest load carried, and sweeps.

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::scripted_server::Server;
use super::{due, lines, load, not_sent};
use crate::relay::{Inconclusive, retry_until_conclusive};
use crate::support::{Finished, count, server};
use crate::truth::assert_near;

/// Each trial has the requests of 0.1 s. They are in trains, so that there are few moments at which
/// a stall of the generator matters.
const TRIAL: &[&str] = &["--duration", "0.1", "--warm-up", "0", "-W", "150ms", "--train", "10"];

/// A server's capacity per trial: the requests of a load of 1000 per second.
const ROOM: u64 = 100;

fn limited_server() -> Server {
    Server::with_capacity(100)
}

/// A server that answers all but every tenth request of a trial, starting with the first.
fn losing_a_tenth() -> Server {
    Server::start(|request| (request.token().seq % 10 != 1).then(|| request.greeting()))
}

/// Runs a search, and returns the result of each trial and of the search.
///
/// # Errors
///
/// As for [`trials`].
fn find_max(
    server: Server,
    options: &[&str],
    answers: fn(u64) -> u64,
) -> Result<(Vec<Value>, Value, Option<i32>), Inconclusive> {
    let to = server.address();
    let (mut lines, status) = lines(&[&["--find-max"], TRIAL, options, &[&to]].concat());
    let throughput = lines.pop().expect("a result");
    assert_eq!(throughput["event"], "throughput");
    Ok((trials(server, lines, answers)?, throughput, status))
}

/// Compares each trial's result with the server's record.
///
/// # Errors
///
/// [`Inconclusive`] if the server left more unanswered than intended, because the machine stalled for
/// longer than the timeout.
fn trials(
    server: Server,
    mut lines: Vec<Value>,
    answers: fn(u64) -> u64,
) -> Result<Vec<Value>, Inconclusive> {
    assert_eq!(lines.remove(0)["event"], "start");
    let sent = lines.iter().map(|trial| count(&trial["sent"])).sum::<u64>();
    assert_eq!(server.finish().len() as u64, sent);
    for trial in &lines {
        assert_eq!(trial["event"], "trial");
        assert_eq!(due(trial), 10 * count(&trial["plan"]["rate"]).div_ceil(100), "{trial}");
        let [sent, answered, lost] = ["sent", "answered", "lost"].map(|name| count(&trial[name]));
        assert_eq!((answered + lost, &trial["in_flight"]), (sent, &0.into()), "{trial}");
        assert!(answered <= answers(sent), "{trial}");
        if answered < answers(sent) {
            return Err(Inconclusive(format!("{answered} of {sent} were answered in time")));
        }
        assert_near(&trial["loss"], lost as f64 / sent as f64, "loss");
    }
    Ok(lines)
}

/// Returns the load and the verdict of each trial, and checks the verdict against its numbers.
fn verdicts(trials: &[Value], tolerance: f64) -> Vec<(u64, &str)> {
    let verdict = |trial: &Value| match count(&trial["lost"]) as f64 {
        lost if lost > tolerance * count(&trial["sent"]) as f64 => "lost",
        _ if not_sent(trial) as f64 > 0.001 * due(trial) as f64 => "not-offered",
        _ => "carried",
    };
    let each = trials.iter().map(|trial| {
        assert_eq!(trial["verdict"], verdict(trial), "{trial}");
        (count(&trial["plan"]["rate"]), trial["verdict"].as_str().expect("text"))
    });
    each.collect()
}

#[test]
fn throughput_is_found_within_the_resolution() {
    let options = ["--rate", "1000", "--resolution", "15%", "--trials", "3"];
    retry_until_conclusive(0, |_| {
        let (trials, throughput, status) =
            find_max(limited_server(), &options, |sent| sent.min(ROOM))?;
        // Each load has trials until the majority is clear; a gap of 125 is 11 % of the upper load.
        let loads =
            [(1000, "carried"), (2000, "lost"), (1500, "lost"), (1250, "lost"), (1125, "lost")];
        let expected = Vec::from_iter(loads.into_iter().flat_map(|load| [load; 2]));
        if verdicts(&trials, 0.0) != expected {
            return Err(Inconclusive("the generator stalled".into()));
        }
        let mut throughput = throughput;
        let fields = throughput.as_object_mut().expect("fields");
        fields.retain(|name, _| !["time", "started_at", "headline"].contains(&&**name));
        let expected = json!({
            "event": "throughput",
            "conclusion": {
                "outcome": "carried",
                "rate_per_s": 1000.0,
                "is_lower_bound": false,
                "limited_by": "server",
                "next": null,
            },
            "no_answer": null,
            "throughput_per_s": 1000,
            "not_carried_per_s": 1125,
            "bound": "server",
            "tolerance": 0.0,
            "resolution": 0.15,
            "trials": 3,
            "trial_s": 0.1,
        });
        assert_eq!((throughput, status), (expected, Some(0)));
        Ok(())
    });
}

#[test]
fn loss_up_to_the_tolerance_counts_as_carried() {
    for (tolerance, share) in [("10", 0.1), ("9.9%", 0.099), ("0", 0.0)] {
        retry_until_conclusive(0, |_| {
            let carries = share == 0.1;
            let start = if carries { "500" } else { "1000" };
            let loads = ["--rate", start, "--max-rate", "1000", "--resolution", "100"];
            let (trials, throughput, status) = find_max(
                losing_a_tenth(),
                &[&loads[..], &["--tolerance", tolerance]].concat(),
                |sent| sent - sent.div_ceil(10),
            )?;
            // After a stall, whole trains are missing, so the loss is the same.
            let verdicts = verdicts(&trials, share);
            assert!(verdicts.iter().all(|(_, verdict)| (*verdict == "lost") != carries));
            let expected = match carries {
                true => json!([1000, null, "max-rate"]),
                false => json!([null, 1000, "server"]),
            };
            let names = ["throughput_per_s", "not_carried_per_s", "bound"];
            let found = Value::from_iter(names.map(|name| throughput[name].clone()));
            if found != expected && verdicts.iter().any(|(_, verdict)| *verdict == "not-offered") {
                return Err(Inconclusive(format!("the generator stalled: {verdicts:?}")));
            }
            assert_eq!((found, status), (expected, Some(i32::from(!carries))));
            Ok(())
        });
    }
}

#[test]
fn search_prints_its_result_and_its_bound() {
    retry_until_conclusive(0, |_| {
        for (options, status, expected) in [
            (
                &["--rate", "1000", "--max-rate", "1000", "--tolerance", "10"][..],
                0,
                "answers at least 1,000 requests/s with at most 10% loss; no higher rate was tried: \
                 next, try a higher --max-rate\n\
                 no higher load was tried (--max-rate); at most 1 trial of 100ms per load\n",
            ),
            (
                &["--rate", "1000", "--resolution", "100"],
                1,
                "answers no rate without loss, not even 1,000/s\n\
                 1,000/s lost too much (resolution 100%); at most 1 trial of 100ms per load\n",
            ),
        ] {
            let server = losing_a_tenth();
            let to = server.address();
            let arguments = [&["--find-max", "--trials", "1"], TRIAL, options, &[&to]].concat();
            let Finished { out, err, status: ended } = load(&arguments);
            assert_eq!(err, "");
            if out.contains(" too late") || !out.contains(" 10% lost ") {
                return Err(Inconclusive(format!("the generator or the server stalled: {out}")));
            }
            assert!(out.ends_with(&format!("\n\n{to} {expected}")), "{out}");
            assert_eq!(ended, Some(status));
        }
        Ok(())
    });
}

#[test]
fn load_that_cannot_be_offered_is_not_the_servers_limit() {
    let server = Server::greeter();
    let to = server.address();
    // No machine sends a request in 10 ns, and any loss is tolerated.
    let options = ["--rate", "100M", "--duration", "5ms", "--warm-up", "0", "-W", "0.2"];
    let search = ["--find-max", "--trials", "1", "--tolerance", "100", "--resolution", "100", &to];
    let arguments = [&options[..], &search].concat();
    let (lines, status) = lines(&arguments);
    let [_, trial, throughput] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!((&trial["verdict"], due(trial)), (&"not-offered".into(), 500_000));
    assert_eq!(trial["generator"]["limits"][0]["limit"], "late", "{trial}");
    assert_eq!((&throughput["bound"], status), (&"generator".into(), Some(1)));
    assert_eq!(throughput["not_carried_per_s"], 100_000_000);
    let Finished { out, .. } = load(&arguments);
    let expected = "\ngenerator limit: 100,000,000/s was not offered evenly, so the server may ";
    assert!(out.contains("  not offered    p50 ") && out.contains(expected), "{out}");
}

#[test]
fn sweep_prints_a_row_with_loss_for_each_load() {
    let sweep = ["--sweep", "500..1500", "--steps", "3"];
    retry_until_conclusive(0, |_| {
        let server = limited_server();
        let to = server.address();
        let (mut lines, status) = lines(&[&sweep[..], TRIAL, &[&to]].concat());
        let swept = lines.pop().expect("a result");
        let facts = (&swept["loads"], &swept["measured"], &swept["interrupted"]);
        assert_eq!(facts, (&3.into(), &3.into(), &false.into()));
        let trials = trials(server, lines, |sent| sent.min(ROOM))?;
        let loads = trials.iter().map(|trial| count(&trial["plan"]["rate"]));
        assert!(loads.eq([500, 1000, 1500]), "{trials:?}");
        assert!(trials.iter().all(|trial| trial["verdict"].is_null()));
        assert_eq!((&trials[0]["lost"], &trials[1]["lost"]), (&0.into(), &0.into()));
        if not_sent(&trials[2]) > 0 {
            return Err(Inconclusive("the generator stalled".into()));
        }
        assert_eq!((&trials[2]["lost"], status), (&50.into(), Some(0)));

        let server = limited_server();
        let to = server.address();
        let Finished { out, status, .. } = load(&[&sweep[..], TRIAL, &[&to]].concat());
        let (_, result) = out.split_once("\n\n").expect("a result");
        let (headline, table) = result.split_once('\n').expect("a table");
        let cells = |row: &str| Vec::from_iter(row.split_whitespace().take(4).map(str::to_owned));
        let rows = Vec::from_iter(table.lines().map(cells));
        assert_eq!(rows[0], ["load/s", "sent/s", "answered/s", "payload"]);
        let expected = [
            ["500", "500", "500", "96.0"],
            ["1,000", "1,000", "1,000", "192"],
            ["1,500", "1,500", "1,000", "192"],
        ];
        if rows[1..] != expected && out.contains(" too late") {
            return Err(Inconclusive(format!("the generator stalled: {out}")));
        }
        assert_eq!(
            (&rows[1..], status),
            (&expected.map(|row| row.map(str::to_owned).to_vec())[..], Some(0))
        );
        let expected =
            format!("{to} answers 1,000 requests/s without loss, and loses 33.3% at 1,500/s");
        assert_eq!(headline, expected);
        Ok(())
    });
}

#[test]
fn search_and_sweep_end_if_their_server_does() {
    for mode in [&["--find-max", "--trials", "1", "--rate", "200"][..], &["--sweep", "200..900"]] {
        let (server, address) = server(&["--bind", "127.0.0.1:0", "--quiet"]);
        let ends = thread::spawn(move || {
            thread::sleep(Duration::from_millis(700));
            drop(server);
        });
        let to = address.to_string();
        let times = ["--duration", "300ms", "-W", "300ms", &to];
        let (lines, _) = lines(&[mode, &times].concat());
        ends.join().expect("no panic");
        let last = lines.last().expect("a result");
        let headline = last["headline"].as_str().expect("text");
        assert!(
            headline.contains("requests were refused (no server on that port, or a firewall)"),
            "{headline}"
        );
        let trials = lines.iter().filter(|line| line["event"] == "trial").count();
        assert!(trials <= 6, "{lines:?}");
    }
}
