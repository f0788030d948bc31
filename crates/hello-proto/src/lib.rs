//! Hello, a greeting protocol over datagrams, without sockets, clocks or allocation.
//!
//! A request is a name: any bytes, none included. The reply is `Hello, `, the name, and `!`.
//! There is nothing else on the wire.
//!
//! ```
//! use hello_proto::Request;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let datagram = b"Michael";
//! # let mut buf = [0; 64];
//! let reply = Request::decode(datagram)?.reply(); // total: every request has a reply
//! let bytes = reply.encode(&mut buf)?; // only the caller's buffer can fail
//! assert_eq!(bytes, b"Hello, Michael!");
//! # Ok(())
//! # }
//! ```
//!
//! [`Request`] and [`Reply`] are views over somebody else's bytes. The rest is for those who
//! build a peer on them:
//!
//! | to | use |
//! |---|---|
//! | answer in the buffer that the request was received into | [`Frame`] |
//! | decide what may be answered, before it is | [`Guard`] |
#![cfg_attr(feature = "alloc", doc = "| hold each source to a rate | [`Limiter`] |")]
//! | ask again, and know when | [`Retry`] |
//! | recognise one's own replies among others | [`Token`] |
//!
//! The crate is `no_std` and forbids unsafe code. The feature `bytes`, on by default, adds
//! [`Reply::put`] and [`Reply::decode_name`]; the feature `alloc` adds what needs memory of its
//! own, `Limiter`.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;

mod error;
mod frame;
mod guard;
#[cfg(feature = "alloc")]
mod rate_limit;
mod reply;
mod request;
mod retry;
mod token;
mod wire;

pub use error::{BufferTooSmall, DecodeError, NameTooLong};
pub use frame::Frame;
pub use guard::{Guard, Refusal};
#[cfg(feature = "alloc")]
pub use rate_limit::{Bucket, Decision, Limiter, Rate, RateTooHigh};
pub use reply::Reply;
pub use request::Request;
pub use retry::{Delays, Retry};
pub use token::Token;
pub use wire::{DEFAULT_PORT, MAX_DATAGRAM_LEN, MAX_NAME_LEN, OVERHEAD, PREFIX, SUFFIX};
