use std::fmt::Debug;
use std::io::{self, IoSlice};
use std::net::UdpSocket;
use std::num::NonZeroUsize;
use std::time::Duration;

use super::batch::RecvBatch;
use super::transmit::Transmit;
use crate::sys::fragmentation::Fragmentation;
use crate::sys::latch::Latch;
use crate::sys::{BorrowedSocket, Waiter};

/// A UDP socket that receives and sends batches. Several threads may use it at once.
pub(crate) trait DatagramSocket: Debug + Send + Sync {
    /// Receives what has arrived, up to a batch; with `wait`, waits for a first datagram.
    ///
    /// An error of the kind `WouldBlock` or `TimedOut` means that there was none, or none for
    /// [`RECV_TIMEOUT`].
    fn receive(&self, batch: &mut RecvBatch, wait: bool) -> io::Result<()>;

    /// Sends messages, and fails rather than wait. `iovecs` are the bytes of all of them; each
    /// message has a range of these.
    ///
    /// Returns how many messages the system took before it stopped at one, or at a limit of its
    /// own. An error is that of the first message.
    fn send(&self, messages: &[Transmit], iovecs: &[IoSlice<'_>]) -> io::Result<NonZeroUsize>;

    /// Returns the socket, for options.
    fn socket(&self) -> BorrowedSocket<'_>;

    /// Returns what to wait by for a datagram or the flag.
    fn waiter(&self, flag: &Latch) -> io::Result<Waiter>;

    /// Waits until a datagram arrives or the flag is raised, for any time.
    fn wait(&self, waiter: &Waiter) -> io::Result<()> {
        waiter.wait()
    }

    /// Returns how many messages the system dropped before they could be received, modulo 2^32,
    /// because the receive buffer was full or the checksum wrong. `None` if it does not report it.
    fn drops(&self) -> Option<u32>;

    /// Waits before a receive call that follows an error, so that no error makes the loop spin.
    /// Does not wait once the flag is raised.
    fn pause(&self, wait: Duration, latch: &Latch) {
        latch.sleep(wait);
    }
}

/// Opens a back end on a bound socket.
pub(crate) type Open = fn(UdpSocket, Fragmentation) -> io::Result<Box<dyn DatagramSocket>>;

/// The longest wait of a receive call. A worker that received nothing for as long waits for a
/// datagram or a stop, whichever comes first. While datagrams arrive, it makes no further call.
pub(crate) const RECV_TIMEOUT: Duration = Duration::from_millis(20);
