//! Linux: many datagrams per call in both directions (recvmmsg(2), sendmmsg(2)), and many per
//! message (UDP_GRO and UDP_SEGMENT, udp(7)).

pub(crate) mod control;
#[cfg(feature = "server")]
pub(super) mod spares;

use std::io::{self, IoSlice};
use std::net::UdpSocket;
use std::num::NonZeroUsize;

#[cfg(feature = "server")]
use self::spares::Spared;
use crate::sys::batch::{RecvBatch, RecvMeta};
#[cfg(feature = "server")]
use crate::sys::datagram_socket::Open;
use crate::sys::datagram_socket::{DatagramSocket, RECV_TIMEOUT};
use crate::sys::fragmentation::Fragmentation;
use crate::sys::latch::Latch;
use crate::sys::linux::options::enable_gro;
use crate::sys::linux::send_batch::{self, SendMessage};
use crate::sys::transmit::Transmit;
use crate::sys::{self, BorrowedSocket, RawSockAddr, Waiter};

pub(crate) fn open(
    socket: UdpSocket,
    fragmentation: Fragmentation,
) -> io::Result<Box<dyn DatagramSocket>> {
    Ok(Box::new(MmsgSocket::new(socket, fragmentation)?))
}

#[cfg(feature = "server")]
pub(crate) fn open_with_spares(
    open: Open,
    socket: UdpSocket,
    fragmentation: Fragmentation,
) -> io::Result<Box<dyn DatagramSocket>> {
    Ok(Box::new(Spared::new(open, socket, fragmentation)?))
}

/// A blocking socket with a receive timeout.
#[derive(Debug)]
pub(super) struct MmsgSocket {
    socket: UdpSocket,
    /// The only address that it sends to and receives from. Without an address beside each message, the
    /// system looks up no route, and writes no source.
    peer: Option<RawSockAddr>,
}

impl MmsgSocket {
    /// Makes receive calls wait for [`RECV_TIMEOUT`] at most, and the system deliver trains in one
    /// piece.
    fn new(socket: UdpSocket, fragmentation: Fragmentation) -> io::Result<Self> {
        if fragmentation != Fragmentation::SystemDefault {
            fragmentation.apply(&socket)?;
        }
        socket.set_nonblocking(false)?;
        socket.set_read_timeout(Some(RECV_TIMEOUT))?;
        enable_gro(&socket);
        let peer = socket.peer_addr().ok().map(RawSockAddr::new);
        Ok(Self { socket, peer })
    }
}

impl DatagramSocket for MmsgSocket {
    fn receive(&self, batch: &mut RecvBatch, wait: bool) -> io::Result<()> {
        let (slots, metas, truncated) = batch.clear();
        for message in slots.receive(&self.socket, self.peer.as_ref(), wait)? {
            let is_discarded = message.is_truncated;
            *truncated += u64::from(is_discarded);
            metas.push(RecvMeta { is_discarded, ..RecvMeta::new(*message.source, message.len) });
            if let (Some(meta), [_, ..]) = (metas.last_mut(), message.control) {
                control::read(message.control, meta);
            }
        }
        Ok(())
    }

    fn send(&self, messages: &[Transmit], iovecs: &[IoSlice<'_>]) -> io::Result<NonZeroUsize> {
        let messages = messages.iter().map(|message| SendMessage {
            to: self.peer.is_none().then_some(&message.route.to),
            from: message.route.from.as_ref().map(|from| (&from.address, from.interface)),
            segment: (message.count > 1).then_some(message.segment),
            iovecs: &iovecs[message.iovecs.clone()],
        });
        send_batch::send(&self.socket, messages)
    }

    fn socket(&self) -> BorrowedSocket<'_> {
        sys::borrow(&self.socket)
    }

    fn waiter(&self, flag: &Latch) -> io::Result<Waiter> {
        Waiter::new(Some(&self.socket), flag)
    }

    fn drops(&self) -> Option<u32> {
        sys::drops(&self.socket)
    }
}
