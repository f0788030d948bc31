//! What ends a greeting apart from its attempts.

use std::time::Duration;

use hello_net::{Client, NoReply, Progress, Unanswered, UnansweredCause};
use hello_proto::Request;

use super::{LONG, SHORT, client, greet, loopback_peer, nobody, retry};
use crate::network::receive;

#[test]
fn deadline_ends_a_greeting_between_and_within_its_attempts() {
    let (server, address) = loopback_peer();
    // In the middle of the third attempt.
    let deadline = 2 * SHORT + SHORT / 2;
    let builder = Client::builder().retry(retry(SHORT, 100)).deadline(deadline);
    let mut client = builder.connect([address]).expect("an address");
    let (result, seen) = greet(&mut client, b"Sarah", || ());
    let Err(Unanswered { cause, attempts, elapsed, servers }) = result else {
        panic!("{result:?}");
    };
    assert_eq!(cause, UnansweredCause::DeadlineExceeded);
    assert_eq!(servers, [NoReply { server: address, problem: None, cause: None }]);
    assert!(elapsed >= deadline && elapsed < LONG, "{elapsed:?}");
    // A busy machine makes fewer attempts.
    assert!((1..=3).contains(&attempts) && seen.len() == attempts as usize, "{seen:?}");

    // The deadline applies to each greeting.
    let script = || {
        let mut asked = std::iter::repeat_with(|| receive(&server));
        let (_, source) = asked.nth(attempts as usize).expect("asked again");
        server.send_to(b"Hello, Sarah!", source).expect("sent");
    };
    assert!(greet(&mut client, b"Sarah", script).0.is_ok());
}

#[test]
fn abort_cancels_the_greeting_in_progress_and_all_after_it() {
    let (server, address) = loopback_peer();
    for several in [false, true] {
        let addresses = [address, nobody(9)];
        let addresses = if several { &addresses[..] } else { &addresses[..1] };
        let mut client = client(addresses, retry(Duration::from_secs(3600), 3));
        let stopper = client.stopper();
        let script = || {
            receive(&server);
            stopper.abort();
        };
        let (result, seen) = greet(&mut client, b"Sarah", script);
        let Err(Unanswered { cause, attempts, servers, .. }) = result else {
            panic!("{result:?}");
        };
        assert_eq!((cause, attempts), (UnansweredCause::Cancelled, 1));
        assert_eq!(servers, [NoReply { server: address, problem: None, cause: None }]);
        assert_eq!(seen, ["asked 1"]);
        let (result, seen) = greet(&mut client, b"Sarah", || ());
        let Err(Unanswered { cause, attempts: 0, servers, .. }) = result else {
            panic!("{result:?}");
        };
        assert_eq!((cause, servers.len(), seen.len()), (UnansweredCause::Cancelled, 0, 0));
    }
}

#[test]
fn stopped_client_still_takes_the_reply_to_its_attempt() {
    let (server, address) = loopback_peer();
    let mut client = client(&[address, nobody(9)], retry(LONG, 3));
    let stopper = client.stopper();
    let script = || {
        let (_, source) = receive(&server);
        stopper.stop();
        server.send_to(b"Hello, Sarah!", source).expect("sent");
    };
    let (result, seen) = greet(&mut client, b"Sarah", script);
    assert_eq!(result.expect("answered").server, address);
    assert_eq!(seen, ["asked 1"]);
    let (result, seen) = greet(&mut client, b"Sarah", || ());
    assert_eq!(result.expect_err("stopped").cause, UnansweredCause::Cancelled);
    assert_eq!(seen.len(), 0, "a stop holds for all greetings after it");
}

#[test]
fn stopped_client_waits_out_its_attempt_and_makes_no_other() {
    let (_server, address) = loopback_peer();
    let mut client = client(&[address], retry(SHORT, 100));
    let stopper = client.stopper();
    let request = Request::new(b"Sarah").expect("short");
    let result = client.greet(request, |_| stopper.stop());
    let Err(Unanswered { cause, attempts, elapsed, .. }) = result else { panic!("{result:?}") };
    assert_eq!((cause, attempts), (UnansweredCause::Cancelled, 1));
    assert!(elapsed >= SHORT, "{elapsed:?}");
}

#[test]
#[cfg_attr(windows, ignore = "Wine's poll takes the error of a closed port from the socket")]
fn stopped_client_tries_no_further_address() {
    let (_server, address) = loopback_peer();
    let mut client = client(&[nobody(9), address], retry(Duration::from_secs(3600), 3));
    let stopper = client.stopper();
    let request = Request::new(b"Sarah").expect("short");
    let mut requested = Vec::new();
    let result = client.greet(request, |progress| match progress {
        Progress::Sending { server, .. } => requested.push(server),
        Progress::Failed { .. } => stopper.stop(),
        _ => {}
    });
    let Err(Unanswered { cause, .. }) = result else { panic!("{result:?}") };
    assert_eq!((cause, requested.len()), (UnansweredCause::Cancelled, 1));
}
