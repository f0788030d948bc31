//! Stopping at SIGINT and SIGTERM.

use std::io::{self, ErrorKind, PipeReader, PipeWriter, Read, Write};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level;

/// Waits for SIGINT or SIGTERM, the polite ways to end a process.
#[derive(Debug)]
pub struct StopSignals {
    /// Has a byte for each signal.
    signals: PipeReader,
    raise: PipeWriter,
}

/// Ends a [`StopSignals::wait`] without a signal, when it is dropped.
#[derive(Debug)]
pub struct EndWait(PipeWriter);

impl StopSignals {
    /// Takes over both signals from now on. Any after the first do nothing more: some who send
    /// signals, as timeout(1) does, send them twice.
    ///
    /// # Errors
    ///
    /// What the system reports of the pipe or the registration.
    pub fn register() -> io::Result<Self> {
        let (signals, raise) = io::pipe()?;
        for signal in [SIGINT, SIGTERM] {
            low_level::pipe::register(signal, raise.try_clone()?)?;
        }
        Ok(Self { signals, raise })
    }

    /// Waits until a signal comes or the wait is ended.
    pub fn wait(&mut self) {
        while let Err(error) = self.signals.read_exact(&mut [0]) {
            if error.kind() != ErrorKind::Interrupted {
                return;
            }
        }
    }

    /// Returns what ends [`wait`](Self::wait) without a signal, when it is dropped.
    ///
    /// # Errors
    ///
    /// What the system reports of one more file descriptor.
    pub fn end_wait(&self) -> io::Result<EndWait> {
        self.raise.try_clone().map(EndWait)
    }
}

impl Drop for EndWait {
    fn drop(&mut self) {
        // A full pipe is as good as one byte more.
        let _ = self.0.write(&[0]);
    }
}
