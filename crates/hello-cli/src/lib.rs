//! The implementation of `hello-server`, `hello-client`, `hello-ping` and `hello-load`.
//!
//! This crate is not a library for others: its interface changes with the tools.

pub mod args;
pub mod client;
pub mod load;
pub mod output;
pub mod ping;
pub mod process;
pub mod server;
mod sys;

/// Compiles and runs the Rust examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
