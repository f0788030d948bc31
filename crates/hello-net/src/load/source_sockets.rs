//! The sockets that requests leave from and replies arrive at.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::time::Duration;

use super::plan::{LoadPlan, Sources, WaitStrategy};
use crate::sys::batch::{Destination, RecvBatch, RecvMeta};
use crate::sys::datagram_socket::DatagramSocket;
use crate::sys::fragmentation::Fragmentation;
use crate::sys::latch::Latch;
use crate::sys::queued_error::QueuedError;
use crate::sys::socket::{self, fragmentation};
use crate::sys::transmit::{LocalAddr, Route};
use crate::sys::{self, BorrowedSocket, Poller};
use crate::udp::reply_socket;

/// The sources of one thread, counted from 0 over those of all.
#[derive(Debug)]
pub(super) struct SourceSockets {
    server: SocketAddr,
    numbers: Range<u32>,
    kind: Kind,
    sockets: Vec<Box<dyn DatagramSocket>>,
    /// Finds the sockets that have something to receive, unless all are polled. For that, the
    /// system records each reply, on the loopback at the server's expense.
    poller: Option<Poller>,
    /// The count of drops of each socket at the end of the warm-up.
    dropped: Vec<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// Each is a connected socket.
    Ports,
    /// All are addresses of one socket, which receives from everybody.
    Addresses,
}

impl SourceSockets {
    /// Opens the sockets of these sources.
    pub(super) fn open(
        server: SocketAddr,
        plan: &LoadPlan,
        numbers: Range<u32>,
    ) -> io::Result<Self> {
        let (kind, opened) = match plan.sources {
            Sources::Ports(_) => (Kind::Ports, numbers.len()),
            Sources::Addresses(_) => (Kind::Addresses, 1),
        };
        let everywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        if plan.packet.is_marked() && !plan.backend.sends_marks() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let open = |_| {
            let socket = match kind {
                Kind::Ports => socket::connect(server)?,
                Kind::Addresses => socket::bind(everywhere, socket::PortSharing::Exclusive)?,
            };
            plan.packet.apply(&socket, server)?;
            Ok(socket)
        };
        let opened = (0..opened).map(open).collect::<io::Result<Vec<_>>>()?;
        let all_are_asked = match plan.wait_strategy {
            WaitStrategy::Wait => false,
            WaitStrategy::Spin => opened.len() == 1,
            WaitStrategy::Sleep(_) => true,
        };
        let poller = if all_are_asked { None } else { Some(Poller::new(&opened)?) };
        let mut sockets = Vec::with_capacity(opened.len());
        let mut batch = RecvBatch::new();
        let fragmentation = match fragmentation(server, *plan.name_len.end()) {
            Fragmentation::Never => Fragmentation::Never,
            _ => Fragmentation::SystemDefault,
        };
        let fragmentation = plan.packet.fragmentation(fragmentation);
        for socket in opened {
            // Every back end enables GRO, so it is disabled on the socket itself.
            let same = (!plan.gro).then(|| socket.try_clone()).transpose()?;
            sockets.push(reply_socket::open(plan.backend, socket, fragmentation, &mut batch)?);
            same.as_ref().map_or(Ok(()), sys::disable_gro)?;
        }
        let dropped = vec![0; sockets.len()];
        Ok(Self { server, numbers, kind, sockets, poller, dropped })
    }

    /// Returns the socket, counted from 0, that a source sends by, and the route.
    pub(super) fn route(&self, source: u32) -> (usize, Route) {
        let to = self.server;
        match self.kind {
            Kind::Ports => ((source - self.numbers.start) as usize, Route::to(to)),
            Kind::Addresses => {
                let address = Ipv4Addr::from_bits(FIRST_ADDRESS + source).into();
                (0, Route { from: Some(LocalAddr { address, interface: 0 }), ..Route::to(to) })
            }
        }
    }

    /// Returns the source that a message arrived at, of this thread or another; `None` if it is not
    /// from the server.
    pub(super) fn source(&self, socket: usize, meta: &RecvMeta) -> Option<u32> {
        match (self.kind, meta.destination) {
            (Kind::Ports, _) => self.only_source(socket),
            (Kind::Addresses, Some(Destination { address: IpAddr::V4(address), .. }))
                if meta.source.get() == self.server =>
            {
                address.to_bits().checked_sub(FIRST_ADDRESS)
            }
            _ => None,
        }
    }

    /// Returns the source whose turn is after this one's.
    pub(super) fn next(&self, source: u32) -> u32 {
        if source + 1 < self.numbers.end { source + 1 } else { self.numbers.start }
    }

    pub(super) fn numbers(&self) -> &Range<u32> {
        &self.numbers
    }

    /// Returns whether a reply may arrive at another source than the one that sent the request. A
    /// single address may be one of several that its socket receives at.
    pub(super) fn has_several_sources(&self) -> bool {
        self.numbers.len() > 1 || self.kind == Kind::Addresses
    }

    pub(super) fn socket(&self, socket: usize) -> &dyn DatagramSocket {
        &*self.sockets[socket]
    }

    /// Takes the oldest ICMP error that the system queued for a socket, and writes what it quotes into
    /// `quote`.
    pub(super) fn take_error(&self, socket: usize, quote: &mut [u8]) -> Option<QueuedError> {
        sys::take_error(self.sockets[socket].socket(), quote)
    }

    /// Returns the only source of a socket; `None` if it has several.
    pub(super) fn only_source(&self, socket: usize) -> Option<u32> {
        match self.kind {
            Kind::Ports => Some(self.numbers.start + u32::try_from(socket).ok()?),
            Kind::Addresses => None,
        }
    }

    pub(super) fn is_one_socket(&self) -> bool {
        self.sockets.len() == 1
    }

    /// Stores the sockets that may have something to receive in `ready`.
    pub(super) fn poll_ready(&self, ready: &mut Vec<usize>) -> io::Result<()> {
        if self.is_one_socket() {
            // Receiving is as quick as polling.
            ready.clear();
            ready.push(0);
            return Ok(());
        }
        match &self.poller {
            Some(poller) => poller.poll_ready(ready),
            None => {
                ready.clear();
                ready.extend(0..self.sockets.len());
                Ok(())
            }
        }
    }

    /// Returns after how many polls each socket has had its turn.
    pub(super) fn turns(&self) -> usize {
        self.sockets.len().div_ceil(Poller::MAX_READY)
    }

    /// Waits until something can be received or the flag is raised, for `timeout` at most.
    pub(super) fn wait(&self, timeout: Duration, latch: &Latch) -> io::Result<()> {
        match &self.poller {
            Some(poller) => poller.wait(timeout, latch),
            None => {
                latch.sleep(timeout);
                Ok(())
            }
        }
    }

    pub(super) fn sockets(&self) -> impl Iterator<Item = BorrowedSocket<'_>> {
        self.sockets.iter().map(|socket| socket.socket())
    }

    /// Forgets the drops so far.
    pub(super) fn forget_drops(&mut self) {
        for (socket, before) in self.sockets.iter().zip(&mut self.dropped) {
            *before = socket.drops().unwrap_or_default();
        }
    }

    /// Returns how many datagrams the system dropped since then; `None` if it does not report it.
    pub(super) fn dropped(&self) -> Option<u64> {
        let mut all = 0;
        for (socket, before) in self.sockets.iter().zip(&self.dropped) {
            all += u64::from(socket.drops()?.wrapping_sub(*before));
        }
        Some(all)
    }
}

/// 127.0.0.1.
const FIRST_ADDRESS: u32 = Ipv4Addr::LOCALHOST.to_bits();

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io::IoSlice;
    use std::net::UdpSocket;

    use super::*;
    use crate::sys::transmit::Transmit;
    use crate::udp::backend::Backend;

    #[test]
    #[cfg_attr(not(target_os = "linux"), ignore = "only Linux receives trains")]
    fn a_train_arrives_in_one_piece_or_cut_as_the_plan_has_it() {
        for (gro, messages) in [(true, 1), (false, 3)] {
            let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
            let address = server.local_addr().expect("bound");
            let plan = LoadPlan { gro, ..LoadPlan::DEFAULT };
            let sources = SourceSockets::open(address, &plan, 0..1).expect("a port");
            let (number, route) = sources.route(0);
            let (socket, name) = (sources.socket(number), b"Tracy");
            let message = Transmit::new(route, name.len());
            let message = Transmit { count: 1, len: name.len(), iovecs: 0..1, ..message };
            socket.send(&[message], &[IoSlice::new(name)]).expect("room");
            let (_, client) = server.recv_from(&mut [0; 8]).expect("a request");
            let server =
                Backend::default().open(server, Fragmentation::Never).expect("a UDP socket");
            let route = Route::to(client);
            let train =
                Transmit { count: 3, len: 3 * name.len(), ..Transmit::new(route, name.len()) };
            let train = Transmit { iovecs: 0..3, ..train };
            server.send(&[train], &[IoSlice::new(name); 3]).expect("room");
            let (mut batch, mut arrivals, mut datagrams) = (RecvBatch::new(), 0, 0);
            while datagrams < 3 {
                socket.receive(&mut batch, true).expect("a reply in time");
                arrivals += batch.metas().len();
                datagrams += (0..batch.metas().len())
                    .map(|index| batch.datagram_ranges(index).count())
                    .sum::<usize>();
            }
            assert_eq!((arrivals, datagrams), (messages, 3), "{gro}");
        }
    }

    #[test]
    fn every_ready_socket_has_its_turn() {
        let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = server.local_addr().expect("bound");
        let sources = Sources::Ports(100.try_into().expect("not zero"));
        let plan = LoadPlan { sources, ..LoadPlan::DEFAULT };
        let sources = SourceSockets::open(address, &plan, 0..100).expect("ports");
        for source in 0..100 {
            let (number, route) = sources.route(source);
            let message = Transmit { iovecs: 0..1, ..Transmit::new(route, 5) };
            sources.socket(number).send(&[message], &[IoSlice::new(b"Tracy")]).expect("room");
            let (_, client) = server.recv_from(&mut [0; 8]).expect("a request");
            server.send_to(b"Hello, Tracy!", client).expect("room");
        }
        let (mut all, mut found) = (BTreeSet::new(), Vec::new());
        for _ in 0..sources.turns() {
            sources.poll_ready(&mut found).expect("works");
            all.extend(found.iter().copied());
        }
        assert!(all.into_iter().eq(0..100), "{found:?}");
    }

    #[test]
    fn sleeping_strategy_polls_every_socket_and_others_only_ready_ones() {
        let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = server.local_addr().expect("bound");
        let sources = Sources::Ports(3.try_into().expect("not zero"));
        let sleep = WaitStrategy::Sleep(Duration::from_millis(1));
        for (idle, expected) in
            [(sleep, &[0, 1, 2][..]), (WaitStrategy::Wait, &[]), (WaitStrategy::Spin, &[])]
        {
            let plan = LoadPlan { sources, wait_strategy: idle, ..LoadPlan::DEFAULT };
            let sources = SourceSockets::open(address, &plan, 0..3).expect("three ports");
            let mut found = vec![7];
            sources.poll_ready(&mut found).expect("works");
            assert_eq!(found, expected, "{idle:?}");
        }
    }
}
