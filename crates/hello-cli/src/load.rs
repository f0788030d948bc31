//! What `hello-load` offers, and what comes of it.
//!
//! [`Recorder`](recorder::Recorder) adds up what one thread of the generator sees,
//! [`Summary`](summary::Summary) is what a run comes to, and every form of output has it for its
//! argument. A search or a sweep is one run after the other.

pub mod args;
pub mod diagnosis;
#[cfg(test)]
mod fixtures;
pub mod output;
pub mod plan;
pub mod rate_limit;
pub mod recorder;
pub mod saturation;
pub mod session;
pub mod summary;
pub mod throughput;
