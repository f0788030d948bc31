use std::io;

use crate::sys::latch::Latch;

/// Two requests to the threads of a run: to stop in order, and to stop at once.
#[derive(Debug)]
pub(crate) struct StopFlags {
    /// Begin nothing new.
    pub(crate) stop: Latch,
    /// Wait for nothing that was begun, either.
    pub(crate) abort: Latch,
}

impl StopFlags {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { stop: Latch::new()?, abort: Latch::new()? })
    }

    /// Raises both flags.
    pub(crate) fn abort(&self) {
        self.abort.raise();
        self.stop.raise();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn to_abort_is_to_stop_too() {
        let flags = StopFlags::new().expect("sockets");
        flags.stop.raise();
        assert!(!flags.abort.is_raised());
        flags.abort();
        assert!(flags.abort.is_raised() && flags.stop.is_raised());
    }
}
