use std::io;
use std::net::{SocketAddr, UdpSocket};

use super::plan::ProbePlan;
use crate::sys;
use crate::sys::fragmentation::Fragmentation;
use crate::sys::queued_error::QueuedError;
use crate::udp::batch::RecvBatch;
use crate::udp::reply_socket::{self, ReplySocket};
use crate::udp::socket;

/// One source port: the two halves of its socket.
#[derive(Debug)]
pub(super) struct SourcePort {
    sending: UdpSocket,
    receiving: ReplySocket,
}

impl SourcePort {
    pub(super) fn open(server: SocketAddr, plan: &ProbePlan) -> io::Result<Self> {
        let socket = socket::connect_from(plan.source, plan.interface.as_deref(), server)?;
        let sending = socket.try_clone()?;
        if plan.backend.has_timestamps() {
            // Without it, replies have no TTL.
            let _ = sys::report_ttl(&socket, server);
        }
        let receiving = reply_socket::open(
            plan.backend,
            socket,
            Fragmentation::SystemDefault,
            &mut RecvBatch::new(),
        )?;
        Ok(Self { sending, receiving })
    }

    /// Sends a name, and fails rather than wait.
    pub(super) fn send(&self, name: &[u8]) -> io::Result<()> {
        sys::try_send(&self.sending, name)
    }

    /// Receives what is there, up to a batch.
    pub(super) fn receive(&self, batch: &mut RecvBatch) -> io::Result<()> {
        self.receiving.socket.receive(batch, false)
    }

    /// Takes the oldest ICMP error, and writes what it quotes into `quote`.
    pub(super) fn take_error(&self, quote: &mut [u8]) -> Option<QueuedError> {
        self.receiving.socket.take_error(quote)
    }

    /// Returns whether [`take_error`](Self::take_error) returns every error, so that those of other
    /// calls are no further ones.
    pub(super) fn queues_errors(&self) -> bool {
        self.receiving.queues_errors
    }

    /// Returns how many messages the system dropped, modulo 2^32; 0 if it does not report it.
    pub(super) fn drops(&self) -> u32 {
        self.receiving.socket.drops().unwrap_or_default()
    }

    pub(super) fn socket(&self) -> &UdpSocket {
        &self.sending
    }
}
