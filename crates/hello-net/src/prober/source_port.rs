use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::plan::ProbePlan;
use crate::sys;
use crate::sys::batch::RecvBatch;
use crate::sys::datagram_socket::DatagramSocket;
use crate::sys::fragmentation::Fragmentation;
use crate::sys::queued_error::Queued;
use crate::sys::socket;
use crate::udp::reply_socket;

/// One source port: the two halves of its socket.
#[derive(Debug)]
pub(super) struct SourcePort {
    sending: UdpSocket,
    receiving: Box<dyn DatagramSocket>,
    /// The number of errors taken, modulo 2^32.
    errors_taken: AtomicU32,
    /// When the last one was taken, in nanoseconds, or 0.
    error_taken_at: AtomicU64,
    /// Whether the system reports when each datagram was handed to the driver.
    has_transmit_times: bool,
    /// The number of datagrams of which it did not report that yet.
    untimed: AtomicU32,
}

impl SourcePort {
    pub(super) fn open(server: SocketAddr, plan: &ProbePlan) -> io::Result<Self> {
        let socket = socket::connect_from(plan.source, plan.interface.as_deref(), server)?;
        plan.packet.apply(&socket, server)?;
        let sending = socket.try_clone()?;
        if plan.backend.has_timestamps() {
            // Without them, replies have no TTL and no mark.
            let _ = sys::report_ttl(&socket, server);
            let _ = sys::report_mark(&socket, server);
        }
        let receiving = reply_socket::open(
            plan.backend,
            socket,
            plan.packet.fragmentation(Fragmentation::SystemDefault),
            &mut RecvBatch::new(),
        )?;
        // Without it, the time of a probe is when this process sends it.
        let has_transmit_times =
            plan.has_transmit_times() && sys::queue_transmit_times(&sending).is_ok();
        Ok(Self {
            sending,
            receiving,
            errors_taken: AtomicU32::new(0),
            error_taken_at: AtomicU64::new(0),
            has_transmit_times,
            untimed: AtomicU32::new(0),
        })
    }

    /// Sends a name, and fails rather than wait.
    pub(super) fn send(&self, name: &[u8]) -> io::Result<()> {
        sys::try_send(&self.sending, name).inspect(|()| self.note_sent())
    }

    /// Does the same with a TTL or hop limit of this datagram's own.
    pub(super) fn send_with_ttl(&self, name: &[u8], ttl: u8) -> io::Result<()> {
        sys::try_send_with_ttl(&self.sending, name, ttl).inspect(|()| self.note_sent())
    }

    fn note_sent(&self) {
        if self.has_transmit_times {
            self.untimed.fetch_add(1, Relaxed);
        }
    }

    /// Receives what is there, up to a batch.
    pub(super) fn receive(&self, batch: &mut RecvBatch) -> io::Result<()> {
        self.receiving.receive(batch, false)
    }

    /// Takes the oldest message of the error queue, and writes what it quotes into `buf`, or the packet
    /// that was transmitted.
    pub(super) fn take_queued(&self, buf: &mut [u8]) -> Option<Queued> {
        let queued = sys::take_queued(sys::borrow(&self.sending), buf)?;
        match queued {
            Queued::Error(_) => {
                let now = u64::try_from(sys::monotonic().as_nanos()).unwrap_or(u64::MAX);
                self.error_taken_at.store(now, Relaxed);
                self.errors_taken.fetch_add(1, Relaxed)
            }
            Queued::Transmitted { .. } => self.untimed.fetch_sub(1, Relaxed),
        };
        Some(queued)
    }

    /// Returns whether the system has still to report when a datagram was handed to the driver.
    pub(super) fn awaits_transmit_time(&self) -> bool {
        // If it never does, the number never falls; if it reports twice, it wraps.
        self.untimed.load(Relaxed) > 0
    }

    /// Returns how many errors were taken, modulo 2^32.
    pub(super) fn errors_taken(&self) -> u32 {
        self.errors_taken.load(Relaxed)
    }

    /// Returns whether an error was taken a moment ago. The kernel queues an error before it makes the next
    /// call return it, so one that was taken in between is returned, too.
    pub(super) fn took_error_lately(&self) -> bool {
        let taken = Duration::from_nanos(self.error_taken_at.load(Relaxed));
        !taken.is_zero() && sys::monotonic().saturating_sub(taken) < ECHO
    }

    /// Returns how many messages the system dropped, modulo 2^32; 0 if it does not report it.
    pub(super) fn drops(&self) -> u32 {
        self.receiving.drops().unwrap_or_default()
    }

    pub(super) fn socket(&self) -> &UdpSocket {
        &self.sending
    }
}

/// The longest time between the moments at which the kernel queues an error and at which a call returns
/// it, unless the machine is held up.
const ECHO: Duration = Duration::from_millis(10);
