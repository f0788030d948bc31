//! Options of several tools, and the parsers of their values.

pub mod backend;
pub mod common;
pub mod endpoint;
pub mod first_reply;
pub mod generate;
pub mod listen;
pub(crate) mod manual;
pub mod network;
pub mod number;
pub mod packet;
pub mod peer;
pub mod resolve;
