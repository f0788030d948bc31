//! Options of several tools, and the parsers of their values.

pub mod address_family;
pub mod backend;
pub mod common;
pub mod endpoint;
pub mod generate;
pub mod network;
pub mod number;
pub mod peer;
