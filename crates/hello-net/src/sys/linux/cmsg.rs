//! Reads Linux's control messages as bytes (cmsg(3)). Safe code, which trusts no length in them.

use std::mem::size_of;
use std::time::Duration;

use libc::{c_int, c_long};

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
