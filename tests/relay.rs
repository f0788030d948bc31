//! A relay between a client and a server. It impairs their datagrams like a network, according to a
//! plan, and records what it did.

mod log;
mod plan;
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use hello_proto::{Request, Token};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use self::plan::{Damage, Direction, Pass};
pub(crate) use self::{
    log::{Answer, Inconclusive, Log, Received, Sent, Truth, retry_until_conclusive},
    plan::{Bursts, Fate, Impairments, Plan},
};

/// A relay with an address that any number of clients use as the server's.
pub(crate) struct Relay {
    address: SocketAddr,
    thread: Thread<Log>,
}

impl Relay {
    /// Starts to relay to a server.
    pub(crate) fn start(server: SocketAddr, plan: &Plan) -> Self {
        let front = socket();
        let address = front.local_addr().expect("bound");
        let passage = RelayThread {
            front,
            server,
            forward: Direction::forward(plan),
            reverse: Direction::reverse(plan),
            flows: Vec::new(),
            exchanges: HashMap::new(),
            in_burst: Vec::new(),
            held: Vec::new(),
            waiting: BTreeMap::new(),
            ordinal: 0,
            passed: [0; 2],
            empty: Instant::now(),
            log: Log::default(),
        };
        Self { address, thread: Thread::start(|stop| passage.run(stop)) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops the relay and returns its log, which includes everything sent to it before.
    pub(crate) fn finish(self) -> Log {
        self.thread.finish()
    }
}

/// A minimal server, independent of ours.
pub(crate) struct Greeter {
    address: SocketAddr,
    thread: Thread<()>,
}

impl Greeter {
    pub(crate) fn start() -> Self {
        let socket = socket();
        let address = socket.local_addr().expect("bound");
        let thread = Thread::start(move |stop| {
            let mut buf = [0; 65_536];
            while !stop.load(Relaxed) {
                while let Some((len, client)) = receive(&socket, &mut buf) {
                    let reply = [b"Hello, ", &buf[..len], b"!"].concat();
                    socket.send_to(&reply, client).expect("sent");
                }
                wait(&[&socket], HEARTBEAT);
            }
        });
        Self { address, thread }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn finish(self) {
        self.thread.finish();
    }
}

/// A thread that ends on request or when it is dropped.
struct Thread<T> {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<T>>,
}

impl<T: Send + 'static> Thread<T> {
    fn start(run: impl FnOnce(&AtomicBool) -> T + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        Self { stop, thread: Some(thread::spawn(move || run(&seen))) }
    }

    fn finish(mut self) -> T {
        self.stop.store(true, Relaxed);
        let thread = self.thread.take().expect("finished once");
        thread.join().expect("no panic")
    }
}

impl<T> Drop for Thread<T> {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
    }
}

/// The state of a relay's thread.
struct RelayThread {
    front: UdpSocket,
    server: SocketAddr,
    forward: Direction,
    reverse: Direction,
    /// The clients, each with its own socket to the server.
    flows: Vec<(SocketAddr, UdpSocket)>,
    /// Maps the name of a forwarded request and its flow to the request's index.
    exchanges: HashMap<(usize, Vec<u8>), usize>,
    /// Whether the first reply to each request is part of a burst.
    in_burst: Vec<bool>,
    /// Datagrams held until a number of others have passed.
    held: Vec<(usize, Departure)>,
    /// Delayed datagrams, in order of their times.
    waiting: BTreeMap<(Instant, u64), Departure>,
    /// Counts what was put into `waiting`.
    ordinal: u64,
    /// The datagrams forwarded to each side, without those held back.
    passed: [usize; 2],
    /// When the front socket was last seen empty.
    empty: Instant,
    log: Log,
}

struct Departure {
    flow: usize,
    to: Side,
    delay: Duration,
    datagram: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Server,
    Client,
}

impl RelayThread {
    fn run(mut self, stop: &AtomicBool) -> Log {
        loop {
            // Read first, so that everything sent before the stop is still received.
            let stopping = stop.load(Relaxed);
            self.receive_requests();
            self.receive_replies();
            self.send_due();
            if stopping {
                self.log.ended = Some(Instant::now());
                return self.log;
            }
            let next = self.waiting.keys().next();
            let next = next.map(|(due, _)| due.saturating_duration_since(Instant::now()));
            let upstream = self.flows.iter().map(|(_, upstream)| upstream);
            let sockets: Vec<_> = upstream.chain([&self.front]).collect();
            wait(&sockets, next.map_or(HEARTBEAT, |next| next.min(HEARTBEAT)));
        }
    }

    fn receive_requests(&mut self) {
        let mut buf = [0; 65_536];
        loop {
            let now = Instant::now();
            let Some((len, client)) = receive(&self.front, &mut buf) else {
                self.log.longest_pause = self.log.longest_pause.max(now - self.empty);
                self.empty = now;
                return;
            };
            self.pass_request(&buf[..len], client);
        }
    }

    fn pass_request(&mut self, name: &[u8], client: SocketAddr) {
        let nth = self.log.requests.len();
        let in_burst = self.forward.next_in_burst();
        let fate = self.forward.fate(nth, 0, in_burst);
        self.in_burst.push(self.reverse.next_in_burst());
        let flow = self.flow(client);
        let forwarded = damaged(name, fate.damage);
        self.exchanges.insert((flow, forwarded.clone()), nth);
        self.depart(flow, Side::Server, &fate.passes, &forwarded);
        self.log.requests.push(Received {
            client,
            name: name.to_vec(),
            earliest: self.empty,
            latest: Instant::now(),
            forward: fate,
            reverse: Vec::new(),
        });
    }

    fn flow(&mut self, client: SocketAddr) -> usize {
        self.flows.iter().position(|(known, _)| *known == client).unwrap_or_else(|| {
            self.flows.push((client, socket()));
            self.flows.len() - 1
        })
    }

    fn receive_replies(&mut self) {
        let mut buf = [0; 65_536];
        for flow in 0..self.flows.len() {
            while let Some((len, _)) = receive(&self.flows[flow].1, &mut buf) {
                self.pass_reply(flow, &buf[..len]);
            }
        }
    }

    fn pass_reply(&mut self, flow: usize, datagram: &[u8]) {
        let name = datagram.strip_prefix(b"Hello, ").and_then(|rest| rest.strip_suffix(b"!"));
        let name = name.expect("the server sends only replies").to_vec();
        if name.len() < Token::MIN_LEN {
            // A truncated name looks like others, and has no fate of its own.
            return self.depart(flow, Side::Client, &Fate::unimpaired().passes, datagram);
        }
        let nth = self.exchanges[&(flow, name)];
        let request = &mut self.log.requests[nth];
        let fate = self.reverse.fate(nth, request.reverse.len() as u64, self.in_burst[nth]);
        let strange = fate.unsolicited.map(|which| unsolicited(&request.name, which));
        request.reverse.push(fate.clone());
        if let Some(strange) = strange {
            let pass = Pass { behind: 0, delay: Duration::ZERO };
            self.depart(flow, Side::Client, &[pass], &strange);
        }
        self.depart(flow, Side::Client, &fate.passes, &damaged(datagram, fate.damage));
    }

    /// Forwards a datagram, after those that it lets pass.
    fn depart(&mut self, flow: usize, to: Side, passes: &[Pass], datagram: &[u8]) {
        for Pass { behind, delay } in passes {
            let departure = Departure { flow, to, delay: *delay, datagram: datagram.to_vec() };
            if *behind > 0 {
                self.held.push((self.passed[to as usize] + behind, departure));
            } else {
                self.passed[to as usize] += 1;
                self.enqueue(departure);
            }
        }
        let passed = self.passed;
        let over = |(until, held): &mut (usize, Departure)| passed[held.to as usize] >= *until;
        for (_, departure) in self.held.extract_if(.., over).collect::<Vec<_>>() {
            self.enqueue(departure);
        }
    }

    fn enqueue(&mut self, departure: Departure) {
        self.ordinal += 1;
        self.waiting.insert((Instant::now() + departure.delay, self.ordinal), departure);
    }

    fn send_due(&mut self) {
        while let Some(entry) = self.waiting.first_entry() {
            let earliest = Instant::now();
            if entry.key().0 > earliest {
                return;
            }
            let Departure { flow, to, datagram, .. } = entry.remove();
            let (client, upstream) = &self.flows[flow];
            match to {
                Side::Server => upstream.send_to(&datagram, self.server).map(drop),
                Side::Client => self.front.send_to(&datagram, *client).map(drop),
            }
            .expect("sent");
            if to == Side::Client {
                let (client, latest) = (*client, Instant::now());
                self.log.replies.push(Sent { client, datagram, earliest, latest });
            }
        }
    }
}

/// The longest wait of a thread before it checks for a stop, and of a relay before it knows that
/// nothing arrived.
const HEARTBEAT: Duration = Duration::from_millis(10);

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    socket.set_nonblocking(true).expect("every socket supports it");
    socket
}

fn receive(socket: &UdpSocket, buf: &mut [u8]) -> Option<(usize, SocketAddr)> {
    match socket.recv_from(buf) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => None,
        received => Some(received.expect("received")),
    }
}

fn wait(sockets: &[&UdpSocket], time: Duration) {
    let mut fds: Vec<_> =
        sockets.iter().map(|socket| PollFd::new(*socket, PollFlags::IN)).collect();
    let time = Timespec::try_from(time).expect("short");
    // An interrupted wait is a short wait.
    let _ = poll(&mut fds, Some(&time));
}

fn damaged(datagram: &[u8], damage: Option<Damage>) -> Vec<u8> {
    let fresh_path = |number: u64| usize::try_from(number % datagram.len() as u64).expect("a path");
    let mut damaged = datagram.to_vec();
    match damage {
        Some(Damage::Corrupted(at, flip)) => {
            let [flip, ..] = (1 + flip % 255).to_le_bytes();
            damaged[fresh_path(at)] ^= flip;
        }
        Some(Damage::Truncated(len)) => damaged.truncate(fresh_path(len)),
        None => (),
    }
    damaged
}

/// A reply to another run, to a request not sent yet, or to a person.
fn unsolicited(name: &[u8], which: u64) -> Vec<u8> {
    let Token { run_id, seq } = Token::decode(name).expect("only tokens are sent");
    let token = match which % 3 {
        0 => Token { run_id: !run_id, seq },
        1 => Token { run_id, seq: seq ^ 1 << 31 },
        _ => return b"Hello, Tracy!".to_vec(),
    };
    let mut name = name.to_vec();
    token.encode(&mut name).expect("as long as another");
    Request::new(&name).expect("short").reply().parts().concat()
}
