//! What the server's loop asks of the operating system.
//!
//! A back end is an implementation of [`Datagrams`]. What is told apart here, and only here, is
//! one system from another.

#[cfg(target_os = "linux")]
mod address;
#[cfg(target_os = "linux")]
mod control;
#[cfg(target_os = "linux")]
mod linux;
mod portable;
#[cfg(test)]
pub(crate) mod script;

use std::fmt::Debug;
use std::io::{self, IoSlice};
use std::net::UdpSocket;
use std::num::NonZeroUsize;
use std::thread;
use std::time::Duration;

use socket2::SockRef;

use crate::batch::Batch;
use crate::replies::Message;

/// By which system calls a server receives and sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Io {
    /// Linux's own: many datagrams for each call (recvmmsg(2), sendmmsg(2)).
    #[cfg(target_os = "linux")]
    Linux,
    /// Those of any system, by way of the `quinn-udp` crate.
    Portable,
}

impl Default for Io {
    /// The fastest this system has.
    #[cfg(target_os = "linux")]
    fn default() -> Self {
        Self::Linux
    }

    /// The fastest this system has.
    #[cfg(not(target_os = "linux"))]
    fn default() -> Self {
        Self::Portable
    }
}

impl Io {
    /// Takes over a bound socket. If its datagrams are never to be `fragmented`, sending one that
    /// would have to be is an error.
    pub(crate) fn take(
        self,
        socket: UdpSocket,
        fragmented: bool,
    ) -> io::Result<Box<dyn Datagrams>> {
        Ok(match self {
            #[cfg(target_os = "linux")]
            Self::Linux => Box::new(linux::Mmsg::new(socket, fragmented)?),
            Self::Portable => Box::new(portable::Portable::new(socket, fragmented)?),
        })
    }
}

/// A socket of the server's: datagrams in, replies out. Several threads may use it at once.
pub(crate) trait Datagrams: Debug + Send + Sync {
    /// Receives what is there, up to a batch; with `wait`, waits for a first datagram.
    ///
    /// An error of the kind `WouldBlock` or `TimedOut` says that there was none, or none for
    /// [`STOP_CHECK`].
    fn receive(&self, batch: &mut Batch, wait: bool) -> io::Result<()>;

    /// Sends messages, and fails rather than wait. `parts` are the bytes of all of them; each
    /// message knows which are its own.
    ///
    /// Returns how many the system took before it stopped at one, or at a limit of its own. An
    /// error is that of the first message.
    fn send(&self, messages: &[Message], parts: &[IoSlice<'_>]) -> io::Result<NonZeroUsize>;

    /// Returns how many messages the system has dropped because the receive buffer was full, modulo
    /// 2^32; `None` if it does not say.
    fn drops(&self) -> Option<u32>;

    /// Waits before a receive that follows an error, so that no error can keep the loop busy.
    fn pause(&self, wait: Duration) {
        thread::sleep(wait);
    }
}

/// Returns what [`Datagrams::drops`] is to return of a socket.
#[cfg(target_os = "linux")]
fn drops(socket: &UdpSocket) -> Option<u32> {
    linux::drops(socket)
}

#[cfg(not(target_os = "linux"))]
fn drops(_: &UdpSocket) -> Option<u32> {
    None
}

/// Sets the receive buffer's size in bytes, as far as the system lets us.
pub(crate) fn set_receive_buffer(socket: &UdpSocket, bytes: usize) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    if linux::force_receive_buffer(socket, bytes).is_ok() {
        return Ok(());
    }
    SockRef::from(socket).set_recv_buffer_size(bytes)
}

/// How long a receive call waits at most.
pub(crate) const STOP_CHECK: Duration = Duration::from_millis(100);
