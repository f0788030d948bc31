//! `hello-server`: runs a [`Server`](hello_net::Server) as a service.

pub mod args;
pub mod housekeeping;
pub mod log;
pub mod metrics;
pub mod rate_limit;
pub mod report;
pub mod session;
pub mod systemd;
pub mod xdp;
