use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Mutex, PoisonError};

use hello_proto::{Guard, OVERHEAD};
use socket2::SockRef;

use crate::socket::{self, Sharing};
use crate::sys::{self, Datagrams, Io};

/// A bound socket, which one worker serves, or several.
#[derive(Debug)]
pub(crate) struct Endpoint {
    local: SocketAddr,
    receive_buffer: usize,
    pub(crate) socket: Box<dyn Datagrams>,
    drops: Mutex<Drops>,
}

/// How a socket is to be.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    pub(crate) io: Io,
    pub(crate) receive_buffer: Option<usize>,
}

/// The messages that the system has dropped.
#[derive(Debug, Default)]
struct Drops {
    /// What the system said last, modulo 2^32.
    last: u32,
    total: u64,
}

impl Endpoint {
    pub(crate) fn bind(
        address: SocketAddr,
        sharing: Sharing,
        options: Options,
        guard: &Guard,
    ) -> io::Result<Self> {
        Self::adopt(socket::bind(address, sharing)?, options, guard)
    }

    /// Takes over a socket, which has to be bound.
    pub(crate) fn adopt(socket: UdpSocket, options: Options, guard: &Guard) -> io::Result<Self> {
        let local = socket.local_addr()?;
        if local.port() == 0 {
            return Err(io::Error::new(ErrorKind::InvalidInput, "it is not bound to a port"));
        }
        if let Some(bytes) = options.receive_buffer {
            sys::set_receive_buffer(&socket, bytes)?;
        }
        let receive_buffer = SockRef::from(&socket).recv_buffer_size()?;
        let fragmented = guard.max_name_len() + OVERHEAD > NEVER_FRAGMENTED;
        let socket = options.io.take(socket, fragmented)?;
        // What was dropped before is none of ours.
        let drops = Drops { last: socket.drops().unwrap_or_default(), total: 0 };
        Ok(Self { local, receive_buffer, socket, drops: Mutex::new(drops) })
    }

    /// Takes over a socket of a test's.
    #[cfg(test)]
    pub(crate) fn of(local: SocketAddr, socket: impl Datagrams + 'static) -> Self {
        let socket = Box::new(socket);
        Self { local, receive_buffer: 0, socket, drops: Mutex::default() }
    }

    /// Returns the bound address.
    pub(crate) fn local(&self) -> SocketAddr {
        self.local
    }

    /// Returns the size of the receive buffer in bytes, as the system says it.
    pub(crate) fn receive_buffer(&self) -> usize {
        self.receive_buffer
    }

    /// Returns how many messages the system has dropped because the receive buffer was full, and
    /// `None` if it does not say.
    ///
    /// The system's own count has 32 bits only, so this is to be called before it has come round.
    pub(crate) fn dropped(&self) -> Option<u64> {
        // The count is read under the lock, lest an older one is taken for a newer one.
        let mut drops = self.drops.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.socket.drops()?;
        drops.total += u64::from(now.wrapping_sub(drops.last));
        drops.last = now;
        Some(drops.total)
    }
}

/// Up to this length, in bytes of payload, datagrams pass every path that keeps to IPv6's smallest
/// maximum transmission unit of 1280 bytes, less 40 of IPv6 and 8 of UDP (RFC 8200 section 5).
pub(crate) const NEVER_FRAGMENTED: usize = 1280 - 40 - 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::script::Script;

    #[test]
    fn the_systems_count_of_drops_may_come_round() {
        let script = Script::default();
        let endpoint = Endpoint::of(([192, 0, 2, 1], 9999).into(), script.clone());
        let mut expected = 0;
        for step in [0, 5, u32::MAX - 5, 10, u32::MAX, 1] {
            let mut scenes = script.scenes();
            scenes.drops = scenes.drops.wrapping_add(step);
            drop(scenes);
            expected += u64::from(step);
            assert_eq!(endpoint.dropped(), Some(expected));
        }
    }
}
