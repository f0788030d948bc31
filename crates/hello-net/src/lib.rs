#![cfg_attr(all(feature = "server", feature = "client"), doc = include_str!("../README.md"))]
// The example in the README needs both.
#![cfg_attr(not(all(feature = "server", feature = "client")), doc = "Hello over UDP sockets.")]

#[cfg(feature = "client")]
mod client;
#[cfg(any(feature = "probe", feature = "load"))]
mod clock;
#[cfg(feature = "probe")]
mod fleet;
#[cfg(feature = "load")]
mod load;
#[cfg(any(feature = "probe", feature = "load"))]
mod packet_options;
#[cfg(feature = "probe")]
mod prober;
#[cfg(any(feature = "probe", feature = "load"))]
mod requester;
#[cfg(feature = "server")]
mod server;
#[cfg(any(feature = "__batches", feature = "__requests"))]
mod stopper;
#[cfg_attr(
    not(all(feature = "server", feature = "probe", feature = "load")),
    expect(clippy::allow_attributes, reason = "which of it is unused depends on the features"),
    allow(dead_code, unreachable_pub, unused_imports, reason = "what uses the rest is off")
)]
mod sys;
#[cfg(feature = "__batches")]
mod thread;
#[cfg_attr(
    not(all(feature = "server", feature = "probe", feature = "load")),
    expect(clippy::allow_attributes, reason = "which of it is unused depends on the features"),
    allow(dead_code, reason = "what uses the rest is off")
)]
mod udp;
#[cfg(feature = "server")]
mod xdp;
mod zoned_addr;

#[cfg(feature = "client")]
pub use client::{
    Client,
    builder::{ClientBuilder, ClientError},
    event::{Greeting, NoReply, Progress, Unanswered, UnansweredCause},
};
#[cfg(feature = "probe")]
pub use fleet::{
    Fleet,
    builder::FleetBuilder,
    event::{FleetEvent, FleetEventKind},
    handle::{FleetCounts, FleetHandle, TargetId},
    plan::{FleetError, FleetPlan},
};
pub use hello_measure;
pub use hello_proto;
#[cfg(feature = "server")]
pub use ipnet::IpNet;
#[cfg(feature = "load")]
pub use load::{
    LoadGenerator,
    builder::LoadBuilder,
    contact::Contact,
    error::LoadError,
    event::{GeneratorUsage, LoadEvent, LoadEventKind},
    plan::{ArrivalProcess, LoadPlan, Pacing, Sources, WaitStrategy},
};
#[cfg(any(feature = "probe", feature = "load"))]
pub use packet_options::PacketOptions;
#[cfg(feature = "probe")]
pub use prober::{
    Prober,
    builder::ProberBuilder,
    event::{ProbeEvent, ProbeEventKind},
    mtu::{
        MtuProber,
        event::{MtuEvent, MtuEventKind},
    },
    plan::{ProbeError, ProbePlan},
    trace_handle::TraceHandle,
};
#[cfg(any(feature = "probe", feature = "load"))]
pub use requester::NotSent;
#[cfg(feature = "server")]
pub use server::{
    Server, ServerError,
    builder::ServerBuilder,
    counters::ServerCounters,
    event::{EventFilter, Outcome, ServerEvent},
    rate_limit::RateLimit,
};
#[cfg(any(feature = "__batches", feature = "__requests"))]
pub use stopper::Stopper;
pub use sys::BorrowedSocket;
pub use sys::error_class::ErrorClass;
#[cfg(any(feature = "probe", feature = "load"))]
pub use sys::fragmentation::PathMtuDiscovery;
#[cfg(feature = "server")]
pub use sys::{xdp_error::XdpError, xdp_mode::XdpMode};
#[cfg(feature = "__batches")]
pub use udp::backend::Backend;
pub use udp::socket_error::SocketError;
#[cfg(feature = "server")]
pub use xdp::{
    counters::{DriverCounters, Passed},
    interface::{XdpInterface, XdpState},
};
pub use zoned_addr::ZonedAddr;

#[cfg(all(fuzzing, feature = "__batches"))]
pub use sys::system::fuzzing;
