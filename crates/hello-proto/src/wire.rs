//! The facts of the wire, each derived from the ones above it.

/// What stands before the name in a reply.
pub const PREFIX: &[u8] = b"Hello, ";

/// What stands behind the name in a reply.
pub const SUFFIX: &[u8] = b"!";

/// How many bytes longer a reply is than its request.
pub const OVERHEAD: usize = PREFIX.len() + SUFFIX.len();

/// The longest datagram, in bytes of payload: what IPv4's 16-bit total length leaves behind an
/// IP header of 20 bytes and a UDP header of 8 (RFC 791, RFC 768). IPv6 could carry 20 more; a
/// reply that fits one family only would be a trap, so the protocol has one limit.
pub const MAX_DATAGRAM_LEN: usize = u16::MAX as usize - 20 - 8;

/// The longest name, in bytes: the one whose reply just fits a datagram.
pub const MAX_NAME_LEN: usize = MAX_DATAGRAM_LEN - OVERHEAD;

/// The UDP port a server listens on unless told otherwise.
pub const DEFAULT_PORT: u16 = 9999;
