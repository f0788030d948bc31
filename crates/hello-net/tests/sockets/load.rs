//! The load generator against scripted servers.

mod ends;
mod plans;
mod replies;
mod schedules;
mod sources;
mod stalls;

use std::collections::HashSet;
use std::net::{SocketAddr, UdpSocket};
use std::num::{NonZeroU16, NonZeroU32, NonZeroU64};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use hello_measure::ReplyKind;
use hello_net::{
    ArrivalProcess, ErrorClass, GeneratorUsage, LoadEvent, LoadEventKind, LoadGenerator, LoadPlan,
    NotSent, Observer, Pacing, Sources, WaitStrategy,
};
use hello_proto::Token;

use crate::network::{peer, receive};

/// A plan for a test: `count` requests in a closed loop, with a timeout far above any reply time.
fn closed(outstanding: u32, count: u64) -> LoadPlan {
    let outstanding = NonZeroU32::new(outstanding).expect("not zero");
    LoadPlan {
        offer: Pacing::Closed { outstanding },
        duration: Duration::from_secs(3600),
        count: Some(count),
        timeout: Duration::from_secs(20),
        ..LoadPlan::default()
    }
}

/// The same in an open loop, at this rate.
fn open(rate: u64, arrivals: ArrivalProcess, count: u64) -> LoadPlan {
    let rate = NonZeroU64::new(rate).expect("not zero");
    LoadPlan { offer: Pacing::Open { rate, arrivals }, ..closed(1, count) }
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
struct ReceivedRequest<'a> {
    /// Counted from 0.
    number: u64,
    name: Vec<u8>,
    source: SocketAddr,
    socket: &'a UdpSocket,
}

impl ReceivedRequest<'_> {
    fn reply(&self, datagram: &[u8]) {
        self.socket.send_to(datagram, self.source).expect("sent");
    }

    fn greet(&self) {
        self.reply(&greeting(&self.name));
    }
}

fn greet(asked: &ReceivedRequest<'_>) {
    asked.greet();
}

/// An event of a load.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Event {
    Sent { due: Duration, count: u32 },
    NotSent { due: Duration, count: u32, reason: NotSent },
    Answered { due: Duration, rtt: Duration, reordered: bool },
    Lost { due: Duration },
    Other(ReplyKind),
    Misdirected,
    Reported(ErrorClass),
}

/// The events of one thread, in order, and their times.
#[derive(Debug, Default)]
struct Recorded(Vec<(Duration, Event)>);

impl Observer for Recorded {
    fn observe(&mut self, event: &LoadEvent<'_>) {
        let kind = match event.kind {
            LoadEventKind::Sent { due, count } => Event::Sent { due, count },
            LoadEventKind::NotSent { due, count, reason } => Event::NotSent { due, count, reason },
            LoadEventKind::Answered { due, rtt, reordered } => {
                Event::Answered { due, rtt, reordered }
            }
            LoadEventKind::Lost { due } => Event::Lost { due },
            LoadEventKind::Other { arrival, .. } => Event::Other(arrival),
            LoadEventKind::Misdirected => Event::Misdirected,
            LoadEventKind::SocketError(class) | LoadEventKind::SendBufferFull(class) => {
                Event::Reported(class)
            }
        };
        self.0.push((event.at, kind));
    }
}

impl Recorded {
    fn events(&self) -> impl Iterator<Item = Event> {
        self.0.iter().map(|(_, event)| *event)
    }

    /// Counts the matching events.
    fn count(&self, is: impl Fn(Event) -> bool) -> u64 {
        self.events().filter(|event| is(*event)).count() as u64
    }

    fn sent(&self) -> u64 {
        let count = |event| if let Event::Sent { count, .. } = event { count.into() } else { 0 };
        self.events().map(count).sum()
    }

    fn not_sent(&self) -> u64 {
        let count = |event| if let Event::NotSent { count, .. } = event { count.into() } else { 0 };
        self.events().map(count).sum()
    }

    fn answered(&self) -> u64 {
        self.count(|event| matches!(event, Event::Answered { .. }))
    }

    fn lost(&self) -> u64 {
        self.count(|event| matches!(event, Event::Lost { .. }))
    }

    fn late(&self) -> u64 {
        self.count(|event| matches!(event, Event::Other(ReplyKind::Late { .. })))
    }

    /// Returns the due times of all requests, sent or not, in order.
    fn dues(&self) -> Vec<Duration> {
        let dues = self.events().filter_map(|event| match event {
            Event::Sent { due, count } | Event::NotSent { due, count, .. } => {
                Some(std::iter::repeat_n(due, count as usize))
            }
            _ => None,
        });
        let mut dues = Vec::from_iter(dues.flatten());
        dues.sort_unstable();
        dues
    }
}

/// The result of a load.
#[derive(Debug)]
struct Offered {
    usage: GeneratorUsage,
    /// The events of each thread.
    threads: Vec<Recorded>,
    /// The events of all threads.
    all: Recorded,
    /// The number of requests that the server received.
    seen: u64,
}

/// Serves each request with a function until an empty one arrives, and returns the number of
/// requests before it.
fn serve(socket: &UdpSocket, mut answer: impl FnMut(&ReceivedRequest<'_>)) -> u64 {
    for number in 0.. {
        let (name, source) = receive(socket);
        if name.is_empty() {
            return number;
        }
        answer(&ReceivedRequest { number, name, source, socket });
    }
    u64::MAX
}

/// Runs a load against a server that handles each request with a function.
fn offer(plan: LoadPlan, answer: impl FnMut(&ReceivedRequest<'_>) + Send) -> Offered {
    offer_to(&peer(), plan, answer)
}

fn offer_to(
    server: &UdpSocket,
    plan: LoadPlan,
    answer: impl FnMut(&ReceivedRequest<'_>) + Send,
) -> Offered {
    let observers = Vec::from_iter((0..plan.threads.get()).map(|_| Mutex::<Recorded>::default()));
    let generator = LoadGenerator::new(server.local_addr().expect("bound"), plan).expect("ports");
    let (usage, seen) = thread::scope(|scope| {
        let serving = scope.spawn(|| serve(server, answer));
        let usage = generator.run(&observers);
        // Everything sent is in the server's buffer, and therefore before the empty request.
        peer().send_to(&[], generator.server()).expect("sent");
        (usage, serving.join().expect("no panic"))
    });
    let recorded = observers.into_iter().map(|recorded| recorded.into_inner().expect("no panic"));
    let threads = Vec::from_iter(recorded);
    let all = Recorded(threads.iter().flat_map(|recorded| recorded.0.iter().copied()).collect());
    Offered { usage: usage.expect("no broken socket"), threads, all, seen }
}

#[test]
fn each_request_is_sent_answered_and_reported_once() {
    let mut names = HashSet::new();
    let plan = LoadPlan { name_len: 8..=12, ..closed(7, 500) };
    let Offered { all, seen, .. } = offer(plan, |asked| {
        names.insert(asked.name.clone());
        asked.greet();
    });
    assert_eq!((seen, all.sent(), all.answered(), all.0.len()), (500, 500, 500, 1000));
    let seqs = names.iter().map(|name| Token::decode(name).expect("all of it is a token").seq);
    assert_eq!(HashSet::<u32>::from_iter(seqs), HashSet::from_iter(0..500));
    let lens = HashSet::<usize>::from_iter(names.iter().map(Vec::len));
    assert_eq!(lens, HashSet::from_iter(8..=12));
}

#[test]
fn threads_and_trains_together_send_exactly_the_count() {
    for (threads, train, count) in [(2, 1, 101), (2, 8, 501), (3, 5, 7), (3, 1, 2)] {
        let (sources, threads, train) = (ports(5), number(threads), number(train));
        for plan in [closed(32, count), open(5000, ArrivalProcess::Poisson, count)] {
            let plan = LoadPlan { sources, threads, train, ..plan };
            let Offered { all, threads, seen, .. } = offer(plan, greet);
            assert_eq!((all.sent() + all.not_sent(), all.answered()), (count, seen), "{all:?}");
            assert_eq!(all.sent(), seen);
            let parts = threads.iter().map(|recorded| recorded.sent() + recorded.not_sent());
            let (least, most) = parts.fold((u64::MAX, 0), |(a, b), c| (a.min(c), b.max(c)));
            assert!(most - least <= 1, "{least} {most}");
        }
    }
}

#[test]
fn answered_and_lost_requests_match_the_servers_record() {
    let mut greeted = 0;
    let plan = LoadPlan { timeout: Duration::from_millis(100), ..closed(20, 200) };
    let Offered { all, seen, .. } = offer(plan, |asked| {
        if asked.number % 3 > 0 {
            asked.greet();
            greeted += 1;
        }
    });
    assert_eq!((seen, all.sent()), (200, 200));
    // On a busy machine, a request is late now and then.
    assert_eq!(all.answered() + all.late(), greeted);
    assert_eq!(all.answered() + all.lost(), 200);
}

#[test]
fn only_the_same_seed_reproduces_the_name_lengths() {
    let lens = |seed| {
        let mut lens = Vec::new();
        let plan = LoadPlan { seed, name_len: 8..=100, ..closed(1, 40) };
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
    for idle in
        [WaitStrategy::Wait, WaitStrategy::Spin, WaitStrategy::Sleep(Duration::from_micros(200))]
    {
        for sources in [ports(1), ports(3)] {
            for plan in [closed(5, 40), open(2000, ArrivalProcess::Constant, 40)] {
                let plan = LoadPlan { idle, sources, ..plan };
                let Offered { all, seen, .. } = offer(plan, greet);
                assert_eq!(all.sent() + all.not_sent(), 40, "{idle:?}");
                assert_eq!((all.sent(), all.answered()), (seen, seen), "{idle:?}");
            }
        }
    }
}
