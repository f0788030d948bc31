//! The constants of the wire format, each derived from the ones above it.

/// The bytes before the name in a reply.
pub const PREFIX: &[u8] = b"Hello, ";

/// The bytes after the name in a reply.
pub const SUFFIX: &[u8] = b"!";

/// The difference in length between a reply and its request, in bytes.
pub const OVERHEAD: usize = PREFIX.len() + SUFFIX.len();

/// The longest datagram, in bytes of payload: IPv4's 16-bit total length, less an IP header of 20
/// bytes and a UDP header of 8 (RFC 791, RFC 768).
///
/// IPv6 could carry 20 more. The protocol has one limit, so that a reply fits both families.
pub const MAX_DATAGRAM_LEN: usize = u16::MAX as usize - 20 - 8;

/// The longest name, in bytes, whose reply fits a datagram.
pub const MAX_NAME_LEN: usize = MAX_DATAGRAM_LEN - OVERHEAD;

/// The default UDP port of a server.
pub const DEFAULT_PORT: u16 = 9999;
