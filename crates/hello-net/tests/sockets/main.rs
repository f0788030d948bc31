//! The server and the client over real sockets on the loopback, on ports the system chooses.

mod adopted;
mod batches;
mod client;
mod load;
#[path = "../../../../tests/support/network.rs"]
mod network;
mod prober;
mod server;
