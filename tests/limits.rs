//! Requests that `hello-server` refuses, and options that disable a refusal.

use std::net::SocketAddr;
use std::process::Command;

use rustix::process::Signal;

use crate::support::{
    Finished, Process, SERVER, count, exchange, peer, peer_at, receive, server, summary,
};

#[test]
fn disabled_rule_refuses_nothing() {
    let named = b"Hello, Hello, World!!";
    let client = peer();
    for (options, refused) in [(&[][..], 1), (&["--allow", "greeted-twice"], 0)] {
        let (server, address) = server(&[&["--bind", "127.0.0.1:0", "--quiet"], options].concat());
        client.send_to(named, address).expect("sent");
        client.send_to(b"Tracy", address).expect("sent");
        if refused == 0 {
            assert_eq!(receive(&client).0, b"Hello, Hello, Hello, World!!!");
        }
        assert_eq!(receive(&client).0, b"Hello, Tracy!");
        let summary = summary(server);
        assert_eq!(summary["refused"]["greeted-twice"], refused, "{summary}");
        assert_eq!(summary["answered"], 2 - refused, "{summary}");
    }
}

#[test]
fn about_one_in_four_requests_over_the_limit_is_answered() {
    const REQUESTS: u64 = 200;
    for (options, dry) in [(&[][..], false), (&["--limit-dry-run"], true)] {
        let limit = ["--bind", "127.0.0.1:0", "--quiet", "--limit", "1", "--limit-burst", "10"];
        let (server, address) = server(&[&limit, options].concat());
        let client = peer();
        for number in 0..REQUESTS {
            client.send_to(number.to_string().as_bytes(), address).expect("sent");
        }
        // The burst comes first; in a dry run, nothing is refused.
        for number in 0..if dry { REQUESTS } else { 10 } {
            assert_eq!(receive(&client).0, format!("Hello, {number}!").into_bytes());
        }
        let summary = summary(server);
        let over = count(&summary["refused"]["over-limit"]);
        let leaked = count(&summary["over_limit_answered"]);
        let answered = count(&summary["answered"]);
        assert_eq!(answered + over, REQUESTS, "{summary}");
        assert!(answered - leaked >= 10, "{summary}");
        // The limit also admits a few more requests for each second that passed.
        assert!(over + leaked > REQUESTS / 2, "{summary}");
        if dry {
            assert_eq!((answered, over), (REQUESTS, 0), "{summary}");
        } else {
            let share = leaked as f64 / (over + leaked) as f64;
            assert!((0.05..0.5).contains(&share), "{summary}");
        }
    }
}

/// The noisy host sends three requests for each of the quiet one's. If every fourth excess request
/// were answered, the quiet host would get replies to none of its requests, or to all.
#[test]
fn quiet_host_is_answered_beside_a_synchronised_flooder_in_its_network() {
    const ROUNDS: u32 = 80;
    const REQUESTS: u32 = 50;
    let options = ["--limit", "1", "--limit-burst", "1", "--limit-exempt", "127.9.9.9"];
    let (server, address) = server(&[&["--bind", "127.0.0.1:0", "--quiet"], &options[..]].concat());
    let [noisy, quiet, exempt] =
        [[127, 0, 0, 2], [127, 0, 0, 3], [127, 9, 9, 9]].map(|host| peer_at((host, 0).into()));
    quiet.set_nonblocking(true).expect("possible");
    let mut answered = 0;
    let mut drain = || {
        while quiet.recv(&mut [0; 64]).is_ok() {
            answered += 1;
        }
    };
    for _ in 0..ROUNDS {
        for _ in 0..REQUESTS {
            for host in [&noisy, &noisy, &noisy, &quiet] {
                host.send_to(b"Tracy", address).expect("sent");
            }
        }
        // Sends no more than the server's receive buffer holds, and expects no more replies than
        // ours holds.
        exchange(&exempt, address, b"Sarah");
        drain();
    }
    let summary = summary(server);
    drain();
    let share = f64::from(answered) / f64::from(ROUNDS * REQUESTS);
    assert!((0.2..0.3).contains(&share), "{share}: {summary}");
    let received = count(&summary["received"]);
    assert_eq!(received, u64::from(ROUNDS * (4 * REQUESTS + 1)), "{summary}");
}

#[test]
fn exempt_network_is_never_over_the_limit() {
    const REQUESTS: u64 = 100;
    let (server, address) = server(&[
        "--bind",
        "127.0.0.1:0",
        "--quiet",
        "--limit",
        "1",
        "--limit-exempt",
        "127.0.0.0/8",
        "--limit-exempt",
        "2001:db8::/32",
    ]);
    let client = peer();
    for _ in 0..REQUESTS {
        assert_eq!(exchange(&client, address, b"Tracy"), b"Hello, Tracy!");
    }
    let summary = summary(server);
    assert_eq!(
        (&summary["answered"], &summary["over_limit_answered"]),
        (&REQUESTS.into(), &0.into())
    );
}

#[test]
fn limit_is_printed_at_the_start_and_in_an_exceeding_summary() {
    for (options, limit) in [
        (
            &["--limit", "1"][..],
            Some("rate limit: 1 requests/s per source network (/24, /64), bursts of 2"),
        ),
        // The default limit, which exempts the loopback.
        (&[], None),
    ] {
        let command = [&["--bind", "127.0.0.1:0", "--quiet"], options].concat();
        let mut server = Process::start(Command::new(SERVER).args(command));
        let line = server.line();
        let address: SocketAddr =
            line.strip_prefix("listening on ").expect("first").parse().expect("an address");
        if let Some(limit) = limit {
            assert_eq!(server.line(), format!("{limit} (see --limit)"));
        }
        let client = peer();
        for _ in 0..100 {
            client.send_to(b"Tracy", address).expect("sent");
        }
        server.signal(Signal::TERM);
        let (lines, status) = server.finish();
        assert_eq!(status, Some(0));
        assert!(lines[0].starts_with("100 received, "), "{lines:?}");
        let last = lines.last().expect("a summary").trim_start();
        match limit {
            Some(limit) => {
                assert!(last.starts_with(&format!("{limit}; raise it with --limit")), "{last}");
            }
            None => assert_eq!(lines.len(), 1, "{lines:?}"),
        }
    }
}

#[test]
fn invalid_limit_is_an_error_that_suggests_a_valid_one() {
    for (arguments, advice) in [
        (&["--limit", "0"][..], "must be between 1 and 1,000,000,000"),
        (&["--limit", "1000000001"], "must be between 1 and 1,000,000,000"),
        (&["--limit", "none"], "or \"off\""),
        (&["--limit", "off", "--limit-burst", "5"], "--limit-burst cannot be combined"),
        (&["--limit", "off", "--limit-exempt", "::1"], "--limit-exempt cannot be combined"),
        (&["--limit-dry-run", "--limit", "off"], "--limit-dry-run cannot be combined"),
        (&["--limit", "1", "--limit-burst", "0"], "must be between 1 and"),
        (&["--limit", "1", "--limit-exempt", "here"], "not a network: try 192.0.2.0/24"),
        (&["--limit", "1", "--limit-exempt", "192.0.2.7/24"], "did you mean 192.0.2.0/24?"),
        (&["--allow", "everything"], "source-port-privileged"),
    ] {
        let output = Command::new(SERVER).args(arguments).output().expect("runs");
        let Finished { out, err, status } = output.into();
        assert_eq!((&*out, status), ("", Some(2)), "{arguments:?}");
        assert!(err.contains(advice), "{err}");
    }
}
