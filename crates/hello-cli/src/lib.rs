//! What the command-line tools share: they parse, call [`hello_net`], and print.
//!
//! Not a library for others; its interface changes with the tools.

pub mod args;
pub mod client;
pub mod load;
pub mod output;
pub mod ping;
pub mod process;
pub mod server;

/// The README's Rust is compiled and run with the documentation tests. Here, because this package
/// is not published: the file is outside.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
