//! Options that several tools have, and the values of options.

pub mod address_family;
pub mod backend;
pub mod common;
pub mod duration;
pub mod endpoint;
pub mod generate;
pub mod network;
