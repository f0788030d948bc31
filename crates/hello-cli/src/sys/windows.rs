//! Windows.

pub(super) mod files;
pub(super) mod manager;
pub(super) mod signals;

use std::env;
use std::io;
pub(crate) use std::os::windows::io::AsHandle as AsStream;

/// Returns the name of this machine, as its environment has it.
pub(crate) fn host_name() -> String {
    env::var("COMPUTERNAME").unwrap_or_default()
}

/// The system does not report how far a reader is.
pub(crate) fn unread_in_stdout() -> Option<u64> {
    None
}

pub(crate) fn unread_in_stderr() -> Option<u64> {
    None
}

pub(crate) fn usable_buffer(size: usize) -> usize {
    size
}

/// A process has no small limit of handles.
pub(crate) fn descriptor_advice(_: &io::Error) -> Option<&'static str> {
    None
}
