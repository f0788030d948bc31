use std::cell::RefCell;
use std::net::Ipv4Addr;
use std::num::NonZeroU32;

use hello_proto::{Rate, Refusal};

use super::*;
use crate::server::event::Outcome;
use crate::server::rate_limit::RateLimit;
use crate::sys::errno;
use crate::sys::transmit::LocalAddr;
use crate::udp::mock::{MockMessage, MockSocket, datagram, train};
use crate::udp::recv_backoff::RECV_BACKOFF;
use crate::udp::socket_error::SocketError;

type Receive = io::Result<Vec<MockMessage>>;
type Seen = Vec<(Vec<u8>, SocketAddr, Outcome)>;

fn worker(receives: impl IntoIterator<Item = Receive>) -> (ServerWorker, MockSocket) {
    let script = MockSocket::default();
    script.state().receives = receives.into_iter().collect();
    let listener = Listener::of(([192, 0, 2, 1], 9999).into(), script.clone());
    (ServerWorker::new(Arc::new(listener), Duration::ZERO, None, EventFilter::All), script)
}

/// Runs to the end of the script, and returns what was observed.
fn run(worker: &ServerWorker, script: &MockSocket, guard: &Guard) -> io::Result<Seen> {
    let seen = RefCell::new(Vec::new());
    worker.run(guard, &script.stop, |event| {
        seen.borrow_mut().push((event.name.to_vec(), event.local, event.outcome));
    })?;
    Ok(seen.into_inner())
}

fn client(port: u16) -> SocketAddr {
    ([198, 51, 100, 7], port).into()
}

fn errno(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

fn alone(name: &[u8]) -> Receive {
    Ok(vec![datagram(name, client(40_001))])
}

#[test]
fn every_datagram_has_one_outcome_however_it_comes() {
    let guard = Guard::new().with_max_name_len(32);
    let expected: [(&[u8], u16, Outcome); 7] = [
        (b"Michael", 40_001, Outcome::Answered),
        (b"", 40_002, Outcome::Answered),
        (b"port 0", 0, Outcome::Refused(Refusal::SourcePortZero)),
        (&[b'x'; 33], 40_003, Outcome::Refused(Refusal::NameTooLong)),
        (b"Hello, Hello, World!!", 40_004, Outcome::Refused(Refusal::GreetedTwice)),
        (b"no way", 40_005, Outcome::SendFailed(SocketError::of(&errno(errno::ENETUNREACH)))),
        (b"Sarah", 40_006, Outcome::Answered),
    ];
    let messages = expected.map(|(name, port, _)| datagram(name, client(port)));
    let batches = [vec![Ok(messages.to_vec())], messages.map(|message| Ok(vec![message])).into()];
    for batches in batches {
        let (worker, script) = worker(batches);
        script.state().take = Some(Box::new(|to, _| match to.port() {
            40_005 => Err(errno(errno::ENETUNREACH)),
            _ => Ok(()),
        }));
        let seen = run(&worker, &script, &guard).expect("no error of our reply_from");

        let local = worker.local();
        let all = expected.map(|(name, _, outcome)| (name.to_vec(), local, outcome));
        assert_eq!(seen, all);
        let sent = [
            (client(40_001), vec![b"Hello, Michael!".to_vec()]),
            (client(40_002), vec![b"Hello, !".to_vec()]),
            (client(40_006), vec![b"Hello, Sarah!".to_vec()]),
        ];
        assert_eq!(script.state().sent, sent);
        let counters = worker.counters();
        assert_eq!((counters.received(), counters.answered()), (7, 3));
        assert_eq!((counters.refused_total(), counters.send_failed_total()), (3, 1));
    }
}

#[test]
fn filter_decides_what_is_shown_and_nothing_about_what_is_counted() {
    let messages = [b"Tracy", b"Sarah", b"Peter"].map(|name| datagram(name, client(40_001)));
    let failed = Outcome::SendFailed(SocketError::of(&errno(errno::ENETUNREACH)));
    for (filter, shown) in [
        (EventFilter::All, &[Outcome::Answered, failed, Outcome::Answered][..]),
        (EventFilter::SendFailures, &[failed]),
        (EventFilter::Nothing, &[]),
    ] {
        let (worker, script) = worker([Ok(messages.to_vec())]);
        let worker = ServerWorker { filter, ..worker };
        script.state().take = Some(Box::new(|_, replies| {
            let is_poisoned = replies.contains(&b"Hello, Sarah!".to_vec());
            if is_poisoned { Err(errno(errno::ENETUNREACH)) } else { Ok(()) }
        }));
        let seen = run(&worker, &script, &Guard::new()).expect("no error of our reply_from");
        let outcomes = Vec::from_iter(seen.iter().map(|(.., outcome)| *outcome));
        assert_eq!(outcomes, shown, "{filter:?}");
        let counters = worker.counters();
        assert_eq!((counters.received(), counters.answered()), (3, 2));
        assert_eq!(counters.send_failed(ErrorClass::Unreachable), 1);
    }
}

#[test]
fn each_datagram_of_a_train_is_classified_by_itself() {
    let names: [&[u8]; 4] =
        [b"Michael, Jackson", b"Hello, Hello, M!", b"Hello, Michael!!", b"Tracy"];
    let (worker, script) = worker([Ok(vec![train(&names, client(40_001))])]);
    let seen = run(&worker, &script, &Guard::new()).expect("no error of our reply_from");
    let refused = Outcome::Refused(Refusal::GreetedTwice);
    let outcomes = [Outcome::Answered, refused, Outcome::Answered, Outcome::Answered];
    let expected =
        names.iter().zip(outcomes).map(|(name, outcome)| (name.to_vec(), worker.local(), outcome));
    assert_eq!(seen, Vec::from_iter(expected));
    let replies = [&b"Hello, Michael, Jackson!"[..], b"Hello, Hello, Michael!!!", b"Hello, Tracy!"];
    assert_eq!(script.state().sent, [(client(40_001), replies.map(<[u8]>::to_vec).into())]);
    assert_eq!((worker.counters().received(), worker.counters().answered()), (4, 3));
}

#[test]
fn trains_of_tiny_datagrams_are_answered_in_portions() {
    let all = vec![b"x"; 65_535];
    let (worker, script) = worker([Ok(vec![train(&all, client(40_001)); 2])]);
    let seen = run(&worker, &script, &Guard::new()).expect("no error of our reply_from");
    assert_eq!(seen.len(), 2 * all.len());
    assert_eq!(worker.counters().received(), 2 * all.len() as u64);
    assert_eq!(worker.counters().answered(), 2 * all.len() as u64);
    let sent = script.state().sent.iter().map(|(_, replies)| replies.len()).sum::<usize>();
    assert_eq!(sent, 2 * all.len());
    assert_eq!(script.state().send_calls, 2);
}

#[test]
fn broadcast_and_multicast_destinations_are_refused_and_shown() {
    let asked = |address: [u8; 4], reply_from: [u8; 4]| {
        let (mut meta, bytes) = datagram(b"Tracy", client(40_001));
        let reply_from = LocalAddr { address: reply_from.into(), interface: 0 };
        meta.destination = Some(Destination { address: address.into(), reply_from });
        (meta, bytes)
    };
    let here = [192, 0, 2, 1];
    let messages = [
        asked(here, here),
        asked([192, 0, 2, 255], here),
        asked([255; 4], here),
        asked([224, 0, 0, 1], here),
    ];
    let (worker, script) = worker([Ok(messages.to_vec())]);
    let seen = run(&worker, &script, &Guard::new()).expect("no error of our reply_from");
    let [broadcast, multicast] = [Refusal::DestinationBroadcast, Refusal::DestinationMulticast];
    let expected = [
        (here, Outcome::Answered),
        ([192, 0, 2, 255], Outcome::Refused(broadcast)),
        ([255; 4], Outcome::Refused(broadcast)),
        ([224, 0, 0, 1], Outcome::Refused(multicast)),
    ]
    .map(|(address, outcome)| (b"Tracy".to_vec(), (Ipv4Addr::from(address), 9999).into(), outcome));
    assert_eq!(seen, expected);
    assert_eq!(script.state().sent.len(), 1);
}

#[test]
fn receive_errors_are_counted_and_followed_by_a_pause() {
    let (worker, script) = worker([
        Err(errno(errno::ENETDOWN)),
        Err(errno(errno::ENOMEM)),
        alone(b"Michael"),
        Err(errno(errno::EPERM)),
        Err(errno(errno::EAGAIN)),
        Err(errno(errno::EPERM)),
        alone(b"Tracy"),
    ]);
    run(&worker, &script, &Guard::new()).expect("no error of our reply_from");
    let counters = worker.counters();
    assert_eq!((counters.received(), counters.answered()), (2, 2));
    assert_eq!(counters.receive_errors(ErrorClass::Unreachable), 1);
    assert_eq!(counters.receive_errors(ErrorClass::NoBuffers), 1);
    assert_eq!(counters.receive_errors(ErrorClass::Denied), 2);
    assert_eq!(counters.receive_errors(ErrorClass::WouldBlock), 0, "idle is no error");
    // Twice as long after the second in a row; a datagram or an idle wait resets it.
    assert_eq!(script.state().pauses, [1, 2, 1, 1].map(Duration::from_millis));
}

#[test]
fn socket_that_only_fails_is_given_up() {
    let (worker, script) = worker((0..99).map(|_| Err(errno(errno::EBADF))));
    let error = run(&worker, &script, &Guard::new()).expect_err("a broken socket");
    assert_eq!(error.raw_os_error(), Some(errno::EBADF));
    assert_eq!(worker.counters().receive_errors(ErrorClass::Other), 13);
    let waited: Duration = script.state().pauses.iter().sum();
    assert_eq!(waited, RECV_BACKOFF.delays().sum());
}

#[test]
fn errors_that_may_pass_are_endured_for_any_time() {
    for code in [errno::ENOMEM, errno::ENOBUFS, errno::ENETDOWN, errno::EPERM, errno::ECONNREFUSED]
    {
        let errors = (0..999).map(|_| Err(errno(code)));
        let (worker, script) = worker(errors.chain([alone(b"Tracy")]));
        run(&worker, &script, &Guard::new()).expect("no error of our reply_from");
        let counters = worker.counters();
        let class = ErrorClass::of(&errno(code));
        assert_eq!((counters.receive_errors(class), counters.answered()), (999, 1));
        let pauses = &script.state().pauses;
        let waited: Duration = pauses.iter().sum();
        let growing: Duration = RECV_BACKOFF.delays().sum();
        let rest = u32::try_from(999 - RECV_BACKOFF.delays().len()).expect("fewer than a thousand");
        assert_eq!(waited, growing + rest * RECV_BACKOFF.max());
        // It checks for a stop meanwhile.
        assert!(pauses.iter().all(|pause| *pause <= LIVENESS_PERIOD));
    }
}

#[test]
fn signals_and_instant_idle_waits_neither_end_the_server_nor_make_it_spin() {
    for (code, counted) in [(errno::EINTR, 999), (errno::EAGAIN, 0)] {
        let errors = (0..999).map(|_| Err(errno(code)));
        let (worker, script) = worker(errors.chain([alone(b"Tracy")]));
        run(&worker, &script, &Guard::new()).expect("no error of our reply_from");
        let counters = worker.counters();
        let interruptions = counters.receive_errors(ErrorClass::Interrupted);
        assert_eq!((interruptions, counters.answered()), (counted, 1));
        // All but the first few, unless this machine was suspended between two of them.
        let pauses = script.state().pauses.len();
        assert!((900..999).contains(&pauses), "{pauses}");
    }
}

#[test]
fn only_a_spinning_worker_polls_before_it_waits() {
    for (spin, waits) in [(0, &[true, true][..]), (60, &[false, false, true])] {
        let (mut worker, script) = worker([alone(b"Tracy")]);
        worker.spin = Duration::from_secs(spin);
        run(&worker, &script, &Guard::new()).expect("no error of our reply_from");
        assert_eq!(worker.counters().answered(), 1);
        // The last call drains the socket at the end.
        assert_eq!(script.state().waits, [waits, &[false]].concat());
    }
}

fn limited(worker: ServerWorker, burst: u32, dry_run: bool) -> ServerWorker {
    let rate = NonZeroU32::MIN;
    let limit = Rate::new(rate, NonZeroU32::new(burst).expect("not zero")).expect("a low rate");
    let exempt = "203.0.113.0/24".parse().expect("a network");
    let limit = RateLimit::new(limit).exempt([exempt]).dry_run(dry_run);
    ServerWorker { limiter: Some(Arc::new(SharedLimiter::new(limit))), ..worker }
}

#[test]
fn shared_datagram_is_counted_by_one_socket_of_a_group() {
    let shared = |address: [u8; 4]| {
        let (mut meta, bytes) = datagram(b"Tracy", client(40_001));
        let reply_from = LocalAddr { address: [192, 0, 2, 1].into(), interface: 0 };
        meta.destination = Some(Destination { address: address.into(), reply_from });
        (meta, bytes)
    };
    let messages = vec![shared([192, 0, 2, 1]), shared([192, 0, 2, 255]), shared([224, 0, 0, 1])];
    for (takes_shared, received) in [(true, 3), (false, 1)] {
        let script = MockSocket::default();
        script.state().receives.push_back(Ok(messages.clone()));
        let mut listener = Listener::of(([0, 0, 0, 0], 9999).into(), script.clone());
        if !takes_shared {
            listener = listener.without_shared();
        }
        let worker = ServerWorker::new(Arc::new(listener), Duration::ZERO, None, EventFilter::All);
        // With the rules off, each copy would be answered.
        let guard =
            Guard::new().allow(Refusal::DestinationBroadcast).allow(Refusal::DestinationMulticast);
        let seen = run(&worker, &script, &guard).expect("no error of our reply_from");
        let counters = worker.counters();
        assert_eq!((counters.received(), counters.answered()), (received, received));
        assert_eq!(seen.len() as u64, received);
    }
}

#[test]
fn a_message_whose_control_information_is_cut_off_is_an_error_and_no_datagram() {
    let (mut meta, bytes) = datagram(b"TracySarah", client(40_001));
    meta.is_discarded = true;
    let messages = vec![(meta, bytes), datagram(b"Michael", client(40_002))];
    let (worker, script) = worker([Ok(messages)]);
    let seen = run(&worker, &script, &Guard::new()).expect("no error of our reply_from");
    assert_eq!(seen, [(b"Michael".to_vec(), worker.local(), Outcome::Answered)]);
    let counters = worker.counters();
    assert_eq!((counters.received(), counters.answered()), (1, 1));
    assert_eq!(counters.receive_errors(ErrorClass::TooLong), 1);
}

#[test]
fn an_idle_worker_waits_for_a_datagram_or_a_stop_and_a_busy_one_only_receives() {
    let nothing = || Err(ErrorKind::WouldBlock.into());
    let (worker, script) =
        worker([alone(b"Michael"), alone(b"Tracy"), nothing(), alone(b"Sarah"), alone(b"Al")]);
    run(&worker, &script, &Guard::new()).expect("no error of our reply_from");
    assert_eq!((worker.counters().answered(), script.state().idle_waits), (4, 1));
}

#[test]
fn source_over_the_limit_is_refused_except_for_leaks_and_costs_no_other_source() {
    const REQUESTS: usize = 1001;
    let exempt = SocketAddr::from(([203, 0, 113, 7], 40_001));
    let mut messages = vec![datagram(b"no port", client(0)); 9];
    messages.push(train(&[b"Tracy"; REQUESTS], client(40_001)));
    messages.extend(vec![datagram(b"Sarah", exempt); 9]);
    messages.push(datagram(b"Peter", ([198, 51, 100, 8], 40_002).into()));
    messages.push(datagram(b"James", ([198, 51, 101, 7], 40_001).into()));
    for dry_run in [false, true] {
        let (worker, script) = worker([Ok(messages.clone())]);
        let worker = limited(worker, 2, dry_run);
        let seen = run(&worker, &script, &Guard::new()).expect("no error of our reply_from");
        let outcomes = |name: &[u8]| {
            let seen = seen.iter().filter(|(seen, ..)| seen == name);
            Vec::from_iter(seen.map(|(.., outcome)| *outcome))
        };
        let train = outcomes(b"Tracy");
        // Refused datagrams took nothing from the burst.
        assert_eq!(train[..2], [Outcome::Answered; 2]);
        let refused = train.iter().filter(|outcome| **outcome == Outcome::OverLimit).count();
        match dry_run {
            true => assert_eq!(refused, 0),
            false => assert!((600..900).contains(&refused), "{refused}: about three in four"),
        }
        assert_eq!(outcomes(b"Sarah"), [Outcome::Answered; 9]);
        assert_eq!(outcomes(b"James"), [Outcome::Answered], "another network");
        let counters = worker.counters();
        // The same network exceeds the limit, too.
        let over = (REQUESTS - 2 + outcomes(b"Peter").len()) as u64;
        assert_eq!(counters.over_limit() + counters.over_limit_answered(), over);
        let names = seen.iter().map(|(name, ..)| name.clone());
        let sent = messages.iter().flat_map(|(meta, bytes)| bytes.chunks(meta.segment));
        assert!(names.eq(sent), "in the order in which they came");
        assert_eq!(counters.refused_total(), counters.over_limit() + 9);
        assert_eq!(counters.received(), counters.answered() + counters.refused_total());
    }
}

#[test]
fn stopped_worker_answers_what_waits_and_then_ends() {
    let (worker, script) = worker([]);
    let more = script.clone();
    let batches = RefCell::new(vec![vec![b"Sarah"], vec![b"Peter", b"James"]]);
    script.state().receives.push_back(alone(b"Tracy"));
    let seen = RefCell::new(Vec::new());
    let observe = |event: &ServerEvent<'_>| {
        seen.borrow_mut().push(event.name.to_vec());
        more.stop.stop();
        let received = batches.borrow_mut().pop().unwrap_or_default();
        for name in received {
            more.state().receives.push_back(alone(name));
        }
    };
    worker.run(&Guard::new(), &script.stop, observe).expect("no error of our reply_from");
    assert_eq!(seen.into_inner(), [b"Tracy", b"Peter", b"James", b"Sarah"]);
    assert_eq!(worker.counters().answered(), 4);
    assert_eq!(script.state().waits, [true, false, false, false, false]);
}

#[test]
fn worker_that_is_stopped_before_it_runs_answers_what_waits() {
    let (worker, script) = worker([alone(b"Tracy"), alone(b"Sarah")]);
    script.stop.stop();
    assert_eq!(run(&worker, &script, &Guard::new()).expect("no error of our reply_from").len(), 2);
    assert_eq!(script.state().waits, [false; 3]);
}

#[test]
fn progress_is_kept_until_it_is_cleared() {
    let (worker, script) = worker([alone(b"Tracy")]);
    assert!(!worker.made_progress(), "it does not run yet");
    run(&worker, &script, &Guard::new()).expect("no error of our reply_from");
    assert!(worker.made_progress());
    worker.clear_progress();
    assert!(!worker.made_progress());
}
