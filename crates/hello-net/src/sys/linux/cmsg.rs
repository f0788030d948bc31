//! Linux's control messages as bytes (cmsg(3)). Safe code, which trusts no length in them.

use std::mem::size_of;
use std::time::Duration;

use libc::{c_int, c_long};

/// Control messages on their way to or from the system: room for `N` bytes, a multiple of 8.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct ControlBuf<const N: usize> {
    bytes: [u8; N],
}

impl<const N: usize> ControlBuf<N> {
    pub(crate) const EMPTY: Self = Self { bytes: [0; N] };

    pub(super) fn as_mut_ptr(&mut self) -> *mut u8 {
        self.bytes.as_mut_ptr()
    }

    /// Returns the first `len` bytes, or all.
    pub(super) fn bytes(&self, len: usize) -> &[u8] {
        &self.bytes[..len.min(N)]
    }

    /// Writes a control message at `start`, and returns the room it takes.
    pub(super) fn put(&mut self, start: usize, level: c_int, kind: c_int, data: &[u8]) -> usize {
        let message = &mut self.bytes[start..][..space(data.len())];
        message[..LEVEL].copy_from_slice(&(HEADER_LEN + data.len()).to_ne_bytes());
        message[LEVEL..KIND].copy_from_slice(&level.to_ne_bytes());
        message[KIND..HEADER_LEN].copy_from_slice(&kind.to_ne_bytes());
        message[HEADER_LEN..][..data.len()].copy_from_slice(data);
        message.len()
    }
}

/// A control message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ControlMessage<'a> {
    pub(crate) level: c_int,
    pub(crate) kind: c_int,
    pub(crate) data: &'a [u8],
}

/// Yields control messages. What follows a malformed one is not read.
pub(crate) fn messages(mut bytes: &[u8]) -> impl Iterator<Item = ControlMessage<'_>> {
    std::iter::from_fn(move || {
        let (message, rest) = split(bytes)?;
        bytes = rest;
        Some(message)
    })
}

/// Splits off the first control message.
fn split(bytes: &[u8]) -> Option<(ControlMessage<'_>, &[u8])> {
    let len = usize::from_ne_bytes(first(bytes)?);
    let level = c_int::from_ne_bytes(first(bytes.get(LEVEL..)?)?);
    let kind = c_int::from_ne_bytes(first(bytes.get(KIND..)?)?);
    let data = bytes.get(HEADER_LEN..len)?;
    let rest = bytes.get(space(data.len())..).unwrap_or_default();
    Some((ControlMessage { level, kind, data }, rest))
}

/// Reads a `struct timespec`: seconds and nanoseconds since 1970 (UTC).
pub(crate) fn time(data: &[u8]) -> Option<Duration> {
    let seconds = c_long::from_ne_bytes(first(data)?);
    let nanos = c_long::from_ne_bytes(first(data.get(size_of::<c_long>()..)?)?);
    let seconds = Duration::from_secs(seconds.try_into().ok()?);
    seconds.checked_add(Duration::from_nanos(nanos.try_into().ok()?))
}

/// Returns the first bytes, if there are as many.
pub(crate) fn first<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.first_chunk().copied()
}

/// Returns the room that a control message with this many bytes of data takes (CMSG_SPACE).
pub(crate) const fn space(data: usize) -> usize {
    (HEADER_LEN + data).next_multiple_of(size_of::<usize>())
}

/// The offset of a control message's level, behind its length (a `size_t` to the kernel).
pub(crate) const LEVEL: usize = size_of::<usize>();
/// The offset of its type.
pub(crate) const KIND: usize = LEVEL + size_of::<c_int>();
/// The offset of its data; a multiple of the alignment on every machine.
pub(crate) const HEADER_LEN: usize = KIND + size_of::<c_int>();

/// Returns a control message as the kernel lays it out, padded with these bytes.
#[cfg(test)]
pub(crate) fn padded(level: c_int, kind: c_int, data: &[u8], padding: u8) -> Vec<u8> {
    let len = (HEADER_LEN + data.len()).to_ne_bytes();
    let mut bytes = [&len[..], &level.to_ne_bytes(), &kind.to_ne_bytes(), data].concat();
    bytes.resize(space(data.len()), padding);
    bytes
}
