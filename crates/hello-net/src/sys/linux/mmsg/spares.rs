//! A socket with others beside it that it sends by while its own send buffer is full.

use std::hash::{BuildHasher, RandomState};
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::num::NonZeroUsize;
use std::sync::OnceLock;

use socket2::SockRef;

use crate::sys::batch::RecvBatch;
use crate::sys::buffer::Buffer;
use crate::sys::datagram_socket::{DatagramSocket, Open};
use crate::sys::error_class::ErrorClass;
use crate::sys::fragmentation::Fragmentation;
use crate::sys::latch::Latch;
use crate::sys::linux::options::{receive_at_first_only, receive_nothing};
use crate::sys::options::granted;
use crate::sys::socket;
use crate::sys::transmit::Transmit;
use crate::sys::{self, BorrowedSocket, Waiter, share_port};

/// A socket that receives, and spares at the same address that only send.
///
/// Replies to neighbours that do not exist wait for address resolution, for seconds, and keep a
/// send buffer full. A reply that finds it full leaves by the spare of its network, so that few
/// networks are in each other's way. The spares are opened when that happens for the first time.
#[derive(Debug)]
pub(super) struct Spared {
    spares: OnceLock<Vec<Box<dyn DatagramSocket>>>,
    /// Keyed at random, so that nobody can choose whom to share a spare with.
    hasher: RandomState,
    main: Box<dyn DatagramSocket>,
    /// The socket of `main`.
    socket: UdpSocket,
    open_back_end: Open,
    fragmentation: Fragmentation,
}

impl Spared {
    /// Takes over a socket that is bound alone.
    pub(super) fn new(
        open: Open,
        socket: UdpSocket,
        fragmentation: Fragmentation,
    ) -> io::Result<Self> {
        let main = open(socket.try_clone()?, fragmentation)?;
        let (spares, hasher) = (OnceLock::new(), RandomState::new());
        Ok(Self { spares, hasher, main, socket, open_back_end: open, fragmentation })
    }

    /// Opens the spares.
    ///
    /// Each is connected to an address that never sends. The system then gives it nothing that is
    /// sent to the first socket, and rejects what reached it before that or comes from that
    /// address; such datagrams count as dropped. They are few, because once the first spare is
    /// bound, a program directs everything to the first socket. While the spares are bound, the
    /// same user could bind the port, too (SO_REUSEPORT, socket(7)); after that, nobody can.
    fn open(&self) -> io::Result<Vec<Box<dyn DatagramSocket>>> {
        let local = self.socket.local_addr()?;
        let bytes = Buffer::Send.size(&self.socket)?.min(LARGEST);
        share_port(&SockRef::from(&self.socket), true)?;
        let bind = |number| {
            let spare = UdpSocket::from(socket::bind_prepared(local, |spare| {
                receive_nothing(spare)?;
                share_port(spare, true)
            })?);
            if number == 0 {
                receive_at_first_only(&self.socket)?;
            }
            // As far as the system allows.
            let _ = Buffer::Send.enlarge(&spare, bytes / granted(1));
            // Before it is connected, so that the back end treats it as a socket that sends to
            // everybody.
            let taken = (self.open_back_end)(spare.try_clone()?, self.fragmentation)?;
            spare.connect(nobody(local))?;
            Ok((spare, taken))
        };
        let bound = (0..SPARES).map(bind).collect::<io::Result<Vec<_>>>();
        share_port(&SockRef::from(&self.socket), false)?;
        let close = |(spare, taken)| share_port(&SockRef::from(&spare), false).map(|()| taken);
        bound?.into_iter().map(close).collect()
    }

    /// Returns the spare for a destination; `None` if there are none.
    fn spare(&self, to: SocketAddr) -> Option<&dyn DatagramSocket> {
        let spares = self.spares.get_or_init(|| self.open().unwrap_or_default());
        let network = match to.ip().to_canonical() {
            IpAddr::V4(address) => u128::from(address.to_bits() >> 8),
            // Strangers share this prefix.
            IpAddr::V6(address) if address.is_unicast_link_local() => address.to_bits(),
            IpAddr::V6(address) => address.to_bits() >> 64,
        };
        let number = self.hasher.hash_one(network) % SPARES as u64;
        Some(&**spares.get(usize::try_from(number).ok()?)?)
    }
}

impl DatagramSocket for Spared {
    fn receive(&self, batch: &mut RecvBatch, wait: bool) -> io::Result<()> {
        self.main.receive(batch, wait)
    }

    fn send(&self, messages: &[Transmit], iovecs: &[IoSlice<'_>]) -> io::Result<NonZeroUsize> {
        let sent = self.main.send(messages, iovecs);
        match (&sent, messages) {
            // Without an address of ours to send from, a spare would choose its own.
            (Err(error), [first, ..])
                if ErrorClass::of(error) == ErrorClass::WouldBlock
                    && !first.route.from.is_some_and(|from| from.address.is_unspecified()) =>
            {
                self.spare(first.route.to.get())
                    .map_or(sent, |spare| spare.send(&messages[..1], iovecs))
            }
            _ => sent,
        }
    }

    fn socket(&self) -> BorrowedSocket<'_> {
        sys::borrow(&self.socket)
    }

    fn waiter(&self, flag: &Latch) -> io::Result<Waiter> {
        self.main.waiter(flag)
    }

    fn drops(&self) -> Option<u32> {
        let spares = self.spares.get().into_iter().flatten();
        let rejected = spares.filter_map(|spare| spare.drops()).fold(0, u32::wrapping_add);
        Some(self.main.drops()?.wrapping_add(rejected))
    }
}

/// Returns an address of `local`'s family that sends nothing: this machine's discard service (RFC
/// 863).
fn nobody(local: SocketAddr) -> SocketAddr {
    let mut address = local;
    address.set_port(9);
    address
}

/// The number of spares. A network shares its spare with one in 32 of the others.
const SPARES: usize = 32;

/// The largest send buffer of a spare, in bytes as the system reports it.
const LARGEST: usize = 2 << 20;

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
    use std::thread;

    use super::*;
    use crate::sys::socket::PortSharing;
    use crate::sys::transmit::LocalAddr;
    use crate::sys::transmit::Route;
    use crate::udp::backend::Backend;
    use crate::udp::mock::MockSocket;

    fn localhost() -> SocketAddr {
        (Ipv4Addr::LOCALHOST, 0).into()
    }

    fn spared(backend: Backend) -> (Spared, SocketAddr) {
        let socket = socket::bind(localhost(), PortSharing::Exclusive).expect("a free port");
        let address = socket.local_addr().expect("bound");
        (
            Spared::new(backend.opener(), socket, Fragmentation::Never).expect("a UDP socket"),
            address,
        )
    }

    /// Sends a message that identifies its socket and destination.
    fn send(socket: &Spared, host: u8, port: u16) -> io::Result<usize> {
        let route = Route::to(([192, 0, 2, host], port).into());
        let message = Transmit { iovecs: 0..1, ..Transmit::new(route, 5) };
        socket.send(&[message], &[IoSlice::new(b"Tracy")]).map(NonZeroUsize::get)
    }

    #[test]
    fn spares_take_nothing_from_the_first_socket_and_nobody_else_can_join_them() {
        for backend in [Backend::Native, Backend::Portable] {
            let (spared, address) = spared(backend);
            assert_eq!(spared.spares.get_or_init(|| spared.open().expect("sockets")).len(), SPARES);
            let (mut batch, mut received) = (RecvBatch::new(), 0);
            // Each source has its own hash.
            for _ in 0..200 {
                let client = UdpSocket::bind(localhost()).expect("a free port");
                client.send_to(b"Tracy", address).expect("sent");
            }
            while spared.receive(&mut batch, false).is_ok() {
                received += batch.datagrams();
            }
            assert_eq!(received, 200, "{backend:?}");
            for sharing in [PortSharing::Exclusive, PortSharing::Reuse] {
                assert!(socket::bind(address, sharing).is_err(), "{backend:?}, {sharing:?}");
            }
        }
    }

    #[test]
    fn datagrams_that_arrive_while_spares_open_are_received_or_counted_as_dropped() {
        let (mut received, mut sent, mut dropped) = (0, 0, 0);
        for _ in 0..20 {
            let (spared, address) = spared(Backend::Native);
            let opened = AtomicBool::new(false);
            let mut batch = RecvBatch::new();
            thread::scope(|scope| {
                let flood = scope.spawn(|| {
                    let client = UdpSocket::bind(localhost()).expect("a free port");
                    let mut sent = 0;
                    while !opened.load(SeqCst) {
                        client.send_to(b"Tracy", address).expect("sent");
                        sent += 1;
                    }
                    sent
                });
                spared.spares.get_or_init(|| spared.open().expect("sockets"));
                opened.store(true, SeqCst);
                sent += flood.join().expect("no panic");
            });
            while spared.receive(&mut batch, false).is_ok() {
                received += batch.datagrams();
            }
            dropped += u64::from(spared.drops().expect("Linux counts them"));
        }
        assert_eq!(received + dropped, sent);
    }

    #[test]
    fn a_spare_sends_from_every_local_address() {
        // Not an address of this machine, but it may be one of a prefix that is local (AnyIP).
        let from = "2001:db8::9".parse::<Ipv6Addr>().expect("an address");
        let Ok(socket) = socket::bind((Ipv6Addr::UNSPECIFIED, 0).into(), PortSharing::Exclusive)
        else {
            return;
        };
        for backend in [Backend::Native, Backend::Portable] {
            let socket = socket.try_clone().expect("a descriptor");
            let spared =
                Spared::new(backend.opener(), socket, Fragmentation::Never).expect("a UDP socket");
            let client = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).expect("a free port");
            let from = Some(LocalAddr { address: from.into(), interface: 0 });
            let route = Route { from, ..Route::to(client.local_addr().expect("bound")) };
            let message = Transmit { iovecs: 0..1, ..Transmit::new(route, 5) };
            let spare = spared.spare(route.to.get()).expect("sockets");
            let sent = spare.send(&[message], &[IoSlice::new(b"Tracy")]);
            assert!(sent.is_ok(), "{backend:?}: {sent:?}");
        }
    }

    #[test]
    fn a_spare_sends_from_the_address_of_the_first_socket() {
        for backend in [Backend::Native, Backend::Portable] {
            let (spared, address) = spared(backend);
            let client = UdpSocket::bind(localhost()).expect("a free port");
            let to = client.local_addr().expect("bound");
            let message = Transmit { iovecs: 0..1, ..Transmit::new(Route::to(to), 5) };
            let spare = spared.spare(to).expect("sockets");
            spare.send(&[message], &[IoSlice::new(b"Tracy")]).expect("room");
            assert_eq!(client.recv_from(&mut [0; 8]).expect("sent"), (5, address), "{backend:?}");
        }
    }

    #[test]
    fn reply_that_finds_the_send_buffer_full_leaves_by_the_spare_of_its_network() {
        let full = MockSocket::default();
        full.state().take = Some(Box::new(|to, _| match to.port() {
            1 => Err(io::Error::from_raw_os_error(libc::EAGAIN)),
            2 => Err(io::Error::from_raw_os_error(libc::EPERM)),
            _ => Ok(()),
        }));
        let scripts = Vec::from_iter((0..SPARES).map(|_| MockSocket::default()));
        let boxed = |script: &MockSocket| Box::new(script.clone()) as Box<dyn DatagramSocket>;
        let spares = Vec::from_iter(scripts.iter().map(boxed));
        let mut spared = spared(Backend::default()).0;
        (spared.main, spared.spares) = (Box::new(full.clone()), OnceLock::from(spares));
        assert_eq!(send(&spared, 7, 3).expect("room"), 1);
        assert_eq!(full.state().sent.len(), 1, "it has room for others");
        assert!(send(&spared, 7, 2).is_err(), "a firewall is not evaded");
        for host in 0..3 {
            assert_eq!(send(&spared, host, 1).expect("room in a spare"), 1);
        }
        let sent = Vec::from_iter(scripts.iter().map(|script| script.state().sent.len()));
        assert_eq!(sent.iter().filter(|sent| **sent > 0).collect::<Vec<_>>(), [&3]);
    }

    #[test]
    fn full_send_buffer_without_spares_is_an_error() {
        let full = MockSocket::default();
        full.state().take = Some(Box::new(|_, _| Err(io::Error::from_raw_os_error(libc::EAGAIN))));
        let mut spared = spared(Backend::default()).0;
        (spared.main, spared.spares) = (Box::new(full), OnceLock::from(Vec::new()));
        let error = send(&spared, 7, 1).expect_err("no room anywhere");
        assert_eq!(ErrorClass::of(&error), ErrorClass::WouldBlock);
    }
}
