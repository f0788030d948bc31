//! `hello-load`: generates a load and summarises the result.
//!
//! A [`Recorder`](recorder::Recorder) records the events of one thread, and returns the
//! [`Summary`](summary::Summary) of a run, from which every output is made. A search or a sweep is
//! a sequence of runs.

pub mod args;
pub mod conclusion;
pub mod diagnosis;
#[cfg(test)]
mod fixtures;
pub mod no_contact;
pub mod output;
pub mod plan;
pub mod progress;
pub mod rate_limit;
pub mod recorder;
pub mod saturation;
pub mod session;
pub mod summary;
pub mod throughput;
