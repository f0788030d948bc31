//! How a load ends, and what it used.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use hello_net::{
    ArrivalProcess, ErrorClass, GeneratorUsage, LoadEvent, LoadGenerator, LoadPlan, NotSent,
    Observer, WaitStrategy,
};

use super::{Event, Offered, Recorded, closed, greet, greeting, number, offer, open, ports};
use crate::network::{peer, receive};

fn generator(server: SocketAddr, plan: LoadPlan) -> LoadGenerator {
    LoadGenerator::new(server, plan).expect("a port")
}

/// Runs a generator with one thread.
fn run(generator: &LoadGenerator) -> (GeneratorUsage, Recorded) {
    let recorded = [Mutex::<Recorded>::default()];
    let usage = generator.run(&recorded).expect("no broken socket");
    let [recorded] = recorded.map(|recorded| recorded.into_inner().expect("no panic"));
    (usage, recorded)
}

/// A plan without an end, and with a timeout too long to wait for.
fn endless(plan: LoadPlan) -> LoadPlan {
    LoadPlan { count: None, timeout: Duration::from_secs(3600), ..plan }
}

#[test]
fn absent_server_is_distinguished_from_a_silent_one() {
    for plan in [closed(3, 9), open(1000, ArrivalProcess::Constant, 9)] {
        let closed_port = peer().local_addr().expect("bound");
        let plan = LoadPlan { timeout: Duration::from_millis(30), ..plan };
        let (_, recorded) = run(&generator(closed_port, plan));
        assert_eq!((recorded.sent() + recorded.not_sent(), recorded.lost()), (9, recorded.sent()));
        let refused = Event::Reported(ErrorClass::ConnectionRefused);
        assert!(recorded.count(|event| event == refused) > 0, "{recorded:?}");
        // An error reported for one request does not keep another from being sent.
        let others = recorded.count(|event| match event {
            Event::Reported(class) => class != ErrorClass::ConnectionRefused,
            Event::NotSent { reason, .. } => reason != NotSent::Late,
            _ => false,
        });
        assert_eq!(others, 0, "{recorded:?}");
    }
}

#[test]
fn stopped_generator_does_not_wait_for_a_silent_server() {
    let trains = LoadPlan { train: number(64), ..open(1, ArrivalProcess::Constant, 1) };
    for (plan, sent, events) in [
        (endless(closed(3, 0)), 3, 3),
        // The next request is due in a minute.
        (LoadPlan { count: Some(64), ..endless(trains.clone()) }, 64, 1),
        (endless(trains), 64, 1),
    ] {
        let server = peer();
        let generator = generator(server.local_addr().expect("bound"), plan);
        let recorded = thread::scope(|scope| {
            let running = scope.spawn(|| run(&generator));
            receive(&server);
            generator.stop();
            running.join().expect("no panic").1
        });
        assert_eq!((recorded.sent(), recorded.0.len()), (sent, events));
    }
}

#[test]
fn stopped_generator_drains_for_three_times_the_slowest_reply() {
    let server = peer();
    let generator = generator(server.local_addr().expect("bound"), endless(closed(2, 0)));
    let (_, recorded) = thread::scope(|scope| {
        scope.spawn(|| {
            let [first, second] = [receive(&server), receive(&server)];
            thread::sleep(Duration::from_secs(1));
            server.send_to(&greeting(&first.0), first.1).expect("sent");
            let third = receive(&server);
            generator.stop();
            // By then the generator has seen the stop.
            thread::sleep(Duration::from_millis(300));
            for (name, source) in [second, third] {
                server.send_to(&greeting(&name), source).expect("sent");
            }
        });
        run(&generator)
    });
    assert_eq!((recorded.sent(), recorded.answered(), recorded.lost()), (3, 3, 0), "{recorded:?}");
}

#[test]
fn abort_does_not_wait_for_replies() {
    let server = peer();
    let generator = generator(server.local_addr().expect("bound"), endless(closed(2, 0)));
    let (_, recorded) = thread::scope(|scope| {
        scope.spawn(|| {
            let [first, second] = [receive(&server), receive(&server)];
            thread::sleep(Duration::from_millis(500));
            server.send_to(&greeting(&first.0), first.1).expect("sent");
            let third = receive(&server);
            generator.abort();
            // A generator that was only stopped would drain for longer than that.
            thread::sleep(Duration::from_secs(1));
            for (name, source) in [second, third] {
                server.send_to(&greeting(&name), source).expect("sent");
            }
        });
        run(&generator)
    });
    assert_eq!((recorded.sent(), recorded.answered(), recorded.lost()), (3, 1, 0), "{recorded:?}");
}

#[test]
fn generator_stopped_before_the_run_sends_nothing() {
    let server = peer();
    let generator = generator(server.local_addr().expect("bound"), endless(closed(2, 0)));
    generator.stop();
    let (_, recorded) = run(&generator);
    assert_eq!(recorded.0, []);
}

#[test]
fn generator_runs_once() {
    let server = peer();
    let plan = LoadPlan { timeout: Duration::from_millis(1), ..closed(3, 3) };
    let generator = generator(server.local_addr().expect("bound"), plan);
    assert_eq!(run(&generator).1.sent(), 3);
    let (usage, recorded) = run(&generator);
    assert_eq!((usage, recorded.0), (GeneratorUsage::default(), vec![]));
}

#[test]
#[should_panic(expected = "each thread has its observer")]
fn missing_observer_for_a_thread_panics() {
    let plan = LoadPlan { threads: number(2), sources: ports(2), ..closed(2, 2) };
    run(&generator(peer().local_addr().expect("bound"), plan));
}

struct Panics(bool);

impl Observer for Panics {
    fn observe(&mut self, _: &LoadEvent<'_>) {
        assert!(!self.0, "the observer's own");
    }
}

#[test]
fn panicking_observer_ends_all_threads() {
    let server = peer();
    let plan = LoadPlan { threads: number(2), sources: ports(2), ..endless(closed(2, 0)) };
    let generator = generator(server.local_addr().expect("bound"), plan);
    let observers = [true, false].map(|panics| Mutex::new(Panics(panics)));
    let panic = catch_unwind(AssertUnwindSafe(|| generator.run(&observers)));
    assert_eq!(panic.expect_err("it continues").downcast_ref(), Some(&"the observer's own"));
}

#[test]
fn run_lasts_its_whole_duration_and_reports_the_busy_share() {
    let duration = Duration::from_millis(60);
    // At one request per second, the last is due at the start.
    let slow = open(1, ArrivalProcess::Constant, u64::MAX);
    for plan in [closed(2, u64::MAX), open(1000, ArrivalProcess::Poisson, u64::MAX), slow] {
        for idle in [WaitStrategy::Wait, WaitStrategy::Spin] {
            for threads in [1, 2] {
                let plan = LoadPlan {
                    idle,
                    duration,
                    threads: number(threads),
                    sources: ports(2),
                    ..plan.clone()
                };
                let start = Instant::now();
                let Offered { usage, .. } = offer(plan, greet);
                assert!(start.elapsed() >= duration);
                assert_eq!(usage.measured, duration, "{usage:?}");
                assert!(usage.processor_time > Duration::ZERO);
                assert!(usage.busy < duration, "{usage:?}");
            }
        }
    }
}

#[test]
fn run_with_a_count_ends_when_the_next_request_would_be_due() {
    for threads in [1, 3] {
        for (count, millis) in [(1, 10), (3, 30), (5, 50)] {
            let plan = open(100, ArrivalProcess::Constant, count);
            let plan = LoadPlan { threads: number(threads), sources: ports(3), ..plan };
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
        offer(LoadPlan { idle, duration, ..plan }, greet).usage
    };
    let [spins, waits] = [usage(WaitStrategy::Spin), usage(WaitStrategy::Wait)];
    assert!(spins.processor_time > waits.processor_time, "{spins:?} {waits:?}");
    assert!(spins.busy < duration / 2 && waits.busy < duration / 2, "{spins:?} {waits:?}");
}

#[test]
fn warm_up_is_excluded_from_generator_usage() {
    let plan = LoadPlan {
        warm_up: Duration::from_millis(100),
        duration: Duration::from_millis(50),
        ..closed(1, u64::MAX)
    };
    let Offered { usage, .. } = offer(plan, greet);
    assert_eq!(usage.measured, Duration::from_millis(50));
    assert!(usage.busy <= usage.measured);
}

#[test]
fn unreachable_rate_ends_on_time_and_is_fully_busy() {
    let duration = Duration::from_millis(100);
    for arrivals in [ArrivalProcess::Constant, ArrivalProcess::Poisson] {
        for train in [1, 64] {
            let plan = LoadPlan {
                duration,
                train: number(train),
                timeout: Duration::from_millis(20),
                ..open(LoadPlan::MAX_RATE, arrivals, u64::MAX)
            };
            let server = peer();
            let (usage, recorded) = run(&generator(server.local_addr().expect("bound"), plan));
            assert_eq!(usage.measured, duration);
            assert!(usage.busy > duration / 2, "{usage:?}");
            let due = recorded.sent() + recorded.not_sent();
            assert!(due.abs_diff(LoadPlan::MAX_RATE / 10) < 1_000_000, "{due}");
            // Not only at the beginning.
            let last = recorded.events().filter_map(|event| match event {
                Event::Sent { due, .. } => Some(due),
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
        // In an endless warm-up, a rate without a limit floods the server.
        let rate = if warm_up == max { 1 } else { LoadPlan::MAX_RATE };
        for plan in [closed(1, 1), open(rate, ArrivalProcess::Constant, 1)] {
            let server = peer();
            server.set_read_timeout(Some(Duration::from_millis(50))).expect("not zero");
            let plan = LoadPlan { duration, warm_up, timeout, ..plan };
            let generator = generator(server.local_addr().expect("bound"), plan);
            thread::scope(|scope| {
                scope.spawn(|| {
                    // A thread that stalls for as long as the warm-up lasts has sent nothing.
                    let _ = server.recv_from(&mut [0; 64]);
                    generator.abort();
                });
                run(&generator);
            });
        }
    }
}

/// Floods a generator's socket before it receives anything.
#[cfg(target_os = "linux")]
struct Floods<'a> {
    server: &'a std::net::UdpSocket,
    received: u64,
}

#[cfg(target_os = "linux")]
impl Floods<'_> {
    const MANY: u64 = 20_000;
}

#[cfg(target_os = "linux")]
impl Observer for Floods<'_> {
    fn observe(&mut self, event: &LoadEvent<'_>) {
        match event.kind {
            hello_net::LoadEventKind::Sent { .. } => {
                let (_, source) = receive(self.server);
                for _ in 0..Self::MANY {
                    self.server.send_to(b"Hello, again!", source).expect("sent");
                }
            }
            hello_net::LoadEventKind::Other { .. } => self.received += 1,
            _ => {}
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn receive_buffer_drops_are_reported() {
    let server = peer();
    let plan = LoadPlan { timeout: Duration::from_millis(20), ..closed(1, 1) };
    let generator = generator(server.local_addr().expect("bound"), plan);
    let floods = [Mutex::new(Floods { server: &server, received: 0 })];
    let usage = generator.run(&floods).expect("no broken socket");
    let [floods] = floods.map(|floods| floods.into_inner().expect("no panic"));
    let dropped = usage.dropped.expect("the system reports it");
    assert!(dropped > 0, "the test needs a smaller buffer");
    assert_eq!(floods.received + dropped, Floods::MANY);
}
