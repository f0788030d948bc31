//! What the server's loop asks of the operating system.
//!
//! A back end is an implementation of [`Datagrams`]. What is told apart here, and only here, is
//! one system from another.

mod portable;
#[cfg(test)]
pub(crate) mod script;

use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

/// A socket of the server's: datagrams in, replies out.
pub(crate) trait Datagrams {
    /// Waits for a datagram and receives it into `space`; what does not fit is cut off.
    ///
    /// Returns how many bytes it put there, and who sent them. An error of the kind
    /// `WouldBlock` or `TimedOut` says that none came for a while.
    fn receive(&self, space: &mut [u8]) -> io::Result<(usize, SocketAddr)>;

    /// Sends a reply, and fails rather than wait.
    fn send_reply(&self, reply: &[u8], to: SocketAddr) -> io::Result<()>;

    /// Waits before a receive that follows an error, so that no error can keep the loop busy.
    fn pause(&self, wait: Duration) {
        thread::sleep(wait);
    }
}
