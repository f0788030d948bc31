//! [Hello](hello_proto) over UDP sockets: a [`Server`] that accounts for every datagram, a
//! [`Client`] that asks with deadlines, a [`Prober`] that asks at fixed times, and a [`Loader`] that
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

mod asking;
mod batch;
mod builder;
mod class;
mod client;
mod clock;
mod counters;
mod endpoint;
mod event;
mod flow;
mod limit;
mod load;
mod message;
mod patience;
mod probe;
mod prober;
mod random;
mod replies;
mod server;
mod socket;
mod stop_flags;
mod sys;
mod worker;

pub use builder::Builder;
pub use class::ErrorClass;
pub use client::{Client, Greeting, NoAddress, Progress, Silence, Unanswered};
pub use counters::Counters;
pub use event::{Event, Outcome};
pub use ipnet::IpNet;
pub use limit::RateLimit;
pub use load::{
    Arrivals, Effort, Idle, LoadError, LoadEvent, LoadEventKind, LoadPlan, Loader, Observer, Offer,
    Sources,
};
pub use probe::{NotSent, ProbeError, ProbeEvent, ProbeEventKind, ProbePlan};
pub use prober::Prober;
pub use server::{Server, ServerError};
pub use sys::Io;

/// What fuzz targets see besides.
#[cfg(all(fuzzing, target_os = "linux"))]
pub mod fuzzing {
    pub use crate::sys::read_control;
}

/// The README's Rust is compiled and run with the documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
