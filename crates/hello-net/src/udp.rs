//! How the rest of the crate uses UDP sockets: which calls move the datagrams, what an error means
//! for the loop, and sockets that receive replies.

#[cfg(feature = "__batches")]
pub(crate) mod backend;
#[cfg(feature = "__requests")]
pub(crate) mod earlier_send;
#[cfg(all(test, feature = "server"))]
pub(crate) mod mock;
#[cfg(feature = "__batches")]
pub(crate) mod recv_backoff;
#[cfg(any(feature = "probe", feature = "load"))]
pub(crate) mod reply_socket;
pub(crate) mod socket_error;
#[cfg(all(test, feature = "server"))]
pub(crate) mod tests;
