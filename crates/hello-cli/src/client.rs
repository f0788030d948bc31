//! `hello-client`.

pub mod names;
pub mod report;
