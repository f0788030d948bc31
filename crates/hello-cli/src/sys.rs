//! What differs between operating systems for a program in a terminal: signals, files that are none,
//! and the service manager.
//!
//! Each system is one file, or a file and its folder, with the same functions, which this file
//! lists. Sockets and clocks are up to `hello-net`.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
use self::unix as system;
#[cfg(windows)]
use self::windows as system;

pub(crate) use self::system::files::{create_new, special_kind, write};
pub(crate) use self::system::manager::{ManagerSocket, inherited_sockets};
pub(crate) use self::system::signals::{
    SIGHUP, SIGQUIT, SIGUSR1, Signal, default_action, handle, stop_signals,
};
pub(crate) use self::system::{
    AsStream, descriptor_advice, host_name, unread_in_stderr, unread_in_stdout, usable_buffer,
};
