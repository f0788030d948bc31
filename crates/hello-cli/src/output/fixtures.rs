//! Outputs for tests, and what they have in common.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use crate::process::lock;

/// An output in memory, which a test keeps a handle to.
#[derive(Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<Vec<u8>>>);

impl Memory {
    pub(crate) fn text(&self) -> String {
        let bytes = lock(&self.0).clone();
        String::from_utf8(bytes).expect("UTF-8")
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.text().lines().map(str::to_owned).collect()
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        lock(&self.0).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An output that fails with this error.
pub(crate) struct Broken(pub(crate) io::ErrorKind);

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Removes the time of day from the end of a JSON line.
pub(crate) fn untimed(line: &str) -> String {
    let (line, time) = line.rsplit_once(r#","time":""#).expect("a time");
    assert!(time.ends_with("Z\"}"), "{time}");
    format!("{line}}}")
}
