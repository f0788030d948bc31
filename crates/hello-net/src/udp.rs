//! Batches of datagrams in and out of a UDP socket.
//!
//! [`DatagramSocket`](datagram_socket::DatagramSocket) is what the rest of the crate works with.
//! Each back end implements it; this file selects the native one.

#[cfg(feature = "__batches")]
pub(crate) mod backend;
#[cfg(feature = "__batches")]
pub(crate) mod batch;
#[cfg(feature = "__batches")]
pub(crate) mod datagram_socket;
#[cfg(feature = "__requests")]
pub(crate) mod earlier_send;
pub(crate) mod error_class;
#[cfg(all(feature = "__batches", target_os = "linux"))]
pub(crate) mod linux;
#[cfg(all(test, feature = "server"))]
pub(crate) mod mock;
#[cfg(all(feature = "__batches", not(target_os = "linux")))]
mod other;
#[cfg(feature = "__batches")]
mod portable;
#[cfg(feature = "__batches")]
pub(crate) mod recv_backoff;
#[cfg(any(feature = "probe", feature = "load"))]
pub(crate) mod reply_socket;
#[cfg(any(feature = "__batches", feature = "__requests"))]
pub(crate) mod socket;
pub(crate) mod socket_error;
#[cfg(all(test, feature = "server"))]
pub(crate) mod tests;
#[cfg(feature = "__batches")]
pub(crate) mod transmit;

#[cfg(all(feature = "__batches", target_os = "linux"))]
use self::linux as native;
#[cfg(all(feature = "__batches", not(target_os = "linux")))]
use self::other as native;
