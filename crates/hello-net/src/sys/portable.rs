//! Every system that `quinn-udp` supports: batches, trains and destination addresses where the
//! system has them.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use quinn_udp::{BATCH_SIZE, UdpSocketState};

use super::batch::{Destination, RecvBatch, RecvMeta};
use super::datagram_socket::{DatagramSocket, RECV_TIMEOUT};
use super::socket::is_broadcast;
use super::transmit::{LocalAddr, Transmit};
use crate::sys::fragmentation::Fragmentation;
use crate::sys::latch::Latch;
use crate::sys::{self, BorrowedSocket, RawSockAddr, Waiter};

pub(crate) fn open(
    socket: UdpSocket,
    fragmentation: Fragmentation,
) -> io::Result<Box<dyn DatagramSocket>> {
    Ok(Box::new(Portable::new(socket, fragmentation)?))
}

/// A non-blocking socket.
#[derive(Debug)]
pub(super) struct Portable {
    socket: UdpSocket,
    fragmentation: Fragmentation,
    segmenting: RwLock<Segmenting>,
    /// The socket is bound to all addresses of this machine, so replies need the one that was used.
    wildcard: bool,
    /// Whether addresses are broadcast addresses, and when that was determined.
    known: Mutex<Vec<(Ipv4Addr, bool, Instant)>>,
}

/// The state of `quinn-udp`, which stops segmenting for good after one message that the system did
/// not segment.
#[derive(Debug)]
struct Segmenting {
    state: UdpSocketState,
    /// The most segments per message at first.
    max: usize,
    /// When segmenting was given up.
    given_up: Option<Instant>,
}

impl Portable {
    pub(super) fn new(socket: UdpSocket, fragmentation: Fragmentation) -> io::Result<Self> {
        let segmenting = RwLock::new(Segmenting::new(&socket, fragmentation)?);
        let wildcard = socket.local_addr()?.ip().is_unspecified();
        Ok(Self { socket, fragmentation, segmenting, wildcard, known: Mutex::default() })
    }

    /// Returns where a message was sent to.
    fn destination(&self, meta: &quinn_udp::RecvMeta) -> Option<Destination> {
        let address = meta.dst_ip.filter(|_| self.wildcard)?;
        let own = match address {
            IpAddr::V4(shared) if shared.is_multicast() || self.is_broadcast(shared) => {
                Ipv4Addr::UNSPECIFIED.into()
            }
            IpAddr::V6(group) if group.is_multicast() => Ipv6Addr::UNSPECIFIED.into(),
            own => own,
        };
        Some(Destination { address, reply_from: LocalAddr { address: own, interface: 0 } })
    }

    /// Returns whether an address is a broadcast address, as the system had it within the last
    /// second.
    fn is_broadcast(&self, address: Ipv4Addr) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, broadcast, _)) =
            known.iter().find(|(known, _, at)| *known == address && at.elapsed() < REMEMBERED)
        {
            return *broadcast;
        }
        let broadcast = is_broadcast(address);
        known.retain(|(known, _, at)| *known != address && at.elapsed() < REMEMBERED);
        let too_many = (known.len() + 1).saturating_sub(MAX_KNOWN);
        known.drain(..too_many);
        known.push((address, broadcast, Instant::now()));
        broadcast
    }

    /// Returns the most segments per message now.
    fn max_segments(&self) -> usize {
        let segmenting = self.segmenting.read().unwrap_or_else(PoisonError::into_inner);
        let max = segmenting.state.max_gso_segments();
        if max == segmenting.max {
            return max;
        }
        drop(segmenting);
        let mut segmenting = self.segmenting.write().unwrap_or_else(PoisonError::into_inner);
        let given_up = *segmenting.given_up.get_or_insert_with(Instant::now);
        if given_up.elapsed() >= REMEMBERED
            && let Ok(anew) = Segmenting::new(&self.socket, self.fragmentation)
        {
            *segmenting = anew;
        }
        segmenting.state.max_gso_segments()
    }
}

impl Segmenting {
    /// `quinn-udp` disables fragmentation, as QUIC needs it; on Linux, `fragmentation` overrides
    /// that.
    fn new(socket: &UdpSocket, fragmentation: Fragmentation) -> io::Result<Self> {
        let state = UdpSocketState::new(socket.into())?;
        fragmentation.apply(socket)?;
        Ok(Self { max: state.max_gso_segments(), given_up: None, state })
    }
}

/// The time for which it is remembered whether an address is a broadcast address, and that the
/// system does not segment.
const REMEMBERED: Duration = Duration::from_secs(1);

/// The most addresses that are remembered; a machine with more queries the system more often.
const MAX_KNOWN: usize = 64;

impl DatagramSocket for Portable {
    fn receive(&self, batch: &mut RecvBatch, wait: bool) -> io::Result<()> {
        let mut metas = [quinn_udp::RecvMeta::default(); BATCH_SIZE];
        let mut spaces = Vec::from_iter(batch.recv_buffers().take(BATCH_SIZE).map(IoSliceMut::new));
        let mut receive = || {
            let segmenting = self.segmenting.read().unwrap_or_else(PoisonError::into_inner);
            segmenting.state.recv((&self.socket).into(), &mut spaces, &mut metas)
        };
        let received = match receive() {
            Err(error) if wait && error.kind() == ErrorKind::WouldBlock => {
                sys::wait_readable(&self.socket, None, RECV_TIMEOUT)?;
                receive()?
            }
            received => received?,
        };
        for meta in &metas[..received] {
            let destination = self.destination(meta);
            let segment = meta.stride;
            let received = RecvMeta::new(RawSockAddr::new(meta.addr), meta.len);
            batch.push(RecvMeta { destination, segment, ..received });
        }
        Ok(())
    }

    /// Sends the first message. Where the system does not segment, a message that needs it is an
    /// error, and its replies are sent one by one.
    fn send(&self, messages: &[Transmit], iovecs: &[IoSlice<'_>]) -> io::Result<NonZeroUsize> {
        if let Some(message) = messages.first() {
            if message.count > 1 && message.count > self.max_segments() {
                return Err(ErrorKind::Unsupported.into());
            }
            let own = message.route.from.map(|own| own.address);
            let segmenting = self.segmenting.read().unwrap_or_else(PoisonError::into_inner);
            segmenting.state.try_send(
                (&self.socket).into(),
                &quinn_udp::Transmit {
                    destination: message.route.to.get(),
                    ecn: None,
                    contents: &message.bytes(iovecs),
                    segment_size: (message.count > 1).then_some(message.segment),
                    src_ip: own.filter(|address| !address.is_unspecified()),
                },
            )?;
        }
        Ok(NonZeroUsize::MIN)
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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::SocketAddr;
    use std::thread;

    use super::*;
    use crate::sys::socket::{self, PortSharing};
    use crate::sys::transmit::Route;

    #[test]
    fn segmenting_is_tried_again_after_one_message_that_was_not_segmented() {
        let bound = socket::bind((Ipv4Addr::LOCALHOST, 0).into(), PortSharing::Exclusive);
        let portable = Portable::new(bound.expect("a free port"), Fragmentation::Never);
        let portable = portable.expect("a UDP socket");
        let many = portable.max_segments();
        assert!(many > 1, "Linux segments");
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let message = Transmit::new(Route::to(nowhere), 5);
        let train = Transmit { count: 2, len: 10, iovecs: 0..1, ..message };
        portable.send(&[train], &[IoSlice::new(b"TracySarah")]).expect_err("port 0 is nobody's");
        assert_eq!(portable.max_segments(), 1, "it is given up, for a while");
        let deadline = Instant::now() + 20 * REMEMBERED;
        while portable.max_segments() == 1 {
            assert!(Instant::now() < deadline, "it is given up for ever");
            thread::yield_now();
        }
        assert_eq!(portable.max_segments(), many);
    }
}
