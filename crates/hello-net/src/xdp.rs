//! Answers plain requests in the drivers of network interfaces (XDP), before they reach a socket.
//!
//! The program is `xdp/hello.bpf.c`. This module decides what it answers: [`services`] are the addresses
//! it answers for, [`slots`] is where it finds each of them, [`sources`] are those it answers, and
//! [`driver`] keeps all as the interfaces are.

pub(crate) mod counters;
pub(crate) mod driver;
pub(crate) mod interface;
mod services;
mod slots;
mod sources;
#[cfg(test)]
mod tests;
