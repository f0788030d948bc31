//! Every system that `quinn-udp` knows: batches, trains and destination addresses where the
//! system has them.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::num::NonZeroUsize;

use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Datagrams, STOP_CHECK};
use crate::batch::{Arrival, Batch, Destination, Origin};
use crate::message::Message;

/// A socket that does not block.
#[derive(Debug)]
pub(super) struct Portable {
    socket: UdpSocket,
    state: UdpSocketState,
    /// The socket is bound to all addresses of this machine, and has to be told which was asked.
    wildcard: bool,
}

impl Portable {
    /// `quinn-udp` has nothing fragmented, for QUIC wants it so. On Linux this is undone where it
    /// has to be.
    pub(super) fn new(socket: UdpSocket, fragmented: bool) -> io::Result<Self> {
        let state = UdpSocketState::new((&socket).into())?;
        #[cfg(target_os = "linux")]
        if fragmented {
            super::linux::set_fragmentation(&socket, true)?;
        }
        #[cfg(not(target_os = "linux"))]
        let _ = fragmented;
        let wildcard = socket.local_addr()?.ip().is_unspecified();
        Ok(Self { socket, state, wildcard })
    }

    fn wait(&self) -> io::Result<()> {
        let timeout = Timespec::try_from(STOP_CHECK).map_err(io::Error::other)?;
        poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], Some(&timeout))?;
        Ok(())
    }

    /// Returns where a message was sent to. That an address is a subnet's broadcast address is
    /// not to be seen here; the system refuses to send a reply from it.
    fn destination(&self, meta: &RecvMeta) -> Option<Destination> {
        let address = meta.dst_ip.filter(|_| self.wildcard)?;
        let own = match address {
            IpAddr::V4(group) if group.is_multicast() => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(group) if group.is_multicast() => Ipv6Addr::UNSPECIFIED.into(),
            own => own,
        };
        Some(Destination { address, own: Origin { address: own, interface: 0 } })
    }
}

impl Datagrams for Portable {
    fn receive(&self, batch: &mut Batch, wait: bool) -> io::Result<()> {
        let mut metas = [RecvMeta::default(); BATCH_SIZE];
        let mut spaces = Vec::from_iter(batch.spaces().take(BATCH_SIZE).map(IoSliceMut::new));
        let mut receive = || self.state.recv((&self.socket).into(), &mut spaces, &mut metas);
        let received = match receive() {
            Err(error) if wait && error.kind() == ErrorKind::WouldBlock => {
                self.wait()?;
                receive()?
            }
            received => received?,
        };
        for meta in &metas[..received] {
            let (len, segment) = (meta.len, meta.stride);
            let destination = self.destination(meta);
            batch.push(Arrival { source: meta.addr, destination, len, segment, time: None });
        }
        Ok(())
    }

    /// Sends the first message. Where the system cuts no message into segments, one that needs it
    /// is an error, and its replies are sent one by one.
    fn send(&self, messages: &[Message], parts: &[IoSlice<'_>]) -> io::Result<NonZeroUsize> {
        if let Some(message) = messages.first() {
            if message.count > self.state.max_gso_segments() {
                return Err(ErrorKind::Unsupported.into());
            }
            let own = message.route.from.map(|own| own.address);
            self.state.try_send(
                (&self.socket).into(),
                &Transmit {
                    destination: message.route.to,
                    ecn: None,
                    contents: &message.bytes(parts),
                    segment_size: (message.count > 1).then_some(message.segment),
                    src_ip: own.filter(|address| !address.is_unspecified()),
                },
            )?;
        }
        Ok(NonZeroUsize::MIN)
    }

    fn drops(&self) -> Option<u32> {
        super::drops(&self.socket)
    }
}
