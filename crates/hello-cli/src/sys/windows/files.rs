//! Files. Named pipes are opened like these.

use std::fs::{self, File, FileType, OpenOptions};
use std::io;
use std::path::Path;
use std::time::Duration;

pub(crate) fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

pub(crate) fn special_kind(_: FileType) -> Option<&'static str> {
    None
}

pub(crate) fn write(path: &Path, bytes: &[u8], _patience: Duration) -> io::Result<()> {
    fs::write(path, bytes)
}
