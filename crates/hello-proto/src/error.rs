use thiserror::Error;

/// An error of a peer: a received datagram does not follow the protocol.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq, Hash)]
pub enum DecodeError {
    /// The datagram is longer than the protocol allows, or than its frame can answer.
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
    /// A byte of the prefix or the suffix is wrong.
    #[error("byte {at} is {found:#04x}, every reply has {expected:#04x} there")]
    UnexpectedByte {
        /// The offset of the first wrong byte.
        at: usize,
        /// The byte found there.
        found: u8,
        /// The byte expected there.
        expected: u8,
    },
}

/// An error of the caller: a buffer is too small. Nothing was written to it.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq, Hash)]
#[error("buffer of {available} bytes is too small, {needed} are needed")]
pub struct BufferTooSmall {
    /// The bytes needed.
    pub needed: usize,
    /// The bytes available.
    pub available: usize,
}

/// An error of the caller: the reply to a name would not fit a datagram.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq, Hash)]
#[error("name of {len} bytes is too long, at most {max} fit a greeting")]
pub struct NameTooLong {
    /// The name's length, in bytes.
    pub len: usize,
    /// The longest name's length, in bytes.
    pub max: usize,
}
