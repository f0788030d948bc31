//! When requests are sent.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use hello_net::{ArrivalProcess, LoadGenerator, LoadPlan, NotSent, Pacing, WaitStrategy};
use hello_proto::Token;

use super::{Event, Offered, Recorded, closed, greet, number, offer, open, ports, serve};
use crate::network::peer;

/// The parameters of each closed-loop test: threads, and requests per train.
const SHAPES: [(u16, u16); 4] = [(1, 1), (2, 1), (1, 4), (2, 4)];

#[test]
fn closed_loop_never_exceeds_the_planned_outstanding_requests() {
    const OUTSTANDING: usize = 16;
    for (threads, train) in SHAPES {
        let mut waiting: Vec<(Vec<u8>, SocketAddr)> = Vec::new();
        let rounds = 100;
        let plan = LoadPlan {
            threads: number(threads),
            train: number(train),
            sources: ports(2),
            ..closed(16, 16 * rounds)
        };
        // The server answers only after all requests have arrived, and would otherwise wait
        // forever.
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
fn closed_loop_replaces_each_lost_request() {
    for (threads, train) in SHAPES {
        let plan = LoadPlan {
            timeout: Duration::from_millis(5),
            threads: number(threads),
            train: number(train),
            sources: ports(2),
            ..closed(8, 40)
        };
        let Offered { all, threads, seen, .. } = offer(plan, |_| ());
        assert_eq!((seen, all.sent(), all.lost()), (40, 40, 40));
        for recorded in &threads {
            let mut outstanding = 0;
            for event in recorded.events() {
                match event {
                    Event::Sent { count, .. } => outstanding += count as usize,
                    _ => outstanding -= 1,
                }
                assert!(outstanding <= 8 / threads.len(), "{recorded:?}");
            }
        }
    }
}

#[test]
fn full_closed_loop_replaces_a_request_as_soon_as_it_is_lost() {
    let plan = LoadPlan { timeout: Duration::from_millis(1), ..closed(1, 20) };
    let Offered { all, .. } = offer(plan, |_| ());
    let sent = all.0.iter().filter(|(_, event)| matches!(event, Event::Sent { .. }));
    let sent = Vec::from_iter(sent.map(|(at, _)| *at));
    // Not after each, because another process may use the processor; but after one of twenty.
    let quickest = sent.windows(2).map(|pair| pair[1] - pair[0]).min().expect("several");
    assert!(quickest < Duration::from_millis(50), "{all:?}");
}

#[test]
fn closed_loop_continues_past_an_unanswered_request() {
    let server = peer();
    let generator =
        LoadGenerator::new(server.local_addr().expect("bound"), closed(2, 6000)).expect("a port");
    let recorded = [Mutex::<Recorded>::default()];
    thread::scope(|scope| {
        scope.spawn(|| {
            serve(&server, |asked| match asked.number {
                0 => {}
                // Long before the timeout.
                5999 => generator.abort(),
                _ => asked.greet(),
            })
        });
        generator.run(&recorded).expect("no broken socket");
        peer().send_to(&[], generator.server()).expect("sent");
    });
    let [recorded] = recorded.map(|recorded| recorded.into_inner().expect("no panic"));
    assert_eq!((recorded.sent(), recorded.not_sent(), recorded.lost()), (6000, 0, 0));
}

#[test]
fn train_is_limited_to_the_outstanding_requests() {
    let plan = LoadPlan { train: number(8), ..closed(3, 31) };
    let Offered { all, seen, .. } = offer(plan, greet);
    let trains = Vec::from_iter(all.events().filter_map(|event| match event {
        Event::Sent { count, .. } => Some(count),
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
        let plan = LoadPlan {
            threads: number(threads),
            sources: ports(2),
            timeout: Duration::from_millis(20),
            ..open(3000, arrivals, 90)
        };
        let answered = offer(plan.clone(), greet).all;
        let silent = offer(plan.clone(), |_| ()).all;
        assert_eq!(answered.dues(), silent.dues());
        assert_eq!((silent.answered(), silent.lost()), (0, silent.sent()));
        let exact = (0..90).map(|k| Duration::from_nanos(k * 1_000_000_000 / 3000));
        assert_eq!(silent.dues().into_iter().eq(exact), arrivals == ArrivalProcess::Constant);
        let other = offer(LoadPlan { seed: 1, ..plan }, |_| ()).all;
        assert_eq!(silent.dues() == other.dues(), arrivals == ArrivalProcess::Constant);
    }
}

#[test]
fn train_is_due_at_once_and_keeps_the_rate() {
    let plan = LoadPlan { train: number(4), ..open(4000, ArrivalProcess::Constant, 18) };
    let Offered { all, .. } = offer(plan, greet);
    let expected = (0..18).map(|request| Duration::from_millis(request / 4));
    assert!(all.dues().into_iter().eq(expected), "{all:?}");
}

#[test]
fn no_request_is_due_at_or_after_the_end_of_the_duration() {
    let duration = Duration::from_millis(40);
    for count in [None, Some(1000), Some(7)] {
        let plan = LoadPlan { duration, count, ..open(1000, ArrivalProcess::Constant, 0) };
        let Offered { all, seen, .. } = offer(plan, greet);
        assert_eq!(all.sent(), seen);
        let dues = (0..count.unwrap_or(40).min(40)).map(Duration::from_millis);
        assert!(all.dues().into_iter().eq(dues), "{all:?}");
    }
}

#[test]
fn no_request_is_early_and_its_latency_covers_the_whole_exchange() {
    // Most are late by part of that.
    let idle = WaitStrategy::Sleep(Duration::from_millis(2));
    let plan = LoadPlan { idle, ..open(2000, ArrivalProcess::Constant, 100) };
    let Offered { all, .. } = offer(plan, greet);
    let mut late = 0;
    for (at, event) in &all.0 {
        match event {
            Event::Sent { due, .. } => assert!(at >= due, "{all:?}"),
            Event::Answered { due, rtt, .. } => {
                assert!(*at - *due >= *rtt, "{all:?}");
                late += u32::from(*at - *due > *rtt);
            }
            _ => {}
        }
    }
    assert!(late > 0, "{all:?}");
}

#[test]
fn ledger_holds_every_request_in_flight_to_a_silent_server() {
    let plan = LoadPlan {
        timeout: Duration::from_millis(100),
        duration: Duration::from_millis(150),
        train: number(64),
        ..open(200_000, ArrivalProcess::Constant, u64::MAX)
    };
    // Nothing reads the datagrams, which would fill any buffer.
    let server = peer();
    let generator = LoadGenerator::new(server.local_addr().expect("bound"), plan).expect("a port");
    let recorded = [Mutex::<Recorded>::default()];
    generator.run(&recorded).expect("no broken socket");
    let [all] = recorded.map(|recorded| recorded.into_inner().expect("no panic"));
    assert_eq!(all.sent() + all.not_sent(), 469 * 64, "30,000, up to the next whole train");
    let too_many = |event| matches!(event, Event::NotSent { reason: NotSent::TooManyInFlight, .. });
    assert_eq!(all.count(too_many), 0);
    assert!(all.sent() > 4096, "the test needs a faster machine: {}", all.sent());
}

#[test]
fn warm_up_requests_reach_the_server_but_are_not_reported() {
    let (start, warm_up) = (Instant::now(), Duration::from_millis(200));
    let (mut first, mut last) = (None, false);
    let plan = LoadPlan { warm_up, ..open(500, ArrivalProcess::Constant, 20) };
    let Offered { all, seen, .. } = offer(plan, |asked| {
        let seq = Token::decode(&asked.name).expect("a token").seq;
        // Requests of the warm-up are answered long after it, and twice.
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
    let counts = (all.answered(), all.not_sent() + 2 * all.sent());
    assert_eq!(counts, (all.sent(), all.0.len() as u64), "{all:?}");
    assert!(seen > all.sent(), "{seen}");
    let elapsed = start.elapsed();
    assert!(all.0.iter().all(|(at, _)| *at < elapsed), "no event before the end of the warm-up");
}

#[test]
fn closed_loop_counts_requests_due_after_the_warm_up() {
    for threads in [1, 2] {
        let plan = LoadPlan {
            warm_up: Duration::from_millis(50),
            threads: number(threads),
            sources: ports(2),
            ..closed(4, 1)
        };
        let Offered { all, threads, seen, .. } = offer(plan, greet);
        assert_eq!((all.sent(), all.answered(), all.0.len()), (1, 1, 2), "{all:?}");
        assert!(seen > 4 * threads.len() as u64, "{seen}");
    }
}

#[test]
fn thread_with_only_warm_up_requests_sends_them() {
    let mut sources = HashSet::new();
    let plan = LoadPlan {
        warm_up: Duration::from_millis(50),
        threads: number(2),
        sources: ports(2),
        ..closed(2, 1)
    };
    let Offered { all, .. } = offer(plan, |asked| {
        sources.insert(asked.source);
        asked.greet();
    });
    assert_eq!((all.sent(), sources.len()), (1, 2));
}

#[test]
fn allocating_for_many_in_flight_delays_no_request() {
    let first = || {
        let plan = LoadPlan {
            timeout: Duration::from_secs(10_000),
            ..open(1000, ArrivalProcess::Constant, 1)
        };
        offer(plan, greet).all.sent()
    };
    // Not each time, because another process may use the processor.
    assert!((0..5).any(|_| first() == 1));
}

#[test]
fn more_requests_may_be_outstanding_than_a_socket_buffers() {
    let outstanding = NonZeroU32::new(100).expect("not zero");
    let offered = Pacing::Closed { outstanding };
    let plan = LoadPlan { offer: offered, sources: ports(100), ..closed(1, 1000) };
    let Offered { all, seen, .. } = offer(plan, greet);
    assert_eq!((seen, all.answered()), (1000, 1000));
}
