use thiserror::Error;

/// A datagram is not what the protocol says it is: the peer's fault.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq, Hash)]
pub enum DecodeError {
    /// The datagram is longer than any of its kind, or than the frame it is in can answer.
    #[error("datagram of {len} bytes is too long, at most {max} fit")]
    TooLong {
        /// The datagram's length, in bytes.
        len: usize,
        /// The longest length accepted, in bytes.
        max: usize,
    },
    /// The datagram is shorter than a reply to the empty name.
    #[error("datagram of {len} bytes is too short for a reply, which has at least {min}")]
    TooShort {
        /// The datagram's length, in bytes.
        len: usize,
        /// The length of the shortest reply, in bytes.
        min: usize,
    },
    /// A byte differs from the one that every reply has in its place.
    #[error("byte {at} is {found:#04x}, every reply has {expected:#04x} there")]
    UnexpectedByte {
        /// Where the first such byte stands, counted from 0.
        at: usize,
        /// The byte that stands there.
        found: u8,
        /// The byte that every reply of this length has there.
        expected: u8,
    },
}

/// A buffer cannot hold what was to be written to it: the caller's fault.
///
/// Nothing was written.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq, Hash)]
#[error("buffer of {available} bytes is too small, {needed} are needed")]
pub struct BufferTooSmall {
    /// How many bytes were to be written.
    pub needed: usize,
    /// How many bytes the buffer has.
    pub available: usize,
}

/// A name is too long for its reply to fit a datagram: the caller's fault.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq, Hash)]
#[error("name of {len} bytes is too long, at most {max} fit a greeting")]
pub struct NameTooLong {
    /// The name's length, in bytes.
    pub len: usize,
    /// The longest name's length, in bytes.
    pub max: usize,
}
