//! Files, and what has the name of a file and is none.

use std::fs::{self, File, FileType, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;

/// Creates a file for writing, with the mode that any new file has. The umask applies.
pub(crate) fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o666).open(path)
}

/// Names a kind of file that not every system has.
pub(crate) fn special_kind(found: FileType) -> Option<&'static str> {
    match found {
        _ if found.is_fifo() => Some("a pipe (FIFO)"),
        _ if found.is_socket() => Some("a socket"),
        _ => None,
    }
}

/// Writes a file, or to an existing pipe, and waits for its reader for at most `patience` at a time.
pub(crate) fn write(path: &Path, bytes: &[u8], patience: Duration) -> io::Result<()> {
    let is_pipe = path.metadata().is_ok_and(|found| found.file_type().is_fifo());
    if is_pipe { write_pipe(path, bytes, patience) } else { fs::write(path, bytes) }
}

fn write_pipe(path: &Path, mut bytes: &[u8], patience: Duration) -> io::Result<()> {
    let unread = || io::Error::new(io::ErrorKind::TimedOut, "no process is reading the pipe");
    let (start, nonblocking) = (Instant::now(), OFlags::NONBLOCK.bits().cast_signed());
    let mut pipe = loop {
        let opened = OpenOptions::new().write(true).custom_flags(nonblocking).open(path);
        match opened {
            // There is no reader yet.
            Err(error) if Errno::from_io_error(&error) == Some(Errno::NXIO) => {
                if start.elapsed() > patience {
                    return Err(unread());
                }
                thread::sleep(CHECK_PERIOD);
            }
            opened => break opened?,
        }
    };
    let patience = Timespec::try_from(patience).map_err(io::Error::other)?;
    while !bytes.is_empty() {
        match pipe.write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let mut polled = [PollFd::new(&pipe, PollFlags::OUT)];
                match poll(&mut polled, Some(&patience)) {
                    Ok(0) => return Err(unread()),
                    // Interrupted by a signal: try again.
                    Ok(_) | Err(Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The period at which a pipe is checked for a reader.
const CHECK_PERIOD: Duration = Duration::from_millis(20);
