//! `hello-client`.

pub mod args;
pub mod names;
pub mod report;
pub mod session;
