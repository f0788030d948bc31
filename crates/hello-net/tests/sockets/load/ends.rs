//! How a load ends, and the usage that it reports.

use std::collections::HashSet;
use std::net::UdpSocket;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::{Duration, Instant};

use hello_measure::CauseKind;
use hello_net::{
    ArrivalProcess, ErrorClass, LoadBuilder, LoadEventKind, LoadGenerator, LoadPlan, NotSent,
    WaitStrategy,
};
use socket2::SockRef;

use super::{
    Heard, Offered, Told, closed, greet, greeting, number, offer, open, ports, run, run_one,
};
use crate::network::{peer, receive};
use crate::server::BACK_ENDS;

fn connect(server: &UdpSocket, plan: LoadBuilder) -> LoadGenerator {
    plan.connect(server.local_addr().expect("bound")).expect("a port")
}

/// Returns a plan without an end or a timeout.
fn endless(plan: LoadBuilder) -> LoadBuilder {
    plan.count(None).timeout(Duration::from_secs(3600))
}

#[test]
fn absent_server_is_distinguished_from_a_silent_one() {
    for &backend in BACK_ENDS {
        for plan in [closed(3, 9), open(1000, ArrivalProcess::Constant, 9)] {
            let nobody = peer().local_addr().expect("bound");
            let plan = plan.backend(backend).timeout(Duration::from_millis(30));
            let (_, heard) = run_one(plan.connect(nobody).expect("a port"));
            assert_eq!((heard.sent() + heard.not_sent(), heard.lost()), (9, heard.sent()));
            let refused = heard.count(|told| told == Told::NetworkError(CauseKind::Refused));
            if cfg!(target_os = "linux") {
                // The errors about the last one may arrive after its loss.
                assert!(refused >= heard.sent() - 1, "{heard:?}");
            }
            // A report about one request keeps no other from being sent.
            let others = heard.count(|told| match told {
                Told::Reported(class) => class != ErrorClass::ConnectionRefused,
                Told::NotSent { reason, .. } => reason != NotSent::Late,
                _ => false,
            });
            assert_eq!(others, 0, "{heard:?}");
        }
    }
}

#[test]
#[cfg_attr(windows, ignore = "Wine sends no trains")]
fn stopped_generator_waits_until_each_request_is_lost() {
    let trains = open(1, ArrivalProcess::Constant, 1).train(number(64));
    for (plan, sent) in [
        (endless(closed(3, 0)), 3),
        // The next is due in a minute.
        (endless(trains.clone()).count(64), 64),
        (endless(trains), 64),
    ] {
        let server = peer();
        let generator = connect(&server, plan.timeout(Duration::from_millis(300)));
        let heard = stopped_at_the_first_request(&server, generator);
        assert_eq!((heard.sent(), heard.lost()), (sent, sent), "{heard:?}");
    }
}

#[test]
fn generator_stopped_in_its_warm_up_waits_for_replies_and_reports_nothing() {
    let timeout = Duration::from_millis(300);
    let plan = endless(closed(3, 0)).warm_up(Duration::from_secs(3600)).timeout(timeout);
    let server = peer();
    let generator = connect(&server, plan);
    let start = Instant::now();
    let heard = stopped_at_the_first_request(&server, generator);
    assert_eq!(heard.0, []);
    assert!(start.elapsed() >= timeout, "{:?}", start.elapsed());
}

fn stopped_at_the_first_request(server: &UdpSocket, generator: LoadGenerator) -> Heard {
    let stopper = generator.stopper();
    thread::scope(|scope| {
        let running = scope.spawn(|| run_one(generator));
        receive(server);
        stopper.stop();
        running.join().expect("no panic").1
    })
}

#[test]
fn stopped_generator_takes_replies_that_are_slower_than_all_before() {
    let server = peer();
    let generator = connect(&server, endless(closed(2, 0)));
    let stopper = generator.stopper();
    let (_, heard) = thread::scope(|scope| {
        scope.spawn(|| {
            let [first, second] = [receive(&server), receive(&server)];
            server.send_to(&greeting(&first.0), first.1).expect("sent");
            let third = receive(&server);
            stopper.stop();
            // Many times the only round-trip time so far.
            thread::sleep(Duration::from_millis(300));
            for (name, source) in [second, third] {
                server.send_to(&greeting(&name), source).expect("sent");
            }
        });
        run_one(generator)
    });
    assert_eq!((heard.sent(), heard.answered(), heard.lost()), (3, 3, 0), "{heard:?}");
}

#[test]
fn abort_does_not_wait_for_replies() {
    let server = peer();
    let generator = connect(&server, endless(closed(2, 0)));
    let stopper = generator.stopper();
    let (_, heard) = thread::scope(|scope| {
        scope.spawn(|| {
            let [first, second] = [receive(&server), receive(&server)];
            thread::sleep(Duration::from_millis(500));
            server.send_to(&greeting(&first.0), first.1).expect("sent");
            let third = receive(&server);
            stopper.abort();
            // A stop instead of an abort would wait for longer than that.
            thread::sleep(Duration::from_secs(1));
            for (name, source) in [second, third] {
                server.send_to(&greeting(&name), source).expect("sent");
            }
        });
        run_one(generator)
    });
    assert_eq!((heard.sent(), heard.answered(), heard.lost()), (3, 1, 0), "{heard:?}");
}

#[test]
fn generator_stopped_before_the_run_sends_nothing() {
    let server = peer();
    let generator = connect(&server, endless(closed(2, 0)));
    let stopper = generator.stopper();
    stopper.stop();
    let (_, heard) = run_one(generator);
    assert_eq!(heard.0, []);
}

#[test]
fn panicking_observer_ends_all_threads() {
    let server = peer();
    let plan = endless(closed(2, 0)).threads(number(2)).sources(ports(2));
    let generator = connect(&server, plan);
    let panic = catch_unwind(AssertUnwindSafe(|| {
        generator.run(|events| assert_ne!(events[0].thread, 0, "the observer's own"))
    }));
    let panic = panic.expect_err("it goes on");
    let message = panic.downcast_ref::<String>().expect("a message");
    assert!(message.contains("the observer's own"), "{message}");
}

#[test]
fn each_source_has_a_socket_for_further_options() {
    let server = peer();
    for (sources, sockets) in [(ports(5), 5), (super::addresses(5), 2)] {
        let plan = closed(2, 1).threads(number(2)).sources(sources);
        let generator = connect(&server, plan);
        let ports = generator.sockets().map(|socket| {
            let local = SockRef::from(&socket).local_addr().expect("bound").as_socket();
            local.expect("an address").port()
        });
        assert_eq!(HashSet::<u16>::from_iter(ports).len(), sockets);
    }
}

#[test]
fn run_lasts_its_whole_duration_and_reports_the_busy_share() {
    let duration = Duration::from_millis(60);
    // At one per second, the last is due at the start.
    let slow = open(1, ArrivalProcess::Constant, u64::MAX);
    for plan in [closed(2, u64::MAX), open(1000, ArrivalProcess::Poisson, u64::MAX), slow] {
        for idle in [WaitStrategy::Wait, WaitStrategy::Spin] {
            for threads in [1, 2] {
                let plan = plan.clone().wait_strategy(idle).duration(duration);
                let plan = plan.threads(number(threads)).sources(ports(2));
                let start = Instant::now();
                let Offered { usage, .. } = offer(plan, greet);
                assert!(start.elapsed() >= duration);
                assert_eq!(usage.measured, duration, "{usage:?}");
                // Windows counts it in ticks of its clock.
                assert!(usage.processor_time > Duration::ZERO || cfg!(windows));
                // Under Wine, each reply is there when the thread looks for it.
                assert!(usage.busy < duration || cfg!(windows), "{usage:?}");
            }
        }
    }
}

#[test]
fn run_with_a_count_ends_when_the_next_request_would_be_due() {
    for threads in [1, 3] {
        for (count, millis) in [(1, 10), (3, 30), (5, 50)] {
            let plan = open(100, ArrivalProcess::Constant, count);
            let plan = plan.threads(number(threads)).sources(ports(3));
            let Offered { usage, .. } = offer(plan, greet);
            assert_eq!(usage.measured, Duration::from_millis(millis), "{threads} {count}");
        }
    }
}

#[test]
fn fruitless_busy_waiting_uses_cpu_but_is_not_busy() {
    let duration = Duration::from_millis(200);
    let usage = |idle| {
        let plan = open(1, ArrivalProcess::Constant, u64::MAX);
        offer(plan.wait_strategy(idle).duration(duration), greet).usage
    };
    let [spins, waits] = [usage(WaitStrategy::Spin), usage(WaitStrategy::Wait)];
    assert!(spins.processor_time > waits.processor_time, "{spins:?} {waits:?}");
    assert!(spins.busy < duration / 2 && waits.busy < duration / 2, "{spins:?} {waits:?}");
}

#[test]
fn warm_up_is_excluded_from_generator_usage() {
    let (warm_up, duration) = (Duration::from_millis(100), Duration::from_millis(50));
    let plan = closed(1, u64::MAX).warm_up(warm_up).duration(duration);
    let Offered { usage, .. } = offer(plan, greet);
    assert_eq!(usage.measured, Duration::from_millis(50));
    assert!(usage.busy <= usage.measured);
}

#[test]
#[cfg_attr(windows, ignore = "Wine sends no trains")]
fn unreachable_rate_ends_on_time_and_is_fully_busy() {
    let duration = Duration::from_millis(100);
    for arrivals in [ArrivalProcess::Constant, ArrivalProcess::Poisson] {
        for train in [1, 64] {
            let plan = open(LoadPlan::MAX_RATE, arrivals, u64::MAX).train(number(train));
            let plan = plan.duration(duration).timeout(Duration::from_millis(20));
            let (usage, heard) = run_one(connect(&peer(), plan));
            assert_eq!(usage.measured, duration);
            assert!(usage.busy > duration / 2, "{usage:?}");
            let due = heard.sent() + heard.not_sent();
            assert!(due.abs_diff(LoadPlan::MAX_RATE / 10) < 1_000_000, "{due}");
            // Not only in the beginning.
            let last = heard.told().filter_map(|told| match told {
                Told::Sent { due, .. } => Some(due),
                _ => None,
            });
            assert!(last.max() > Some(duration / 2));
        }
    }
}

#[test]
fn longest_durations_are_accepted_in_a_plan() {
    let (max, milli) = (Duration::MAX, Duration::from_millis(1));
    let times = [(max, milli, milli), (milli, max, milli), (milli, milli, max), (max, max, max)];
    for (duration, warm_up, timeout) in times {
        // In an endless warm-up, an unlimited rate floods the server.
        let rate = if warm_up == max { 1 } else { LoadPlan::MAX_RATE };
        for plan in [closed(1, 1), open(rate, ArrivalProcess::Constant, 1)] {
            let server = peer();
            server.set_read_timeout(Some(Duration::from_millis(50))).expect("not zero");
            let plan = plan.duration(duration).warm_up(warm_up).timeout(timeout);
            let generator = connect(&server, plan);
            let stopper = generator.stopper();
            thread::scope(|scope| {
                scope.spawn(|| {
                    // A thread that was held up for longer than the run has sent nothing.
                    let _ = server.recv_from(&mut [0; 64]);
                    stopper.abort();
                });
                run_one(generator);
            });
        }
    }
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "only Linux reports drops")]
fn receive_buffer_drops_are_reported() {
    const MANY: u64 = 20_000;
    let server = peer();
    let generator = connect(&server, closed(1, 1).timeout(Duration::from_millis(20)));
    let (usage, received) = run(generator, |received: &mut u64, event| match event.kind {
        // Its socket is flooded before it receives anything.
        LoadEventKind::Sent { .. } => {
            let (_, source) = receive(&server);
            for _ in 0..MANY {
                server.send_to(b"Hello, again!", source).expect("sent");
            }
        }
        LoadEventKind::Other { .. } => *received += 1,
        _ => {}
    });
    let dropped = usage.expect("no broken socket").dropped.expect("the system says it");
    assert!(dropped > 0, "the test needs a smaller buffer");
    assert_eq!(received[0] + dropped, MANY);
}
