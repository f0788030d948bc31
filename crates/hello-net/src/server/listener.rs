use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Mutex, PoisonError, TryLockError};

use hello_proto::{Guard, OVERHEAD};

use crate::sys;
use crate::sys::buffer::Buffer;
use crate::sys::datagram_socket::DatagramSocket;
use crate::sys::options::AdoptedOptions;
use crate::sys::socket::{self, PortSharing, fragmentation};
use crate::udp::backend::Backend;

/// A bound socket, which one worker or several serve.
#[derive(Debug)]
pub(crate) struct Listener {
    local: SocketAddr,
    receive_buffer: usize,
    send_buffer: usize,
    /// Whether broadcast and multicast datagrams are its own, and not copies of another's.
    takes_shared: bool,
    /// Whether it receives only from one peer, by one interface, or in another network.
    is_restricted: bool,
    pub(crate) socket: Box<dyn DatagramSocket>,
    drops: Mutex<Drops>,
    /// Dropped after the socket.
    _adopted: Option<AdoptedOptions>,
}

/// Options of a socket.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    pub(crate) backend: Backend,
    /// In bytes; at least [`RECEIVE_BUFFER`] by default.
    pub(crate) receive_buffer: Option<usize>,
    /// In bytes; at least [`SEND_BUFFER`] by default.
    pub(crate) send_buffer: Option<usize>,
}

/// The messages that the system dropped.
#[derive(Debug, Default)]
struct Drops {
    /// The system's last count, modulo 2^32.
    last: u32,
    total: u64,
}

impl Drops {
    fn update(&mut self, now: u32) {
        self.total += u64::from(now.wrapping_sub(self.last));
        self.last = now;
    }
}

impl Listener {
    pub(crate) fn bind(
        address: SocketAddr,
        sharing: PortSharing,
        options: Options,
        guard: &Guard,
    ) -> io::Result<Self> {
        let socket = socket::bind(address, sharing)?;
        let listener = Self::open(socket, options, guard, sharing == PortSharing::Exclusive)?;
        Ok(Self { takes_shared: sharing != PortSharing::Reuse, ..listener })
    }

    /// Takes over a bound socket, and leaves it as it was when this is dropped.
    pub(crate) fn adopt(socket: UdpSocket, options: Options, guard: &Guard) -> io::Result<Self> {
        if socket.local_addr()?.port() == 0 {
            return Err(io::Error::new(ErrorKind::InvalidInput, "it is not bound to a port"));
        }
        let adopted = AdoptedOptions::take(&socket)?;
        let is_restricted = socket.peer_addr().is_ok()
            || sys::has_interface(&socket)
            || sys::is_of_another_network(&socket);
        socket::adopt(&socket)?;
        let listener = Self::open(socket, options, guard, false)?;
        Ok(Self { _adopted: Some(adopted), is_restricted, ..listener })
    }

    /// Opens a socket for service, with spares to send by if it is alone at its address.
    fn open(
        socket: UdpSocket,
        options: Options,
        guard: &Guard,
        is_alone: bool,
    ) -> io::Result<Self> {
        let local = socket.local_addr()?;
        let size = |buffer: Buffer, asked, default| {
            match asked {
                Some(bytes) => buffer.set(&socket, bytes)?,
                // A system that grants less serves as well, until it is flooded.
                None => drop(buffer.enlarge(&socket, default)),
            }
            buffer.size(&socket)
        };
        let receive_buffer = size(Buffer::Receive, options.receive_buffer, RECEIVE_BUFFER)?;
        let send_buffer = size(Buffer::Send, options.send_buffer, SEND_BUFFER)?;
        let fragmentation = fragmentation(local, guard.max_name_len() + OVERHEAD);
        // On the loopback, no reply waits for a neighbour.
        let spares = is_alone && !local.ip().to_canonical().is_loopback();
        let socket = match spares {
            true => options.backend.open_with_spares(socket, fragmentation)?,
            false => options.backend.open(socket, fragmentation)?,
        };
        // Earlier drops are not ours.
        let drops = Mutex::new(Drops { last: socket.drops().unwrap_or_default(), total: 0 });
        let (takes_shared, is_restricted, _adopted) = (true, false, None);
        Ok(Self {
            local,
            receive_buffer,
            send_buffer,
            takes_shared,
            is_restricted,
            socket,
            drops,
            _adopted,
        })
    }

    /// Takes over a test's socket.
    #[cfg(test)]
    pub(crate) fn of(local: SocketAddr, socket: impl DatagramSocket + 'static) -> Self {
        Self {
            local,
            receive_buffer: 0,
            send_buffer: 0,
            takes_shared: true,
            is_restricted: false,
            socket: Box::new(socket),
            drops: Mutex::default(),
            _adopted: None,
        }
    }

    /// Leaves broadcast and multicast datagrams to another socket, which also receives them.
    pub(crate) fn without_shared(self) -> Self {
        Self { takes_shared: false, ..self }
    }

    /// Returns whether it receives only from one peer, by one interface, or in another network, so that
    /// the interfaces of this one do not show what reaches it.
    pub(crate) fn is_restricted(&self) -> bool {
        self.is_restricted
    }

    /// Returns the bound address.
    pub(crate) fn local(&self) -> SocketAddr {
        self.local
    }

    /// Returns the size of the receive buffer in bytes, as the system has it.
    pub(crate) fn receive_buffer(&self) -> usize {
        self.receive_buffer
    }

    /// Returns the size of the send buffer in bytes, as the system has it.
    pub(crate) fn send_buffer(&self) -> usize {
        self.send_buffer
    }

    /// Returns whether the socket answers broadcast and multicast datagrams, of which each socket
    /// of a group gets a copy (SO_REUSEPORT, socket(7)).
    pub(crate) fn takes_shared(&self) -> bool {
        self.takes_shared
    }

    /// Returns how many messages the system dropped before they could be received; `None` if it
    /// does not report it.
    ///
    /// The system's own count has 32 bits only, so this must be called before that wraps around.
    pub(crate) fn dropped(&self) -> Option<u64> {
        // The count is read under the lock, so that an older one is not taken for a newer one.
        let mut drops = self.drops.lock().unwrap_or_else(PoisonError::into_inner);
        drops.update(self.socket.drops()?);
        Some(drops.total)
    }

    /// Does the same for a worker, unless another thread does it now: a worker waits for nobody who reads
    /// the counters.
    pub(crate) fn note_drops(&self) {
        let drops = match self.drops.try_lock() {
            Ok(drops) => Some(drops),
            Err(TryLockError::Poisoned(error)) => Some(error.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        };
        if let Some(mut drops) = drops
            && let Some(now) = self.socket.drops()
        {
            drops.update(now);
        }
    }
}

/// The default receive buffer, in bytes: room for 10,000 short datagrams.
pub(crate) const RECEIVE_BUFFER: usize = 4 << 20;

/// The default send buffer, in bytes. Replies to neighbours that do not exist wait in it for
/// seconds, and while it is full no reply leaves.
pub(crate) const SEND_BUFFER: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::udp::mock::MockSocket;

    #[test]
    fn only_a_socket_that_receives_from_everybody_is_unrestricted() {
        let is_restricted = |socket| {
            let listener = Listener::adopt(socket, Options::default(), &Guard::new());
            listener.expect("a UDP socket").is_restricted()
        };
        let socket = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        assert!(!is_restricted(socket()));
        let connected = socket();
        connected.connect((Ipv4Addr::LOCALHOST, 9)).expect("an address");
        assert!(is_restricted(connected));
    }

    #[test]
    fn buffer_is_never_shrunk_by_default_and_no_size_wraps_around() {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        for buffer in [Buffer::Receive, Buffer::Send] {
            let before = buffer.size(&socket).expect("a size");
            buffer.enlarge(&socket, 1).expect("nothing to do");
            assert_eq!(buffer.size(&socket).expect("a size"), before);
            buffer.enlarge(&socket, before).expect("as far as the system lets us");
            assert!(buffer.size(&socket).expect("a size") >= before);
            buffer.set(&socket, 1 << 32).expect("as far as the system lets us");
            assert!(buffer.size(&socket).expect("a size") >= before, "{buffer:?}");
        }
    }

    #[test]
    fn drop_count_survives_a_wrap_around_of_the_systems() {
        let script = MockSocket::default();
        let listener = Listener::of(([192, 0, 2, 1], 9999).into(), script.clone());
        let mut expected = 0;
        for step in [0, 5, u32::MAX - 5, 10, u32::MAX, 1] {
            let mut state = script.state();
            state.drops = state.drops.wrapping_add(step);
            drop(state);
            expected += u64::from(step);
            assert_eq!(listener.dropped(), Some(expected));
        }
    }

    #[test]
    fn worker_notes_drops_and_waits_for_nobody_who_reads_them() {
        let script = MockSocket::default();
        let listener = Listener::of(([192, 0, 2, 1], 9999).into(), script.clone());
        let reader = listener.drops.lock().expect("not poisoned");
        // Would wait for ever otherwise.
        listener.note_drops();
        drop(reader);
        for (count, total) in [(u32::MAX, u64::from(u32::MAX)), (4, u64::from(u32::MAX) + 5)] {
            script.state().drops = count;
            listener.note_drops();
            assert_eq!(listener.drops.lock().expect("not poisoned").total, total);
        }
    }
}
