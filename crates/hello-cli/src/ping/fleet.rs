//! `hello-ping --targets`: probes the targets of a file, hundreds or thousands of them.

pub mod args;
pub mod file;
pub mod lookup;
mod output;
pub mod roster;
pub mod session;
pub mod watch;
