//! The server: what it takes to answer a datagram.

use std::error::Error;
use std::hint::black_box;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::num::NonZeroU32;
use std::time::Duration;

use clap::ValueEnum;
use hello_net::{EventFilter, RateLimit, Server, ServerEvent};
use hello_proto::{MAX_DATAGRAM_LEN, OVERHEAD, Rate};
use quinn_udp::{Transmit, UdpSocketState};
use socket2::SockRef;

use crate::{callgrind, each};

/// How the server is configured, as a column of the table.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Configuration {
    /// Without a limit, and nothing is observed.
    Plain,
    /// The same, with a limit that nobody exceeds.
    Limited,
    /// Without a limit, and each datagram is shown to an observer.
    Observed,
}

/// What the server is asked, as a row of the table.
#[derive(Debug)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    sources: usize,
    /// The datagrams that a client sends as one message.
    train: usize,
    /// The length of each name, in bytes.
    len: usize,
}

pub(crate) const WORKLOADS: [Workload; 5] = [
    Workload { name: "server, 256 sources, 8 B", sources: 256, train: 1, len: 8 },
    Workload { name: "server, 16 sources, 8 B", sources: 16, train: 1, len: 8 },
    Workload { name: "server, 1 source, 8 B", sources: 1, train: 1, len: 8 },
    Workload { name: "server, trains of 64, 8 B", sources: 1, train: 64, len: 8 },
    Workload { name: "server, trains of 64, 64 B", sources: 1, train: 64, len: 64 },
];

impl Workload {
    /// Returns two numbers of messages; the difference between the two runs is the messages
    /// themselves. They are multiples of the server's batches and of the sources, and few enough for
    /// the server's receive buffer.
    fn messages(&self) -> [usize; 2] {
        if self.train > 1 { [64, 192] } else { [256, 512] }
    }

    /// Returns the instructions of one datagram, without those of the program's start.
    pub(crate) fn instructions_each(
        &self,
        configuration: Configuration,
    ) -> Result<u64, Box<dyn Error>> {
        let [fewer, more] = self.messages();
        let counts =
            [self.instructions(fewer, configuration)?, self.instructions(more, configuration)?];
        Ok(each(counts, (more - fewer) * self.train))
    }

    /// Returns the instructions of a server that answers this many messages, which wait in its
    /// receive buffer when it begins.
    fn instructions(
        &self,
        messages: usize,
        configuration: Configuration,
    ) -> Result<u64, Box<dyn Error>> {
        let configuration = configuration.to_possible_value().ok_or("no name")?;
        let mut server = callgrind::start(&["serve".into(), configuration.get_name().into()])?;
        let mut address = String::new();
        BufReader::new(server.stdout.take().ok_or("no output")?).read_line(&mut address)?;
        let clients = self.ask(address.trim_end().parse()?, messages)?;
        // It begins.
        let mut input = server.stdin.take().ok_or("no input")?;
        input.write_all(b"\n")?;
        self.receive(&clients, messages)?;
        // It ends.
        drop(input);
        callgrind::count(server)
    }

    /// Sends all messages, from the sources in turn.
    fn ask(&self, server: SocketAddr, messages: usize) -> io::Result<Vec<UdpSocket>> {
        // The same ports in every run, if they are free, because the flows of a batch are found by a
        // hash.
        let ports = FIRST_PORT..;
        let client = ports.filter_map(|port| UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).ok());
        let clients = Vec::from_iter(client.take(self.sources));
        let message = Transmit {
            destination: server,
            ecn: None,
            contents: &vec![b'x'; self.train * self.len],
            segment_size: (self.train > 1).then_some(self.len),
            src_ip: None,
        };
        for number in 0..messages {
            let client = &clients[number % self.sources];
            UdpSocketState::new(client.into())?.try_send(client.into(), &message)?;
        }
        for client in &clients {
            client.set_nonblocking(false)?;
            SockRef::from(client).set_recv_buffer_size(BUFFER)?;
            client.set_read_timeout(Some(Duration::from_secs(20)))?;
        }
        Ok(clients)
    }

    /// Receives all replies, one by one or in trains.
    fn receive(&self, clients: &[UdpSocket], messages: usize) -> Result<(), Box<dyn Error>> {
        let mut replies = vec![0; MAX_DATAGRAM_LEN];
        for client in clients {
            let mut left = messages / clients.len() * self.train * (self.len + OVERHEAD);
            while left > 0 {
                let len = client.recv(&mut replies);
                let len = len.map_err(|error| format!("{left} bytes are missing: {error}"))?;
                left = left.checked_sub(len).ok_or("more replies than requests")?;
            }
        }
        Ok(())
    }
}

/// The port of the first client. Most systems choose others for sockets that ask for none.
const FIRST_PORT: u16 = 20_000;

/// The receive buffer of a client, in bytes: room for the replies to a batch. Linux grants so much if
/// `net.core.rmem_max` is not lower.
const BUFFER: usize = 2 << 20;

/// Serves what waits in its receive buffer when a line arrives, until there are no more lines.
pub(crate) fn serve(configuration: Configuration) -> Result<(), Box<dyn Error>> {
    let unreached = Rate::new(NonZeroU32::try_from(Rate::MAX_RATE)?, NonZeroU32::MAX)?;
    let (limit, events) = match configuration {
        Configuration::Plain => (None, EventFilter::Nothing),
        Configuration::Limited => (Some(RateLimit::new(unreached)), EventFilter::Nothing),
        Configuration::Observed => (None, EventFilter::All),
    };
    let server = Server::builder().rate_limit(limit).events(events);
    let server = server.bind([(Ipv4Addr::LOCALHOST, 0).into()])?;
    let mut out = io::stdout();
    server.local_addrs().try_for_each(|address| writeln!(out, "{address}"))?;
    out.flush()?;
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    server.serve_while(observe, || io::stdin().read_line(&mut line).map(drop))??;
    Ok(())
}

/// What an observer does with an event is not among the instructions, but looking at it is.
///
/// All servers of this program have this one, so that the compiler makes one loop for all, as in a
/// program with one server.
pub(crate) fn observe(event: &ServerEvent<'_>) {
    black_box(*event);
}
