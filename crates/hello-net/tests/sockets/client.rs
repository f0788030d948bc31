mod limits;

use std::net::{SocketAddr, UdpSocket};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use crate::codes;
use crate::network::{have_ipv6, peer, peer_at, receive};
use hello_net::hello_measure::{Cause, CauseKind};
use hello_net::{
    Client, ErrorClass, Greeting, NoReply, Progress, SocketError, Unanswered, UnansweredCause,
};
use hello_proto::{DecodeError, Request, Retry};

/// Long enough for any machine. Only attempts that fail on purpose wait for a shorter time.
const LONG: Duration = Duration::from_secs(20);
/// Long enough for a long wait.
const SHORT: Duration = Duration::from_millis(120);

fn retry(first: Duration, attempts: u32) -> Retry {
    Retry::new(first, NonZeroU32::new(attempts).expect("not zero"), first)
}

fn client(servers: &[SocketAddr], retry: Retry) -> Client {
    Client::builder().retry(retry).connect(servers.iter().copied()).expect("at least one")
}

/// Returns an error of the system's, which has this class.
fn error(code: i32, class: ErrorClass) -> SocketError {
    let error = SocketError::of(&std::io::Error::from_raw_os_error(code));
    assert_eq!(error.class, class);
    error
}

/// Returns what an observer saw, in words.
fn words(progress: Progress<'_>) -> String {
    match progress {
        Progress::Sending { attempt, .. } => format!("asked {attempt}"),
        Progress::Failed { error, .. } => error.class.label().to_owned(),
        Progress::Skipped { datagram, error: None, .. } => {
            format!("skipped {}", datagram.escape_ascii())
        }
        Progress::Skipped { error: Some(error), .. } => format!("skipped: {error}"),
        other => panic!("{other:?}"),
    }
}

/// Sends one request beside a server that plays its script.
fn greet(
    client: &mut Client,
    name: &[u8],
    script: impl FnOnce() + Send,
) -> (Result<Greeting, Unanswered>, Vec<String>) {
    let request = Request::new(name).expect("short");
    let mut seen = Vec::new();
    let result = thread::scope(|scope| {
        scope.spawn(script);
        client.greet(request, |progress| seen.push(words(progress)))
    });
    (result, seen)
}

fn loopback_peer() -> (UdpSocket, SocketAddr) {
    let socket = peer();
    let address = socket.local_addr().expect("bound");
    (socket, address)
}

/// Returns an address where nothing listens: port 9 of a loopback address that nobody else binds.
fn nobody(host: u8) -> SocketAddr {
    ([127, 77, 0, host], 9).into()
}

#[test]
fn first_reply_gives_the_round_trip_time() {
    let (server, address) = loopback_peer();
    let script = || {
        let (name, source) = receive(&server);
        assert_eq!(name, b"Michael");
        server.send_to(b"Hello, Michael!", source).expect("sent");
    };
    let (result, seen) = greet(&mut client(&[address], retry(LONG, 3)), b"Michael", script);
    let Greeting { server, attempts, rtt, elapsed } = result.expect("answered");
    assert_eq!((server, attempts), (address, 1));
    assert!(rtt.expect("asked once") <= elapsed);
    assert_eq!(seen, ["asked 1"]);
}

#[test]
fn replies_to_other_requests_are_skipped_and_reported() {
    let (server, address) = loopback_peer();
    let script = || {
        let (_, source) = receive(&server);
        for reply in [&b"Hello, Mallory!"[..], b"", b"Hello, Michael?", b"Hello, Michael!!"] {
            server.send_to(reply, source).expect("sent");
        }
        server.send_to(b"Hello, Michael!", source).expect("sent");
    };
    let (result, seen) = greet(&mut client(&[address], retry(LONG, 1)), b"Michael", script);
    assert!(result.is_ok());
    let short = DecodeError::TooShort { len: 0, min: 8 };
    let suffix = DecodeError::UnexpectedByte { at: 14, found: b'?', expected: b'!' };
    let expected = [
        "asked 1".to_owned(),
        "skipped Hello, Mallory!".to_owned(),
        format!("skipped: {short}"),
        format!("skipped: {suffix}"),
        "skipped Hello, Michael!!".to_owned(),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn round_trip_time_is_unknown_after_a_second_attempt() {
    let (server, address) = loopback_peer();
    let script = || {
        let (_, first) = receive(&server);
        let (_, second) = receive(&server);
        assert_eq!(first, second, "one port for all attempts");
        // The reply to the first attempt, during the second: as good as the other.
        server.send_to(b"Hello, Tracy!", first).expect("sent");
    };
    let schedule = Retry::new(SHORT, NonZeroU32::new(12).expect("not zero"), LONG);
    let (result, seen) = greet(&mut client(&[address], schedule), b"Tracy", script);
    let greeting = result.expect("answered");
    assert!(greeting.attempts >= 2);
    assert_eq!(greeting.rtt, None);
    assert_eq!(seen[..2], ["asked 1", "asked 2"]);
}

#[test]
fn duplicate_of_an_earlier_reply_never_answers_an_equal_name() {
    let (server, address) = loopback_peer();
    let mut client = client(&[address], retry(LONG, 1));
    let mut earlier = None;
    let script = || {
        let (_, source) = receive(&server);
        server.send_to(b"Hello, Michael!", source).expect("sent");
        earlier = Some(source);
    };
    assert!(greet(&mut client, b"Michael", script).0.is_ok());

    let earlier = earlier.expect("asked");
    let script = || {
        let (_, source) = receive(&server);
        assert_ne!(source, earlier);
        server.send_to(b"Hello, Michael!", earlier).expect("sent");
        server.send_to(b"Hello, Mallory!", source).expect("sent");
        server.send_to(b"Hello, Michael!", source).expect("sent");
    };
    let (result, seen) = greet(&mut client, b"Michael", script);
    assert!(result.is_ok());
    // Had the duplicate counted, Mallory's reply would not have been read.
    assert_eq!(seen, ["asked 1", "skipped Hello, Mallory!"]);
}

#[test]
fn silent_server_is_no_answer_after_all_attempts() {
    let (server, address) = loopback_peer();
    let mut client = client(&[address], retry(SHORT, 3));
    let (result, seen) = greet(&mut client, b"Sarah", || ());
    let Err(Unanswered { cause, attempts: 3, elapsed, servers }) = result else {
        panic!("{result:?}");
    };
    assert_eq!(cause, UnansweredCause::AttemptsExhausted);
    assert_eq!(servers, [NoReply { server: address, problem: None, cause: None }]);
    assert!(elapsed >= 3 * SHORT);
    assert_eq!(seen, ["asked 1", "asked 2", "asked 3"]);
    for _ in 0..3 {
        assert_eq!(receive(&server).0, b"Sarah");
    }
}

#[test]
fn flood_of_wrong_replies_moves_no_deadline() {
    let (server, address) = loopback_peer();
    let mut client = client(&[address], retry(Duration::from_millis(500), 1));
    let gave_up = AtomicBool::new(false);
    let mut skipped = 0;
    thread::scope(|scope| {
        scope.spawn(|| {
            let (_, source) = receive(&server);
            let start = Instant::now();
            while !gave_up.load(Relaxed) {
                server.send_to(b"Hello, Mallory!", source).expect("sent");
                assert!(start.elapsed() < LONG, "the client does not give up");
            }
        });
        let request = Request::new(b"Sarah").expect("short");
        let result = client.greet(request, |progress| {
            skipped += u64::from(matches!(progress, Progress::Skipped { .. }));
        });
        gave_up.store(true, Relaxed);
        assert!(matches!(result, Err(Unanswered { attempts: 1, .. })));
    });
    assert!(skipped > 0, "it did get wrong replies");
}

/// A server on this host whose port is closed.
fn refused(server: SocketAddr) -> NoReply {
    let problem = Some(error(codes::ECONNREFUSED, ErrorClass::ConnectionRefused));
    let cause = Cause { kind: CauseKind::Refused, reporter: Some(server.ip()) };
    NoReply { server, problem, cause: cfg!(target_os = "linux").then_some(cause) }
}

#[test]
#[cfg_attr(windows, ignore = "Wine's poll takes the error of a closed port from the socket")]
fn closed_port_is_reported_as_refused_and_attempts_continue() {
    let mut client = client(&[nobody(1)], retry(SHORT, 2));
    let (result, seen) = greet(&mut client, b"Sarah", || ());
    let Err(Unanswered { attempts: 2, elapsed, servers, .. }) = result else {
        panic!("{result:?}");
    };
    assert_eq!(servers, [refused(nobody(1))]);
    assert!(elapsed >= 2 * SHORT, "every wait was waited for");
    assert_eq!(seen, ["asked 1", "refused", "asked 2", "refused"]);
}

#[test]
#[cfg_attr(windows, ignore = "Wine's poll takes the error of a closed port from the socket")]
fn server_that_starts_between_attempts_is_reached() {
    // Found free, and bound again only when the first attempt was refused.
    let address = peer_at(([127, 77, 0, 2], 0).into()).local_addr().expect("bound");
    let mut client = client(&[address], retry(Duration::from_secs(1), 20));
    let mut started = false;
    let mut seen = Vec::new();
    let request = Request::new(b"Tracy").expect("short");
    thread::scope(|scope| {
        let result = client.greet(request, |progress| {
            seen.push(words(progress));
            if words(progress) == "refused" && !started {
                started = true;
                let server = peer_at(address);
                scope.spawn(move || {
                    let (_, source) = receive(&server);
                    server.send_to(b"Hello, Tracy!", source).expect("sent");
                });
            }
        });
        assert!(result.expect("answered").attempts >= 2);
    });
    assert_eq!(seen[..3], ["asked 1", "refused", "asked 2"]);
}

#[test]
#[cfg_attr(windows, ignore = "Wine's poll takes the error of a closed port from the socket")]
fn refusing_address_is_abandoned_for_the_next_at_once() {
    let (server, address) = loopback_peer();
    let mut client = client(&[nobody(3), address], retry(LONG, 1));
    for expected in [&["asked 1", "refused", "asked 1"][..], &["asked 1"]] {
        let script = || {
            let (_, source) = receive(&server);
            server.send_to(b"Hello, Sarah!", source).expect("sent");
        };
        let (result, seen) = greet(&mut client, b"Sarah", script);
        let greeting = result.expect("answered");
        assert_eq!((greeting.server, greeting.attempts), (address, 1));
        assert!(greeting.rtt.is_some(), "this address was asked once");
        assert_eq!(seen, expected);
    }
}

#[test]
fn silent_address_is_followed_by_the_next_after_its_attempt() {
    let (_silent, silent) = loopback_peer();
    let (server, address) = loopback_peer();
    let schedule = Retry::new(SHORT, NonZeroU32::new(15).expect("not zero"), LONG);
    let mut client = client(&[silent, address], schedule);
    let script = || {
        let (_, source) = receive(&server);
        server.send_to(b"Hello, Sarah!", source).expect("sent");
    };
    let (result, _) = greet(&mut client, b"Sarah", script);
    let greeting = result.expect("answered");
    assert_eq!(greeting.server, address);
    // In the second attempt this server gets its first request.
    assert_eq!(greeting.rtt.is_some(), greeting.attempts == 2);
}

#[test]
fn late_reply_from_an_earlier_address_counts() {
    let (server, address) = loopback_peer();
    let silent: [_; 6] = std::array::from_fn(|_| loopback_peer());
    let mut addresses = vec![address];
    addresses.extend(silent.iter().map(|(_, address)| *address));
    // Fewer attempts than addresses: none gets two requests, and polling again finds the reply.
    let mut client = client(&addresses, retry(Duration::from_millis(300), 6));
    let script = || {
        let (_, source) = receive(&server);
        // By now, another address is waited for.
        receive(&silent[0].0);
        server.send_to(b"Hello, Sarah!", source).expect("sent");
    };
    let (result, _) = greet(&mut client, b"Sarah", script);
    let greeting = result.expect("answered");
    assert_eq!((greeting.server, greeting.rtt), (address, None));
}

#[test]
#[cfg_attr(windows, ignore = "Wine's poll takes the error of a closed port from the socket")]
fn two_refusing_addresses_are_both_tried_without_shortening_the_wait() {
    let mut client = client(&[nobody(4), nobody(5)], retry(SHORT, 1));
    let (result, seen) = greet(&mut client, b"Sarah", || ());
    let Err(Unanswered { attempts: 1, elapsed, servers, .. }) = result else {
        panic!("{result:?}");
    };
    assert!(elapsed >= SHORT);
    assert_eq!(servers, [refused(nobody(4)), refused(nobody(5))]);
    assert_eq!(seen, ["asked 1", "refused", "asked 1", "refused"]);
}

#[test]
fn untried_address_has_no_failure_reason() {
    let (_silent, silent) = loopback_peer();
    let mut client = client(&[silent, nobody(8)], retry(SHORT, 1));
    let (result, _) = greet(&mut client, b"Sarah", || ());
    let Err(Unanswered { servers, .. }) = result else { panic!("{result:?}") };
    assert_eq!(servers, [NoReply { server: silent, problem: None, cause: None }]);
}

#[test]
#[cfg_attr(windows, ignore = "Wine's poll takes the error of a closed port from the socket")]
fn each_address_reports_the_failure_of_its_last_attempt() {
    let (_silent, silent) = loopback_peer();
    let mut client = client(&[silent, nobody(7)], retry(SHORT, 2));
    let mut waited_for = Vec::new();
    let result = client.greet(Request::new(b"Sarah").expect("short"), |progress| {
        if let Progress::Failed { server, waits, .. } = progress {
            waited_for.push((server, waits));
        }
    });
    let Err(Unanswered { servers, .. }) = result else { panic!("{result:?}") };
    let silence = NoReply { server: silent, problem: None, cause: None };
    assert_eq!(servers, [silence, refused(nobody(7))]);
    // In the second attempt, which then went on to the silent one.
    assert_eq!(waited_for, [(nobody(7), false)]);
}

#[test]
fn unsendable_address_is_followed_by_the_next() {
    let (server, address) = loopback_peer();
    let broadcast = SocketAddr::from(([127, 255, 255, 255], 9999));
    let mut both = client(&[broadcast, address], retry(LONG, 1));
    let script = || {
        let (_, source) = receive(&server);
        server.send_to(b"Hello, Sarah!", source).expect("sent");
    };
    let (result, seen) = greet(&mut both, b"Sarah", script);
    assert_eq!(result.expect("answered").server, address);
    assert_eq!(seen, ["asked 1", "denied", "asked 1"]);

    let mut alone = client(&[broadcast], retry(SHORT, 2));
    let (result, seen) = greet(&mut alone, b"Sarah", || ());
    let Err(Unanswered { servers, elapsed, .. }) = result else { panic!("{result:?}") };
    let problem = Some(error(codes::EACCES, ErrorClass::Denied));
    assert_eq!(servers, [NoReply { server: broadcast, problem, cause: None }]);
    assert!(elapsed >= 2 * SHORT, "every wait was waited for");
    assert_eq!(seen, ["asked 1", "denied", "asked 2", "denied"]);
}

#[test]
fn client_without_an_address_is_an_error() {
    let error = Client::builder().connect([]).expect_err("nobody to ask");
    assert_eq!(error.to_string(), "no address to send to");
}

#[test]
#[cfg_attr(windows, ignore = "Wine's poll takes the error of a closed port from the socket")]
fn zero_timeout_still_receives_queued_replies() {
    // On the loopback, the refusal arrives before the send returns.
    let mut client = client(&[nobody(6)], retry(Duration::ZERO, 2));
    let (result, seen) = greet(&mut client, b"Sarah", || ());
    assert!(matches!(result, Err(Unanswered { attempts: 2, .. })));
    assert_eq!(seen, ["asked 1", "refused", "asked 2", "refused"]);
}

#[test]
fn unspecified_address_means_this_host() {
    for (bound, unspecified) in [("127.0.0.1:0", "0.0.0.0"), ("[::1]:0", "::")] {
        let test = "unspecified_address_means_this_host";
        if unspecified == "::" && !have_ipv6(test) {
            return;
        }
        let server = peer_at(bound.parse().expect("an address"));
        let port = server.local_addr().expect("bound").port();
        let asked = SocketAddr::new(unspecified.parse().expect("an address"), port);
        let mut client = client(&[asked], retry(LONG, 1));
        let (result, seen) = greet(&mut client, b"Tracy", || {
            let (_, source) = receive(&server);
            server.send_to(b"Hello, Tracy!", source).expect("sent");
        });
        assert_eq!(result.expect("an answer").server, asked);
        assert_eq!(seen, ["asked 1"]);
    }
}
