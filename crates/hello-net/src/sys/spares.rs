//! A socket with others beside it that it sends by while its own send buffer is full.

use std::hash::{BuildHasher, RandomState};
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::num::NonZeroUsize;

use super::{Buffer, Datagrams, Fragmentation, Io, options};
use crate::ErrorClass;
use crate::batch::Batch;
use crate::message::Message;
use crate::socket::{self, Sharing};
use crate::stop_flags::Latch;

/// A socket that receives, and spares at the same address that only send.
///
/// Replies to neighbours that do not exist fill a send buffer and keep it full. A process without
/// privileges gets no large one, but it may have many: a reply that finds the first full leaves by
/// the spare of its network. So whoever fills them is in the way of few others.
#[derive(Debug)]
pub(super) struct Spared {
    spares: Vec<Box<dyn Datagrams>>,
    /// Keyed at random, so that nobody can choose who shares a spare with him.
    hasher: RandomState,
    main: Box<dyn Datagrams>,
}

impl Spared {
    /// Takes over `main`, which is bound alone, and opens as many spares as there are to be.
    pub(super) fn new(io: Io, main: UdpSocket, fragmentation: Fragmentation) -> io::Result<Self> {
        let (local, bytes) = (main.local_addr()?, Buffer::Send.size(&main)?);
        let mut spares = Vec::with_capacity(SPARES);
        options::share_port(&main, true)?;
        for _ in 0..SPARES {
            let spare = socket::bind(local, Sharing::Further)?;
            if spares.is_empty() {
                options::receive_at_first_only(&main)?;
            }
            // It gets copies of what is sent to everybody, which nobody would ever receive.
            options::receive_nothing(&spare)?;
            Buffer::Receive.set(&spare, 0)?;
            Buffer::Send.enlarge(&spare, bytes)?;
            spares.push(io.take(spare, fragmentation)?);
        }
        Ok(Self { spares, hasher: RandomState::new(), main: io.take(main, fragmentation)? })
    }

    fn spare(&self, to: SocketAddr) -> &dyn Datagrams {
        let network = match to.ip().to_canonical() {
            IpAddr::V4(address) => u64::from(address.to_bits() >> 8),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments().map(u64::from);
                a << 48 | b << 32 | c << 16 | d
            }
        };
        let hash = self.hasher.hash_one(network) % SPARES as u64;
        &*self.spares[usize::try_from(hash).unwrap_or(0)]
    }
}

impl Datagrams for Spared {
    fn receive(&self, batch: &mut Batch, wait: bool) -> io::Result<()> {
        self.main.receive(batch, wait)
    }

    fn send(&self, messages: &[Message], parts: &[IoSlice<'_>]) -> io::Result<NonZeroUsize> {
        let sent = self.main.send(messages, parts);
        match (&sent, messages) {
            (Err(error), [first, ..]) if ErrorClass::of(error) == ErrorClass::WouldBlock => {
                self.spare(first.route.to).send(&messages[..1], parts)
            }
            _ => sent,
        }
    }

    fn wait(&self, latch: &Latch) -> io::Result<()> {
        self.main.wait(latch)
    }

    fn drops(&self) -> Option<u32> {
        self.main.drops()
    }
}

/// How many spares there are: each network that is in the way of others is in the way of one in so
/// many of them.
const SPARES: usize = 32;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::message::Route;
    use crate::sys::script::Script;

    fn localhost() -> SocketAddr {
        (Ipv4Addr::LOCALHOST, 0).into()
    }

    #[test]
    fn the_first_socket_receives_everything_and_nobody_else_can_bind_its_port() {
        for io in [Io::Linux, Io::Portable] {
            let main = socket::bind(localhost(), Sharing::Alone).expect("a free port");
            let address = main.local_addr().expect("bound");
            let spared = Spared::new(io, main, Fragmentation::Never).expect("descriptors");
            let (mut batch, mut received) = (Batch::new(), 0);
            // Each source has its own hash.
            for _ in 0..200 {
                let client = UdpSocket::bind(localhost()).expect("a free port");
                client.send_to(b"Tracy", address).expect("sent");
            }
            while spared.receive(&mut batch, false).is_ok() {
                received += batch.datagrams();
            }
            assert_eq!(received, 200, "{io:?}");
            assert!(socket::bind(address, Sharing::Alone).is_err(), "{io:?}");
        }
    }

    #[test]
    fn what_finds_the_first_send_buffer_full_leaves_by_the_spare_of_its_network() {
        let full = Script::default();
        full.scenes().verdict = Some(Box::new(|to, _| match to.port() {
            1 => Err(io::Error::from_raw_os_error(libc::EAGAIN)),
            2 => Err(io::Error::from_raw_os_error(libc::EPERM)),
            _ => Ok(()),
        }));
        let scripts = Vec::from_iter((0..SPARES).map(|_| Script::default()));
        let spares = scripts.iter().cloned().map(|script| Box::new(script) as _).collect();
        let spared = Spared { spares, hasher: RandomState::new(), main: Box::new(full.clone()) };
        let send = |host: u8, port| {
            let route = Route { to: ([192, 0, 2, host], port).into(), from: None };
            let message = Message { parts: 0..1, ..Message::new(route, 5) };
            spared.send(&[message], &[IoSlice::new(b"Tracy")]).map(NonZeroUsize::get)
        };
        assert_eq!(send(7, 3).expect("room"), 1);
        assert_eq!(full.scenes().sent.len(), 1, "it has room for others");
        assert!(send(7, 2).is_err(), "a firewall is not evaded");
        for host in 0..3 {
            assert_eq!(send(host, 1).expect("room in a spare"), 1);
        }
        let sent = Vec::from_iter(scripts.iter().map(|script| script.scenes().sent.len()));
        assert_eq!(sent.iter().filter(|sent| **sent > 0).collect::<Vec<_>>(), [&3]);
    }
}
