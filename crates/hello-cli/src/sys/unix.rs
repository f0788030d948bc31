//! Linux, macOS, and the rest of the Unix family.

pub(super) mod files;
pub(super) mod manager;
pub(super) mod signals;

use std::io;
pub(crate) use std::os::fd::AsFd as AsStream;

use rustix::io::Errno;

/// Returns the name of this machine.
pub(crate) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Returns how many bytes wait in standard output for its reader, if that is a pipe.
pub(crate) fn unread_in_stdout() -> Option<u64> {
    rustix::io::ioctl_fionread(io::stdout()).ok()
}

/// Returns the same for standard error.
pub(crate) fn unread_in_stderr() -> Option<u64> {
    rustix::io::ioctl_fionread(io::stderr()).ok()
}

/// Returns how many bytes of datagrams a socket buffer holds that the system reports to have this
/// size: Linux doubles what was requested, for its own bookkeeping (SO_RCVBUF, socket(7)).
pub(crate) fn usable_buffer(size: usize) -> usize {
    if cfg!(target_os = "linux") { size / 2 } else { size }
}

/// Returns advice for an error caused by a lack of file descriptors; `None` for other errors.
pub(crate) fn descriptor_advice(error: &io::Error) -> Option<&'static str> {
    match Errno::from_io_error(error)? {
        Errno::MFILE => Some("raise the limit on open files (`ulimit -n`)"),
        Errno::NFILE => Some(
            "close other programs or raise the system's limit (fs.file-max); a higher `ulimit -n` \
             does not help",
        ),
        _ => None,
    }
}
