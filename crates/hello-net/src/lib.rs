//! [Hello](hello_proto) over UDP sockets: a [`Server`] that accounts for every datagram, a
//! [`Client`] that asks with deadlines, a [`Prober`] that asks at fixed times, and a [`LoadGenerator`] that
//! asks as much as it is told to.
//!
//! ```
//! use std::net::Ipv4Addr;
//! use std::thread;
//!
//! use hello_net::{Client, Server};
//! use hello_proto::{Request, Retry};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::builder().bind([(Ipv4Addr::LOCALHOST, 0).into()])?;
//! let mut client = Client::new(server.local_addrs(), Retry::default())?;
//!
//! thread::scope(|scope| {
//!     scope.spawn(|| server.serve(|_event| ()));
//!     let greeting = client.greet(Request::new(b"Tracy")?, |_progress| ());
//!     server.stop();
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
mod stop_flags;
mod sys;
mod thread;
mod udp;

pub use client::{Client, Greeting, NoAddress, NoReply, Progress, Unanswered};
pub use ipnet::IpNet;
pub use load::event::{GeneratorUsage, LoadEvent, LoadEventKind};
pub use load::plan::{ArrivalProcess, LoadError, LoadPlan, Pacing, Sources, WaitStrategy};
pub use load::{LoadGenerator, Observer};
pub use prober::Prober;
pub use prober::plan::{NotSent, ProbeError, ProbeEvent, ProbeEventKind, ProbePlan};
pub use server::builder::ServerBuilder;
pub use server::counters::ServerCounters;
pub use server::event::{Outcome, ServerEvent};
pub use server::rate_limit::RateLimit;
pub use server::{Server, ServerError};
pub use udp::Backend;
pub use udp::error_class::ErrorClass;

/// What fuzz targets see besides.
#[cfg(all(fuzzing, target_os = "linux"))]
pub mod fuzzing {
    pub use crate::udp::linux::cmsg::read_control;
}
