//! Tests of the relay itself, before it serves as a reference.

use std::num::NonZeroU32;
use std::thread;
use std::time::{Duration, Instant};

use hello_measure::{Counts, Ledger};
use hello_proto::Token;

use super::{
    Bursts, Fate, Greeter, HEARTBEAT, Impairments, Inconclusive, Log, Plan, Relay, receive,
    retry_until_conclusive, socket, wait,
};

const TIMEOUT: Duration = Duration::from_millis(300);

/// Every impairment at once, for the first 200 requests.
fn everything(seed: u64) -> Plan {
    let forward = Impairments {
        lost: 50,
        bursts: Bursts { begin: 20, end: 300 },
        corrupted: 50,
        truncated: 50,
        duplicated: 100,
        held_back: (50, 3),
        jitter: Duration::from_millis(20),
        ..Impairments::default()
    };
    let late = (50, 2 * TIMEOUT);
    let reverse = Impairments { unsolicited: 100, late, blackout: 60..70, ..forward.clone() };
    Plan { seed, forward, reverse, unimpaired_from: 200 }
}

/// Sends requests through a relay, with one ledger over one socket.
///
/// # Errors
///
/// [`Inconclusive`] if the test itself stalled, because it knows only its own times.
fn probe(plan: &Plan, count: u32, interval: Duration) -> Result<(Counts, Log), Inconclusive> {
    const WINDOW: NonZeroU32 = NonZeroU32::new(1024).expect("not zero");
    const DRAIN: Duration = Duration::from_millis(150);
    let greeter = Greeter::start();
    let relay = Relay::start(greeter.address(), plan);
    let (socket, start) = (socket(), Instant::now());
    let mut ledger = Ledger::new(Token { run_id: 4711, seq: u32::MAX - 100 }, WINDOW, TIMEOUT);
    let (mut buf, mut name) = ([0; 65_536], [0; 20]);
    let (mut looked, mut last_sent) = (Duration::ZERO, Duration::ZERO);
    loop {
        while let Some((len, _)) = receive(&socket, &mut buf) {
            ledger.handle_datagram(&buf[..len], start.elapsed());
        }
        let now = start.elapsed();
        if now - looked > Duration::from_millis(100) {
            return Err(Inconclusive(format!("the prober stalled for {:?}", now - looked)));
        }
        looked = now;
        while ledger.poll_lost(now).is_some() {}
        let sent = u32::try_from(ledger.counts().sent).expect("few");
        let due = if sent < count { interval * sent } else { last_sent + DRAIN };
        if now < due {
            wait(&[&socket], (due - now).min(HEARTBEAT));
        } else if sent < count {
            ledger.tokens().next().expect("room").encode(&mut name).expect("long enough");
            last_sent = start.elapsed();
            ledger.handle_sent(name.len(), last_sent);
            socket.send_to(&name, relay.address()).expect("sent");
        } else {
            greeter.finish();
            return Ok((ledger.counts(), relay.finish()));
        }
    }
}

const INTERVAL: Duration = Duration::from_millis(2);
/// Enough that the last replies to impaired requests arrive before the last probe.
const COUNT: u32 = 550;

#[test]
fn ledger_over_one_socket_agrees_with_the_relay_log() {
    retry_until_conclusive(1, |seed| {
        let (counts, log) = probe(&everything(seed), COUNT, INTERVAL)?;
        let truth = log.truth(TIMEOUT)?;
        let mut expected = Counts::default();
        (expected.sent, expected.reordered) = (truth.sent, truth.reordered());
        (expected.answered, expected.lost) = (truth.answers.len() as u64, truth.lost.len() as u64);
        (expected.late, expected.duplicate) = (truth.late, truth.duplicate);
        (expected.corrupt, expected.unsolicited) = (truth.corrupt, truth.unsolicited);
        assert_eq!((counts, counts.in_flight()), (expected, truth.in_flight), "seed {seed}");
        let Counts { answered, lost, reordered, late, duplicate, corrupt, unsolicited, .. } =
            counts;
        let each = [answered, lost, reordered, late, duplicate, corrupt, unsolicited];
        assert!(each.iter().all(|count| *count > 0), "seed {seed}: {counts:?}");
        Ok(())
    });
}

#[test]
fn same_seed_repeats_the_impairments_at_any_speed() {
    let fates = |seed, interval| {
        let (_, log) = retry_until_conclusive(0, |_| probe(&everything(seed), COUNT, interval));
        let fates = log.requests.into_iter().map(|request| (request.forward, request.reverse));
        Vec::from_iter(fates.take(200))
    };
    let [slow, fast, other] = thread::scope(|scope| {
        let runs = [(7, INTERVAL), (7, INTERVAL / 2), (8, INTERVAL)];
        let runs = runs.map(|(seed, interval)| scope.spawn(move || fates(seed, interval)));
        runs.map(|run| run.join().expect("conclusive"))
    });
    assert!(slow == fast);
    assert!(slow != other);
}

#[test]
fn relay_without_impairments_passes_everything_once_in_order() {
    let plan = Plan::default();
    let (counts, log) = retry_until_conclusive(0, |_| probe(&plan, 100, INTERVAL));
    assert_eq!(log.requests.len(), 100);
    let names = log.requests.iter().map(|request| [b"Hello, ", &request.name[..], b"!"].concat());
    assert!(names.eq(log.replies.iter().map(|reply| reply.datagram.clone())));
    assert!(log.requests.iter().all(|request| request.forward == Fate::unimpaired()));
    assert_eq!((counts.answered, counts.reordered), (100, 0));
}
