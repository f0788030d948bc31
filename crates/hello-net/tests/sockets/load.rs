//! The load generator against servers with a script.

mod contact;
mod ends;
mod hold_ups;
mod plans;
mod replies;
mod schedules;
mod sources;

use std::collections::HashSet;
use std::net::{SocketAddr, UdpSocket};
use std::num::{NonZeroU16, NonZeroU32, NonZeroU64};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use hello_measure::{CauseKind, ReplyKind};
use hello_net::{
    ArrivalProcess, ErrorClass, GeneratorUsage, LoadBuilder, LoadError, LoadEvent, LoadEventKind,
    LoadGenerator, NotSent, Pacing, Sources, WaitStrategy,
};
use hello_proto::Token;

use crate::network::{peer, receive};
use crate::server::BACK_ENDS;

/// Returns a closed loop of a number of requests, with a timeout that no test comes near.
fn closed(outstanding: u32, count: u64) -> LoadBuilder {
    let outstanding = NonZeroU32::new(outstanding).expect("not zero");
    LoadGenerator::builder()
        .pacing(Pacing::Closed { outstanding })
        .duration(Duration::from_secs(3600))
        .count(count)
        .timeout(Duration::from_secs(20))
}

/// Returns the same as an open loop, at a rate per second.
fn open(rate: u64, arrivals: ArrivalProcess, count: u64) -> LoadBuilder {
    let rate = NonZeroU64::new(rate).expect("not zero");
    closed(1, count).pacing(Pacing::Open { rate, arrivals })
}

fn ports(number: u32) -> Sources {
    Sources::Ports(NonZeroU32::new(number).expect("not zero"))
}

fn addresses(number: u32) -> Sources {
    Sources::Addresses(NonZeroU32::new(number).expect("not zero"))
}

fn number(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).expect("not zero")
}

fn greeting(name: &[u8]) -> Vec<u8> {
    [b"Hello, ", name, b"!"].concat()
}

/// A request as a server sees it.
struct Asked<'a> {
    /// Counted from 0.
    number: u64,
    name: Vec<u8>,
    source: SocketAddr,
    socket: &'a UdpSocket,
}

impl Asked<'_> {
    fn reply(&self, datagram: &[u8]) {
        self.socket.send_to(datagram, self.source).expect("sent");
    }

    fn greet(&self) {
        self.reply(&greeting(&self.name));
    }
}

fn greet(asked: &Asked<'_>) {
    asked.greet();
}

/// An event of a load.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Told {
    Sent { due: Duration, count: u32 },
    NotSent { due: Duration, count: u32, reason: NotSent },
    Answered { due: Duration, rtt: Duration, reordered: bool },
    Lost { due: Duration },
    Other(ReplyKind),
    Misdirected,
    Reported(ErrorClass),
    NetworkError(CauseKind),
}

/// The events of one thread, in order, and their times.
#[derive(Debug, Default)]
struct Heard(Vec<(Duration, Told)>);

impl Heard {
    fn add(&mut self, event: &LoadEvent<'_>) {
        let told = match event.kind {
            LoadEventKind::Sent { due, count } => Told::Sent { due, count },
            LoadEventKind::NotSent { due, count, reason } => Told::NotSent { due, count, reason },
            LoadEventKind::Answered { due, rtt, reordered } => {
                Told::Answered { due, rtt, reordered }
            }
            LoadEventKind::Lost { due, .. } => Told::Lost { due },
            LoadEventKind::Other { reply, .. } => Told::Other(reply),
            LoadEventKind::Misdirected => Told::Misdirected,
            LoadEventKind::SocketError(error) | LoadEventKind::SendBufferFull(error) => {
                Told::Reported(error.class)
            }
            LoadEventKind::NetworkError { cause, attribution } => {
                assert!(attribution.seq().is_some(), "{cause:?}");
                Told::NetworkError(cause.kind)
            }
            other => panic!("{other:?}"),
        };
        self.0.push((event.at, told));
    }
}

impl Heard {
    fn told(&self) -> impl Iterator<Item = Told> {
        self.0.iter().map(|(_, told)| *told)
    }

    /// Yields the kinds of the datagrams that are not answers.
    fn others(&self) -> impl Iterator<Item = ReplyKind> {
        self.told().filter_map(|told| match told {
            Told::Other(reply) => Some(reply),
            _ => None,
        })
    }

    /// Counts the events for which `is`.
    fn count(&self, is: impl Fn(Told) -> bool) -> u64 {
        self.told().filter(|told| is(*told)).count() as u64
    }

    fn sent(&self) -> u64 {
        let count = |told| if let Told::Sent { count, .. } = told { count.into() } else { 0 };
        self.told().map(count).sum()
    }

    fn not_sent(&self) -> u64 {
        let count = |told| if let Told::NotSent { count, .. } = told { count.into() } else { 0 };
        self.told().map(count).sum()
    }

    fn answered(&self) -> u64 {
        self.count(|told| matches!(told, Told::Answered { .. }))
    }

    fn lost(&self) -> u64 {
        self.count(|told| matches!(told, Told::Lost { .. }))
    }

    fn late(&self) -> u64 {
        self.count(|told| matches!(told, Told::Other(ReplyKind::Late { .. })))
    }

    /// Returns when each request was due, sent or not, in order.
    fn dues(&self) -> Vec<Duration> {
        let dues = self.told().filter_map(|told| match told {
            Told::Sent { due, count } | Told::NotSent { due, count, .. } => {
                Some(std::iter::repeat_n(due, count as usize))
            }
            _ => None,
        });
        let mut dues = Vec::from_iter(dues.flatten());
        dues.sort_unstable();
        dues
    }
}

/// Runs a generator with an observer for each thread, and returns the observers.
fn run<O: Default + Send>(
    generator: LoadGenerator,
    observe: impl Fn(&mut O, &LoadEvent<'_>) + Sync,
) -> (Result<GeneratorUsage, LoadError>, Vec<O>) {
    let threads = 0..generator.plan().threads.get();
    let observers = Vec::from_iter(threads.map(|_| Mutex::<O>::default()));
    let usage = generator.run(|events| {
        let thread = events.first().expect("no slice is empty").thread;
        assert!(events.iter().all(|event| event.thread == thread));
        let mut observer = observers[thread].lock().expect("no panic");
        events.iter().for_each(|event| observe(&mut observer, event));
    });
    let observers = observers.into_iter().map(|one| one.into_inner().expect("no panic"));
    (usage, observers.collect())
}

/// Runs a generator of one thread, and returns its events.
fn run_one(generator: LoadGenerator) -> (GeneratorUsage, Heard) {
    let (usage, heard) = run(generator, Heard::add);
    let [heard] = heard.try_into().expect("one thread");
    (usage.expect("no broken socket"), heard)
}

/// The result of a load.
#[derive(Debug)]
struct Offered {
    usage: GeneratorUsage,
    /// The events of each thread.
    threads: Vec<Heard>,
    /// The events of all threads.
    all: Heard,
    /// The number of requests that the server saw.
    seen: u64,
}

/// Shows each request to `answer` until an empty one arrives, and returns how many there were
/// before it.
fn serve(socket: &UdpSocket, mut answer: impl FnMut(&Asked<'_>)) -> u64 {
    for number in 0.. {
        let (name, source) = receive(socket);
        if name.is_empty() {
            return number;
        }
        answer(&Asked { number, name, source, socket });
    }
    u64::MAX
}

/// Offers a load to a server that shows each request to `answer`.
fn offer(plan: LoadBuilder, answer: impl FnMut(&Asked<'_>) + Send) -> Offered {
    offer_to(&peer(), plan, answer)
}

fn offer_to(
    server: &UdpSocket,
    plan: LoadBuilder,
    answer: impl FnMut(&Asked<'_>) + Send,
) -> Offered {
    let address = server.local_addr().expect("bound");
    let generator = plan.connect(address).expect("ports");
    let ((usage, threads), seen) = thread::scope(|scope| {
        let serving = scope.spawn(|| serve(server, answer));
        let run = run(generator, Heard::add);
        // What was sent is in the server's buffer, and so before this.
        peer().send_to(&[], address).expect("sent");
        (run, serving.join().expect("no panic"))
    });
    let all = Heard(threads.iter().flat_map(|heard| heard.0.iter().copied()).collect());
    Offered { usage: usage.expect("no broken socket"), threads, all, seen }
}

#[test]
fn each_request_is_sent_answered_and_reported_once() {
    let mut names = HashSet::new();
    let plan = closed(7, 500).name_len(8..=12);
    let Offered { all, seen, .. } = offer(plan, |asked| {
        names.insert(asked.name.clone());
        asked.greet();
    });
    assert_eq!((seen, all.sent(), all.answered(), all.0.len()), (500, 500, 500, 1000));
    let seqs = names.iter().map(|name| Token::decode(name).expect("all of it is a token").seq);
    assert_eq!(HashSet::<u32>::from_iter(seqs), HashSet::from_iter(1..=500));
    let lens = HashSet::<usize>::from_iter(names.iter().map(Vec::len));
    assert_eq!(lens, HashSet::from_iter(8..=12));
}

#[test]
#[cfg_attr(windows, ignore = "Wine sends no trains")]
fn threads_and_trains_together_send_exactly_the_count() {
    for (threads, train, count) in [(2, 1, 101), (2, 8, 501), (3, 5, 7), (3, 1, 2)] {
        let (sources, threads, train) = (ports(5), number(threads), number(train));
        for plan in [closed(32, count), open(5000, ArrivalProcess::Poisson, count)] {
            let plan = plan.sources(sources).threads(threads).train(train);
            let Offered { all, threads, seen, .. } = offer(plan, greet);
            assert_eq!((all.sent() + all.not_sent(), all.answered()), (count, seen), "{all:?}");
            assert_eq!(all.sent(), seen);
            let parts = threads.iter().map(|heard| heard.sent() + heard.not_sent());
            let (least, most) = parts.fold((u64::MAX, 0), |(a, b), c| (a.min(c), b.max(c)));
            assert!(most - least <= 1, "{least} {most}");
        }
    }
}

#[test]
fn answered_and_lost_requests_match_the_servers_record() {
    let mut greeted = 0;
    let plan = closed(20, 200).timeout(Duration::from_millis(100));
    let Offered { all, seen, .. } = offer(plan, |asked| {
        if asked.number % 3 > 0 {
            asked.greet();
            greeted += 1;
        }
    });
    assert_eq!((seen, all.sent()), (200, 200));
    // On a busy machine, a reply is late now and then.
    assert_eq!(all.answered() + all.late(), greeted);
    assert_eq!(all.answered() + all.lost(), 200);
}

#[test]
fn only_the_same_seed_reproduces_the_name_lengths() {
    let lens = |seed| {
        let mut lens = Vec::new();
        let plan = closed(1, 40).seed(seed).name_len(8..=100);
        offer(plan, |asked| {
            lens.push(asked.name.len());
            asked.greet();
        });
        lens
    };
    let first = lens(3);
    assert_eq!(first, lens(3));
    assert_ne!(first, lens(4));
}

#[test]
fn every_wait_strategy_sends_and_receives_everything() {
    for &backend in BACK_ENDS {
        for idle in [
            WaitStrategy::Wait,
            WaitStrategy::Spin,
            WaitStrategy::Sleep(Duration::from_micros(200)),
        ] {
            for sources in [ports(1), ports(3)] {
                for plan in [closed(5, 40), open(2000, ArrivalProcess::Constant, 40)] {
                    let plan = plan.backend(backend).wait_strategy(idle).sources(sources);
                    let Offered { all, seen, .. } = offer(plan, greet);
                    assert_eq!(all.sent() + all.not_sent(), 40, "{backend:?} {idle:?}");
                    assert_eq!((all.sent(), all.answered()), (seen, seen), "{backend:?} {idle:?}");
                }
            }
        }
    }
}
