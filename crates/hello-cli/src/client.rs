//! `hello-client`: sends names and prints greetings.

pub mod args;
pub mod names;
pub mod report;
pub mod session;
