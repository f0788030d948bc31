#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;

mod error;
mod escape;
mod frame;
mod guard;
mod peer;
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
pub use peer::Peer;
#[cfg(feature = "alloc")]
pub use rate_limit::{Bucket, BucketKey, Decision, Decisions, Limiter, Rate, RateTooHigh};
pub use reply::Reply;
pub use request::Request;
pub use retry::{Delays, Retry};
pub use token::Token;
pub use wire::{DEFAULT_PORT, MAX_DATAGRAM_LEN, MAX_NAME_LEN, OVERHEAD, PREFIX, SUFFIX};
