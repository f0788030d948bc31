//! The clients: they fill a server's receive buffer, and compare every reply byte for byte.

use std::error::Error;
use std::io::{self, ErrorKind, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use hello_proto::{OVERHEAD, Reply};
use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use socket2::SockRef;

use crate::process::Process;
use crate::stats::Summary;
use crate::workloads::{Figure, Kind, Workload};

/// The clients of a workload.
#[derive(Debug)]
pub(crate) struct Clients<'w> {
    workload: &'w Workload,
    clients: Vec<Client>,
    names: Vec<Vec<u8>>,
}

/// A client's socket.
#[derive(Debug)]
struct Client {
    socket: UdpSocket,
    /// For trains and the kernel's timestamps, where they are wanted.
    state: Option<UdpSocketState>,
}

impl<'w> Clients<'w> {
    pub(crate) fn new(workload: &'w Workload, buffer: usize) -> Result<Self, Box<dyn Error>> {
        let client = |_| Client::new(workload.kind, buffer);
        let clients = (0..workload.sources).map(client).collect::<io::Result<_>>()?;
        let name = |number: usize| format!("{number:08}{}", "x".repeat(workload.len - 8)).into();
        Ok(Self { workload, clients, names: (0..workload.requests()).map(name).collect() })
    }

    /// Lets a server work through an episode, and returns what it took: processor time for each
    /// reply, or another time, in nanoseconds.
    pub(crate) fn episode(&self, server: &Process) -> Result<f64, Box<dyn Error>> {
        if let Kind::PingPong(figure) = self.workload.kind {
            return self.ping_pong(server, figure);
        }
        // At first only to warm up: what is left of the server before this one in caches and in
        // the system's stores of memory is to be at nobody's expense.
        self.work_through(server, &self.names)?;
        if self.workload.kind == Kind::Workers {
            server.spread()?;
        }
        self.work_through(server, &self.names)
    }

    /// Lets a server work through requests that wait in its receive buffer.
    fn work_through(&self, server: &Process, names: &[Vec<u8>]) -> Result<f64, Box<dyn Error>> {
        server.stop()?;
        self.fill(server.address, names)?;
        let before = server.processor_time()?;
        server.go_on()?;
        if self.workload.kind == Kind::Workers {
            // Both processors are the server's until it is through.
            thread::sleep(Duration::from_millis(50));
        }
        let span = self.collect(names)?;
        server.wait_for_sleep()?;
        self.expect_silence()?;
        let time = match self.workload.kind {
            Kind::Workers => span,
            _ => server.processor_time()? - before,
        };
        Ok(time.as_nanos() as f64 / names.len() as f64)
    }

    fn fill(&self, server: SocketAddr, names: &[Vec<u8>]) -> Result<(), Box<dyn Error>> {
        if self.workload.kind != Kind::Trains {
            for (name, client) in names.iter().zip(self.clients.iter().cycle()) {
                client.socket.send_to(name, server)?;
            }
            return Ok(());
        }
        let Client { socket, state: Some(state) } = &self.clients[0] else {
            return Err("a client without trains".into());
        };
        for names in names.chunks(self.workload.train()) {
            let train = Transmit {
                destination: server,
                ecn: None,
                contents: &names.concat(),
                segment_size: Some(self.workload.len),
                src_ip: None,
            };
            state.try_send(socket.into(), &train)?;
        }
        Ok(())
    }

    /// Waits for all replies, each of which is to come once, to the client that asked for it.
    /// Returns the time between the first and the last, by the kernel's timestamps.
    fn collect(&self, names: &[Vec<u8>]) -> Result<Duration, Box<dyn Error>> {
        let mut missing = Missing::new(names, self.clients.len());
        let (mut memory, mut stamps) = (vec![0; 65_535], Vec::new());
        let deadline = Instant::now() + Duration::from_secs(5);
        while missing.left > 0 {
            for (number, client) in self.clients.iter().enumerate() {
                while let Some((len, segment)) = client.receive(&mut memory, &mut stamps)? {
                    let mut replies = memory[..len].chunks(segment.max(1));
                    replies.try_for_each(|reply| missing.take(number, reply))?;
                }
            }
            if Instant::now() > deadline {
                return Err(format!("{} replies are missing", missing.left).into());
            }
            thread::sleep(Duration::from_micros(300));
        }
        let span = stamps.iter().max().zip(stamps.iter().min()).map(|(last, first)| *last - *first);
        Ok(span.unwrap_or_default())
    }

    /// Fails if there is a reply that nobody waits for any more.
    fn expect_silence(&self) -> Result<(), Box<dyn Error>> {
        let mut memory = vec![0; 65_535];
        for client in &self.clients {
            if client.receive(&mut memory, &mut Vec::new())?.is_some() {
                return Err("a reply too many".into());
            }
        }
        Ok(())
    }

    /// Asks one by one, and returns the figure wanted, in nanoseconds.
    fn ping_pong(&self, server: &Process, figure: Figure) -> Result<f64, Box<dyn Error>> {
        let (client, mut memory) = (&self.clients[0], [0; 2048]);
        server.wait_for_sleep()?;
        let before = server.processor_time()?;
        let mut times = Vec::with_capacity(self.names.len());
        for name in &self.names {
            let start = Instant::now();
            client.socket.send_to(name, server.address)?;
            // Without a wait, for the client's own wakeup is not to be measured.
            let len = loop {
                if let Some((len, _)) = client.receive(&mut memory, &mut Vec::new())? {
                    break len;
                }
                if start.elapsed() > Duration::from_secs(5) {
                    return Err("no reply within 5 s".into());
                }
            };
            times.push(start.elapsed().as_nanos() as f64);
            check(&memory[..len], name)?;
        }
        server.wait_for_sleep()?;
        self.expect_silence()?;
        let figure = match figure {
            Figure::RoundTripTime => Summary::of(&times).map(|times| times.median),
            Figure::ProcessorTime => {
                let spent = server.processor_time()? - before;
                Some(spent.as_nanos() as f64 / times.len() as f64)
            }
        };
        figure.ok_or_else(|| "no requests".into())
    }
}

impl Client {
    fn new(kind: Kind, buffer: usize) -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        SockRef::from(&socket).set_recv_buffer_size(buffer)?;
        socket.set_nonblocking(true)?;
        let state = match kind {
            Kind::Trains | Kind::Workers => Some(UdpSocketState::new((&socket).into())?),
            Kind::Queue | Kind::Guard | Kind::PingPong(_) => None,
        };
        Ok(Self { socket, state })
    }

    /// Receives what the system delivers in one piece, if there is something; returns its length
    /// and that of its segments.
    fn receive(
        &self,
        memory: &mut [u8],
        stamps: &mut Vec<Duration>,
    ) -> io::Result<Option<(usize, usize)>> {
        let mut metas = [RecvMeta::default()];
        let received = match &self.state {
            None => self.socket.recv(memory).map(|len| (len, len)),
            Some(state) => state
                .recv((&self.socket).into(), &mut [IoSliceMut::new(memory)], &mut metas)
                .map(|_| (metas[0].len, metas[0].stride)),
        };
        match received {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            received => {
                stamps.extend(metas[0].timestamp);
                received.map(Some)
            }
        }
    }
}

/// The replies that have not come yet.
struct Missing<'n> {
    names: &'n [Vec<u8>],
    clients: usize,
    seen: Vec<bool>,
    left: usize,
}

impl<'n> Missing<'n> {
    fn new(names: &'n [Vec<u8>], clients: usize) -> Self {
        Self { names, clients, seen: vec![false; names.len()], left: names.len() }
    }

    fn take(&mut self, client: usize, reply: &[u8]) -> Result<(), Box<dyn Error>> {
        let number =
            Reply::decode(reply)?.name().get(..8).and_then(|digits| str::from_utf8(digits).ok());
        let number: usize = number.ok_or("a reply to nobody")?.parse()?;
        check(reply, self.names.get(number).ok_or("a reply to nobody")?)?;
        if number % self.clients != client || self.seen[number] {
            return Err(format!("reply {number} came twice, or to somebody else").into());
        }
        self.seen[number] = true;
        self.left -= 1;
        Ok(())
    }
}

fn check(reply: &[u8], name: &[u8]) -> Result<(), Box<dyn Error>> {
    let right = reply.len() == name.len() + OVERHEAD && Reply::decode(reply)?.name() == name;
    if right { Ok(()) } else { Err(format!("a wrong reply: {}", reply.escape_ascii()).into()) }
}
