//! When requests leave.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use hello_net::{ArrivalProcess, NotSent, WaitStrategy};
use hello_proto::Token;

use super::{Offered, Told, closed, greet, number, offer, open, ports, run_one, serve};
use crate::network::peer;

/// The threads and trains that each test of a closed loop runs with.
const SHAPES: [(u16, u16); 4] = [(1, 1), (2, 1), (1, 4), (2, 4)];

#[test]
#[cfg_attr(windows, ignore = "Wine sends no trains")]
fn closed_loop_never_exceeds_the_planned_outstanding_requests() {
    const OUTSTANDING: usize = 16;
    for (threads, train) in SHAPES {
        let mut waiting: Vec<(Vec<u8>, SocketAddr)> = Vec::new();
        let rounds = 100;
        let plan = closed(16, 16 * rounds).threads(number(threads)).train(number(train));
        let plan = plan.sources(ports(2));
        // It answers once all have arrived, and so would wait for ever if they did not.
        let Offered { all, seen, .. } = offer(plan, |asked| {
            waiting.push((super::greeting(&asked.name), asked.source));
            if waiting.len() < OUTSTANDING {
                return;
            }
            asked.socket.set_nonblocking(true).expect("possible");
            let further = asked.socket.recv_from(&mut [0; 64]);
            assert!(further.is_err(), "{threads} threads, trains of {train}");
            asked.socket.set_nonblocking(false).expect("possible");
            for (reply, source) in waiting.drain(..) {
                asked.socket.send_to(&reply, source).expect("sent");
            }
        });
        assert_eq!((seen, all.answered()), (16 * rounds, 16 * rounds));
    }
}

#[test]
#[cfg_attr(windows, ignore = "Wine sends no trains")]
fn closed_loop_replaces_each_lost_request() {
    for (threads, train) in SHAPES {
        let plan = closed(8, 40).threads(number(threads)).train(number(train));
        let plan = plan.sources(ports(2)).timeout(Duration::from_millis(5));
        let Offered { all, threads, seen, .. } = offer(plan, |_| ());
        assert_eq!((seen, all.sent(), all.lost()), (40, 40, 40));
        for heard in &threads {
            let mut outstanding = 0;
            for told in heard.told() {
                match told {
                    Told::Sent { count, .. } => outstanding += count as usize,
                    _ => outstanding -= 1,
                }
                assert!(outstanding <= 8 / threads.len(), "{heard:?}");
            }
        }
    }
}

#[test]
fn full_closed_loop_replaces_a_request_as_soon_as_it_is_lost() {
    let plan = closed(1, 20).timeout(Duration::from_millis(1));
    let Offered { all, .. } = offer(plan, |_| ());
    let sent = all.0.iter().filter(|(_, told)| matches!(told, Told::Sent { .. }));
    let sent = Vec::from_iter(sent.map(|(at, _)| *at));
    // Not after each, because another process may have the processor; but after one of twenty.
    let quickest = sent.windows(2).map(|pair| pair[1] - pair[0]).min().expect("several");
    assert!(quickest < Duration::from_millis(50), "{all:?}");
}

#[test]
fn closed_loop_continues_past_an_unanswered_request() {
    let server = peer();
    let address = server.local_addr().expect("bound");
    let generator = closed(2, 6000).connect(address).expect("a port");
    let stopper = generator.stopper();
    let heard = thread::scope(|scope| {
        scope.spawn(|| {
            serve(&server, |asked| match asked.number {
                0 => {}
                // Long before the timeout.
                5999 => stopper.abort(),
                _ => asked.greet(),
            })
        });
        let (_, heard) = run_one(generator);
        peer().send_to(&[], address).expect("sent");
        heard
    });
    assert_eq!((heard.sent(), heard.not_sent(), heard.lost()), (6000, 0, 0));
}

#[test]
#[cfg_attr(windows, ignore = "Wine sends no trains")]
fn train_is_limited_to_the_outstanding_requests() {
    let plan = closed(3, 31).train(number(8));
    let Offered { all, seen, .. } = offer(plan, greet);
    let trains = Vec::from_iter(all.told().filter_map(|told| match told {
        Told::Sent { count, .. } => Some(count),
        _ => None,
    }));
    assert_eq!(trains, [3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 1]);
    assert_eq!((seen, all.answered()), (31, 31));
}

#[test]
fn open_loop_keeps_its_schedule_without_replies() {
    for (arrivals, threads) in
        [(ArrivalProcess::Constant, 1), (ArrivalProcess::Constant, 2), (ArrivalProcess::Poisson, 2)]
    {
        let plan = open(3000, arrivals, 90).threads(number(threads)).sources(ports(2));
        let plan = plan.timeout(Duration::from_millis(20));
        let answered = offer(plan.clone(), greet).all;
        let silent = offer(plan.clone(), |_| ()).all;
        assert_eq!(answered.dues(), silent.dues());
        assert_eq!((silent.answered(), silent.lost()), (0, silent.sent()));
        let exact = (0..90).map(|k| Duration::from_nanos(k * 1_000_000_000 / 3000));
        assert_eq!(silent.dues().into_iter().eq(exact), arrivals == ArrivalProcess::Constant);
        let other = offer(plan.seed(1), |_| ()).all;
        assert_eq!(silent.dues() == other.dues(), arrivals == ArrivalProcess::Constant);
    }
}

#[test]
#[cfg_attr(windows, ignore = "Wine sends no trains")]
fn train_is_due_at_once_and_keeps_the_rate() {
    let plan = open(4000, ArrivalProcess::Constant, 18).train(number(4));
    let Offered { all, .. } = offer(plan, greet);
    let expected = (0..18).map(|request| Duration::from_millis(request / 4));
    assert!(all.dues().into_iter().eq(expected), "{all:?}");
}

#[test]
fn no_request_is_due_at_or_after_the_end_of_the_duration() {
    let duration = Duration::from_millis(40);
    for count in [None, Some(1000), Some(7)] {
        let plan = open(1000, ArrivalProcess::Constant, 0).duration(duration).count(count);
        let Offered { all, seen, .. } = offer(plan, greet);
        assert_eq!(all.sent(), seen);
        let dues = (0..count.unwrap_or(40).min(40)).map(Duration::from_millis);
        assert!(all.dues().into_iter().eq(dues), "{all:?}");
    }
}

#[test]
fn no_request_is_early_and_its_latency_covers_the_whole_exchange() {
    // Most are late by some of that.
    let idle = WaitStrategy::Sleep(Duration::from_millis(2));
    let plan = open(2000, ArrivalProcess::Constant, 100).wait_strategy(idle);
    let Offered { all, .. } = offer(plan, greet);
    let mut late = 0;
    for (at, told) in &all.0 {
        match told {
            Told::Sent { due, .. } => assert!(at >= due, "{all:?}"),
            Told::Answered { due, rtt, .. } => {
                assert!(*at - *due >= *rtt, "{all:?}");
                late += u32::from(*at - *due > *rtt);
            }
            _ => {}
        }
    }
    assert!(late > 0, "{all:?}");
}

#[test]
#[cfg_attr(windows, ignore = "Wine sends no trains")]
fn ledger_holds_every_request_in_flight_to_a_silent_server() {
    let plan = open(200_000, ArrivalProcess::Constant, u64::MAX).train(number(64));
    let (timeout, duration) = (Duration::from_millis(100), Duration::from_millis(150));
    let plan = plan.timeout(timeout).duration(duration);
    // Nobody reads what would fill any buffer.
    let server = peer();
    let generator = plan.connect(server.local_addr().expect("bound")).expect("a port");
    let (_, all) = run_one(generator);
    assert_eq!(all.sent() + all.not_sent(), 469 * 64, "30,000, up to the next whole train");
    let too_many = |told| matches!(told, Told::NotSent { reason: NotSent::TooManyInFlight, .. });
    assert_eq!(all.count(too_many), 0);
    assert!(all.sent() > 4096, "the test needs a faster machine: {}", all.sent());
}

#[test]
fn warm_up_requests_reach_the_server_but_are_not_reported() {
    let (start, warm_up) = (Instant::now(), Duration::from_millis(200));
    let (mut first, mut last) = (None, false);
    let plan = open(500, ArrivalProcess::Constant, 20).warm_up(warm_up);
    let Offered { all, seen, .. } = offer(plan, |asked| {
        let seq = Token::decode(&asked.name).expect("a token").seq;
        // Requests of the warm-up are answered long after it, and again.
        let first = first.get_or_insert_with(|| asked.name.clone());
        if asked.number > 0 {
            asked.greet();
        }
        if seq >= 105 && !std::mem::replace(&mut last, true) {
            asked.reply(&super::greeting(first));
            asked.reply(&super::greeting(first));
        }
    });
    assert!(last, "the test needs a quieter machine");
    assert!(all.dues().into_iter().eq((0..20).map(|k| Duration::from_millis(2 * k))), "{all:?}");
    let told = (all.answered(), all.not_sent() + 2 * all.sent());
    assert_eq!(told, (all.sent(), all.0.len() as u64), "{all:?}");
    assert!(seen > all.sent(), "{seen}");
    let elapsed = start.elapsed();
    assert!(all.0.iter().all(|(at, _)| *at < elapsed), "nothing was before the warm-up's end");
}

#[test]
fn closed_loop_counts_requests_due_after_the_warm_up() {
    for threads in [1, 2] {
        let plan = closed(4, 1).warm_up(Duration::from_millis(50));
        let plan = plan.threads(number(threads)).sources(ports(2));
        let Offered { all, threads, seen, .. } = offer(plan, greet);
        assert_eq!((all.sent(), all.answered(), all.0.len()), (1, 1, 2), "{all:?}");
        assert!(seen > 4 * threads.len() as u64, "{seen}");
    }
}

#[test]
fn thread_with_only_warm_up_requests_sends_them() {
    let mut sources = HashSet::new();
    let plan = closed(2, 1).warm_up(Duration::from_millis(50));
    let plan = plan.threads(number(2)).sources(ports(2));
    let Offered { all, .. } = offer(plan, |asked| {
        sources.insert(asked.source);
        asked.greet();
    });
    assert_eq!((all.sent(), sources.len()), (1, 2));
}

#[test]
fn allocating_for_many_in_flight_delays_no_request() {
    let first = || {
        let plan = open(1000, ArrivalProcess::Constant, 1);
        offer(plan.timeout(Duration::from_secs(10_000)), greet).all.sent()
    };
    // Not each time, because another process may have the processor.
    assert!((0..5).any(|_| first() == 1));
}

#[test]
fn more_requests_may_be_outstanding_than_a_socket_buffers() {
    let plan = closed(100, 1000).sources(ports(100));
    let Offered { all, seen, .. } = offer(plan, greet);
    assert_eq!((seen, all.answered()), (1000, 1000));
}
