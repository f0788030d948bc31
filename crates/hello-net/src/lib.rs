//! [Hello](hello_proto) over UDP sockets: a server, a client, a prober and a load generator.
//!
//! | type | feature | |
//! |---|---|---|
//! | [`Server`] | `server` | answers requests, and counts the outcome of every datagram |
//! | [`Client`] | `client` | gets one reply, with deadlines, from a host with several addresses |
//! | [`Prober`] | `probe` | measures a path with probes on an absolute schedule |
//! | [`LoadGenerator`] | `load` | offers a load in an open or a closed loop |
//!
//! All features are on by default. Each type has a builder, runs on threads of its own, shows
//! events to a closure, and is ended by a [`Stopper`].
//!
//! ```
//! # #[cfg(all(feature = "server", feature = "client"))]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::net::Ipv4Addr;
//! use std::thread;
//!
//! use hello_net::{Client, Server};
//! use hello_proto::Request;
//!
//! let server = Server::builder().bind([(Ipv4Addr::LOCALHOST, 0).into()])?;
//! let mut client = Client::builder().connect(server.local_addrs())?;
//!
//! thread::scope(|scope| {
//!     scope.spawn(|| server.serve(|_event| ()));
//!     let greeting = client.greet(Request::new(b"Tracy")?, |_progress| ());
//!     server.stopper().stop();
//!     assert_eq!(greeting?.attempts, 1);
//!     Ok::<_, Box<dyn std::error::Error>>(())
//! })?;
//! assert_eq!(server.counters().answered(), 1);
//! # Ok(())
//! # }
//! # #[cfg(not(all(feature = "server", feature = "client")))]
//! # fn main() {}
//! ```
//!
//! A stranger's datagram never makes a function of this crate return `Err`: it is counted, or shown
//! to the caller's observer. `Err` means that a socket of our own is broken, or that nobody
//! answered.

#[cfg(feature = "client")]
mod client;
#[cfg(any(feature = "probe", feature = "load"))]
mod clock;
#[cfg(feature = "load")]
mod load;
#[cfg(feature = "probe")]
mod prober;
#[cfg(any(feature = "probe", feature = "load"))]
mod requester;
#[cfg(feature = "server")]
mod server;
#[cfg(any(feature = "__batches", feature = "__requests"))]
mod stopper;
#[cfg_attr(
    not(all(feature = "server", feature = "load")),
    expect(clippy::allow_attributes, reason = "which of it is unused depends on the features"),
    allow(dead_code, unused_imports, reason = "what uses the rest is off")
)]
mod sys;
#[cfg(feature = "__batches")]
mod thread;
#[cfg_attr(
    not(feature = "server"),
    expect(clippy::allow_attributes, reason = "which of it is unused depends on the features"),
    allow(dead_code, reason = "what uses the rest is off")
)]
mod udp;

#[cfg(feature = "client")]
pub use client::{
    Client,
    builder::{ClientBuilder, ClientError},
    event::{Greeting, NoReply, Progress, Unanswered, UnansweredCause},
};
pub use hello_measure;
pub use hello_proto;
#[cfg(feature = "server")]
pub use ipnet::IpNet;
#[cfg(feature = "load")]
pub use load::{
    LoadGenerator,
    builder::LoadBuilder,
    error::LoadError,
    event::{GeneratorUsage, LoadEvent, LoadEventKind},
    plan::{ArrivalProcess, LoadPlan, Pacing, Sources, WaitStrategy},
};
#[cfg(feature = "probe")]
pub use prober::{
    Prober,
    builder::ProberBuilder,
    event::{ProbeEvent, ProbeEventKind},
    plan::{ProbeError, ProbePlan},
};
#[cfg(any(feature = "probe", feature = "load"))]
pub use requester::NotSent;
#[cfg(feature = "server")]
pub use server::{
    Server, ServerError,
    builder::ServerBuilder,
    counters::ServerCounters,
    event::{Outcome, ServerEvent},
    rate_limit::RateLimit,
};
#[cfg(any(feature = "__batches", feature = "__requests"))]
pub use stopper::Stopper;
#[cfg(feature = "__batches")]
pub use udp::backend::Backend;
pub use udp::error_class::ErrorClass;
pub use udp::socket_error::SocketError;

/// What fuzz targets see besides.
#[cfg(all(fuzzing, target_os = "linux"))]
pub mod fuzzing {
    pub use crate::udp::linux::cmsg::read_control;
}
