//! [Hello](hello_proto) over UDP sockets: a [`Server`] that accounts for every datagram, a
//! [`Client`] that asks with deadlines, a [`Prober`] that asks at fixed times, and a [`LoadGenerator`] that
//! asks as much as it is told to.
//!
//! ```
//! use std::net::Ipv4Addr;
//! use std::thread;
//!
//! use hello_net::{Client, Server};
//! use hello_proto::Request;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
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
//! ```
//!
//! What a stranger sends never makes a function of this crate return `Err`: it is counted, or
//! reported to the caller's observer. `Err` means that a socket of our own is broken, or that
//! nobody answered.

mod client;
mod clock;
mod load;
mod prober;
mod requester;
mod server;
mod stopper;
mod sys;
mod thread;
mod udp;

pub use client::Client;
pub use client::builder::{ClientBuilder, ClientError};
pub use client::event::{Greeting, NoReply, Progress, Unanswered, UnansweredCause};
pub use ipnet::IpNet;
pub use load::LoadGenerator;
pub use load::builder::LoadBuilder;
pub use load::error::LoadError;
pub use load::event::{GeneratorUsage, LoadEvent, LoadEventKind};
pub use load::plan::{ArrivalProcess, LoadPlan, Pacing, Sources, WaitStrategy};
pub use prober::Prober;
pub use prober::builder::ProberBuilder;
pub use prober::event::{ProbeEvent, ProbeEventKind};
pub use prober::plan::{ProbeError, ProbePlan};
pub use requester::NotSent;
pub use server::builder::ServerBuilder;
pub use server::counters::ServerCounters;
pub use server::event::{Outcome, ServerEvent};
pub use server::rate_limit::RateLimit;
pub use server::{Server, ServerError};
pub use stopper::Stopper;
pub use udp::Backend;
pub use udp::error_class::ErrorClass;
pub use udp::socket_error::SocketError;

/// What fuzz targets see besides.
#[cfg(all(fuzzing, target_os = "linux"))]
pub mod fuzzing {
    pub use crate::udp::linux::cmsg::read_control;
}
