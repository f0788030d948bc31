use std::io;
use std::net::{SocketAddr, UdpSocket};

use super::plan::ProbePlan;
use crate::sys;
use crate::sys::fragmentation::Fragmentation;
use crate::udp::batch::RecvBatch;
use crate::udp::datagram_socket::DatagramSocket;
use crate::udp::earlier_send::queued_reports;
use crate::udp::{reply_socket, socket};

/// One source port: the two halves of its socket.
#[derive(Debug)]
pub(super) struct SourcePort {
    sending: UdpSocket,
    receiving: Box<dyn DatagramSocket>,
    /// Whether the system queues every ICMP report, so that those of other calls are no further ones.
    queues_reports: bool,
}

impl SourcePort {
    pub(super) fn open(server: SocketAddr, plan: &ProbePlan) -> io::Result<Self> {
        let socket = socket::connect_from(plan.source, plan.interface.as_deref(), server)?;
        let sending = socket.try_clone()?;
        if plan.backend.has_timestamps() {
            // Without it, replies have no TTL.
            let _ = sys::report_ttl(&socket, server);
        }
        // Without it, the system reports only some errors, and merges them.
        let queues_reports = sys::queue_reports(&socket, server).is_ok();
        let receiving = reply_socket::open(
            plan.backend,
            socket,
            Fragmentation::SystemDefault,
            &mut RecvBatch::new(),
        )?;
        Ok(Self { sending, receiving, queues_reports })
    }

    /// Sends a name, and fails rather than wait.
    pub(super) fn send(&self, name: &[u8]) -> io::Result<()> {
        sys::try_send(&self.sending, name)
    }

    /// Receives what is there, up to a batch.
    pub(super) fn receive(&self, batch: &mut RecvBatch) -> io::Result<()> {
        self.receiving.receive(batch, false)
    }

    /// Returns the ICMP reports queued so far; `None` if the system does not queue them, so that calls
    /// return them instead.
    pub(super) fn take_reports(&self) -> Option<Vec<io::Error>> {
        self.queues_reports.then(|| queued_reports(&self.sending).collect())
    }

    /// Returns whether [`take_reports`](Self::take_reports) has all reports.
    pub(super) fn queues_reports(&self) -> bool {
        self.queues_reports
    }

    /// Returns how many messages the system dropped, modulo 2^32; 0 if it does not report it.
    pub(super) fn drops(&self) -> u32 {
        self.receiving.drops().unwrap_or_default()
    }

    pub(super) fn socket(&self) -> &UdpSocket {
        &self.sending
    }
}
