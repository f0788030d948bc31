//! Server, client, prober, fleet and load generator over real sockets on the loopback, on ports that the
//! system chooses.

mod adopted;
mod batches;
mod client;
mod codes;
mod fleet;
#[cfg(target_os = "linux")]
mod link_down;
mod load;
#[cfg(target_os = "linux")]
mod mtu;
#[path = "../../../../tests/support/network.rs"]
mod network;
mod packet_options;
mod prober;
mod server;
