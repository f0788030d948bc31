use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use super::plan::FleetPlan;
use crate::sys;
use crate::sys::batch::RecvBatch;
use crate::sys::datagram_socket::DatagramSocket;
use crate::sys::fragmentation::Fragmentation;
use crate::sys::queued_error::QueuedError;
use crate::sys::socket;
use crate::sys::transmit::{Route, Transmit};
use crate::udp::reply_socket;

/// The socket of an address family, which sends to any number of targets.
#[derive(Debug)]
pub(super) struct FamilySocket {
    socket: UdpSocket,
    batches: Box<dyn DatagramSocket>,
}

impl FamilySocket {
    /// Opens the sockets of both families, or of that of the source; an error in place of one that the
    /// system does not have.
    pub(super) fn open_all(plan: &FleetPlan) -> [io::Result<Self>; 2] {
        let unspecified = [IpAddr::from(Ipv4Addr::UNSPECIFIED), Ipv6Addr::UNSPECIFIED.into()];
        unspecified.map(|any| match plan.source.map(|source| source.to_canonical()) {
            Some(source) if source.is_ipv4() == any.is_ipv4() => Self::open(plan, source),
            Some(_) => Err(io::ErrorKind::AddrNotAvailable.into()),
            None => Self::open(plan, any),
        })
    }

    fn open(plan: &FleetPlan, source: IpAddr) -> io::Result<Self> {
        if plan.packet.is_marked() && !plan.backend.sends_marks() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let socket = socket::unconnected(source, plan.interface.as_deref())?;
        plan.packet.apply(&socket, (source, 0).into())?;
        let batches = reply_socket::open(
            plan.backend,
            socket.try_clone()?,
            plan.packet.fragmentation(Fragmentation::SystemDefault),
            &mut RecvBatch::new(),
        )?;
        Ok(Self { socket, batches })
    }

    /// Sends a name, and fails rather than wait.
    pub(super) fn send(&self, to: SocketAddr, name: &[u8]) -> io::Result<()> {
        let message = Transmit { iovecs: 0..1, ..Transmit::new(Route::to(to), name.len()) };
        self.batches.send(&[message], &[IoSlice::new(name)]).map(drop)
    }

    /// Receives what is there, up to a batch.
    pub(super) fn receive(&self, batch: &mut RecvBatch) -> io::Result<()> {
        self.batches.receive(batch, false)
    }

    /// Takes the oldest ICMP error, and writes what it quotes into `quote`.
    pub(super) fn take_error(&self, quote: &mut [u8]) -> Option<QueuedError> {
        sys::take_error(sys::borrow(&self.socket), quote)
    }

    /// Returns how many messages the system dropped, modulo 2^32; 0 if it does not report it.
    pub(super) fn drops(&self) -> u32 {
        self.batches.drops().unwrap_or_default()
    }

    pub(super) fn socket(&self) -> &UdpSocket {
        &self.socket
    }
}
