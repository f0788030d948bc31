//! What `hello-server` does beside serving.

pub mod args;
pub mod chores;
pub mod limit;
pub mod metrics;
pub mod report;
pub mod supervisor;
