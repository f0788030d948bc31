use core::fmt;

#[cfg(feature = "bytes")]
use bytes::{BufMut, Bytes};

use crate::escape::Quoted;
use crate::{BufferTooSmall, DecodeError, MAX_DATAGRAM_LEN, OVERHEAD, PREFIX, Request, SUFFIX};

/// A reply: [`PREFIX`], the name, and [`SUFFIX`].
///
/// It is exactly [`OVERHEAD`] bytes longer than its request, and never longer than
/// [`MAX_DATAGRAM_LEN`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Reply<'a> {
    name: &'a [u8],
}

impl<'a> Reply<'a> {
    pub(crate) const fn to(request: Request<'a>) -> Self {
        Self { name: request.name() }
    }

    /// Reads a received datagram as a reply.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if the length is impossible, or else for the first wrong byte of the prefix or
    /// the suffix.
    pub fn decode(datagram: &'a [u8]) -> Result<Self, DecodeError> {
        let len = datagram.len();
        if len > MAX_DATAGRAM_LEN {
            return Err(DecodeError::TooLong { len, max: MAX_DATAGRAM_LEN });
        }
        if len < OVERHEAD {
            return Err(DecodeError::TooShort { len, min: OVERHEAD });
        }
        let (prefix, rest) = datagram.split_at(PREFIX.len());
        let (name, suffix) = rest.split_at(len - OVERHEAD);
        expect(PREFIX, prefix, 0)?;
        expect(SUFFIX, suffix, len - SUFFIX.len())?;
        Ok(Self { name })
    }

    /// Reads a received datagram as a reply and returns the name, which shares its memory.
    ///
    /// # Errors
    ///
    /// As [`Reply::decode`].
    #[cfg(feature = "bytes")]
    pub fn decode_name(datagram: &Bytes) -> Result<Bytes, DecodeError> {
        Reply::decode(datagram).map(|reply| datagram.slice_ref(reply.name))
    }

    /// Writes the reply to the front of `buf` and returns what was written.
    ///
    /// # Errors
    ///
    /// [`BufferTooSmall`] if `buf` is shorter than [`encoded_len`](Self::encoded_len).
    pub fn encode(self, buf: &mut [u8]) -> Result<&[u8], BufferTooSmall> {
        let (needed, available) = (self.encoded_len(), buf.len());
        let bytes = buf.get_mut(..needed).ok_or(BufferTooSmall { needed, available })?;
        let mut rest = &mut *bytes;
        for part in self.parts() {
            let (here, behind) = rest.split_at_mut(part.len());
            here.copy_from_slice(part);
            rest = behind;
        }
        Ok(bytes)
    }

    /// Appends the reply to `buf`.
    ///
    /// # Errors
    ///
    /// [`BufferTooSmall`] if `buf` has less room than [`encoded_len`](Self::encoded_len).
    #[cfg(feature = "bytes")]
    pub fn put(self, buf: &mut impl BufMut) -> Result<(), BufferTooSmall> {
        let (needed, available) = (self.encoded_len(), buf.remaining_mut());
        if available < needed {
            return Err(BufferTooSmall { needed, available });
        }
        for part in self.parts() {
            buf.put_slice(part);
        }
        Ok(())
    }

    /// Returns the name.
    pub const fn name(self) -> &'a [u8] {
        self.name
    }

    /// Returns the length of the datagram, in bytes.
    pub const fn encoded_len(self) -> usize {
        self.name.len() + OVERHEAD
    }

    /// Returns the three consecutive parts of the datagram, for vectored I/O.
    pub const fn parts(self) -> [&'a [u8]; 3] {
        [PREFIX, self.name, SUFFIX]
    }

    /// Returns whether this is a reply to `request`.
    ///
    /// Only the name identifies a request, so this is also a reply to any equal request. To tell
    /// requests apart, send different names (see [`Token`](crate::Token)).
    pub fn answers(self, request: Request<'_>) -> bool {
        self == request.reply()
    }
}

/// Shows the name as ASCII, with other bytes escaped, shortened if it is long.
impl fmt::Debug for Reply<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({:?})", Quoted(self.name))
    }
}

/// Compares a fixed part of a reply that starts at offset `start`.
fn expect(expected: &[u8], found: &[u8], start: usize) -> Result<(), DecodeError> {
    let mut pairs = expected.iter().zip(found);
    match pairs.position(|(expected, found)| expected != found) {
        None => Ok(()),
        Some(i) => Err(DecodeError::UnexpectedByte {
            at: start + i,
            found: found[i],
            expected: expected[i],
        }),
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::{format, vec};

    use super::*;

    fn reply(name: &[u8]) -> Reply<'_> {
        Request::new(name).expect("short").reply()
    }

    #[test]
    fn each_way_not_to_be_a_reply_is_named_with_its_numbers() {
        use DecodeError::*;
        let too_long = vec![b'!'; MAX_DATAGRAM_LEN + 1];
        let cases: &[(&[u8], DecodeError)] = &[
            (b"", TooShort { len: 0, min: 8 }),
            (b"Hello, ", TooShort { len: 7, min: 8 }),
            (&too_long, TooLong { len: 65_508, max: 65_507 }),
            (b"hello, you!", UnexpectedByte { at: 0, found: b'h', expected: b'H' }),
            (b"Hello: you!", UnexpectedByte { at: 5, found: b':', expected: b',' }),
            (b"Hello,\0you!", UnexpectedByte { at: 6, found: 0, expected: b' ' }),
            (b"Hello, you?", UnexpectedByte { at: 10, found: b'?', expected: b'!' }),
            (b"Hello: you?", UnexpectedByte { at: 5, found: b':', expected: b',' }),
        ];
        for (datagram, error) in cases {
            assert_eq!(Reply::decode(datagram), Err(*error));
        }
    }

    #[test]
    fn a_name_that_looks_like_a_greeting_is_a_name() {
        let greeting = reply(b"Hello, World!");
        let mut buf = [0xa5; 64];
        let bytes = greeting.encode(&mut buf).expect("64 bytes suffice");
        assert_eq!(bytes, b"Hello, Hello, World!!");
        assert_eq!(Reply::decode(bytes), Ok(greeting));
    }

    #[test]
    fn only_the_reply_of_the_same_name_answers_a_request() {
        let request = Request::new(b"Tracy").expect("short");
        assert!(reply(b"Tracy").answers(request));
        for other in [&b""[..], b"tracy", b"Trac", b"Tracy!", b"Michael"] {
            assert!(!reply(other).answers(request));
        }
    }

    #[test]
    fn debug_output_is_plain_ascii() {
        assert_eq!(format!("{:?}", reply(b"\xff\n")), r#"Reply("\xff\n")"#);
    }

    #[cfg(feature = "bytes")]
    #[test]
    fn put_writes_all_or_nothing() {
        let mut buf = [0xa5; 11];
        let mut room = &mut buf[..];
        assert_eq!(
            reply(b"Sarah").put(&mut room),
            Err(BufferTooSmall { needed: 13, available: 11 })
        );
        assert_eq!(reply(b"Amy").put(&mut room), Ok(()));
        assert_eq!(&buf, b"Hello, Amy!");
    }

    #[cfg(feature = "bytes")]
    #[test]
    fn a_name_decoded_from_bytes_shares_their_memory() {
        let datagram = Bytes::from_static(b"Hello, Sarah!");
        let name = Reply::decode_name(&datagram).expect("a reply");
        assert_eq!(name, "Sarah");
        assert_eq!(name.as_ptr(), datagram[PREFIX.len()..].as_ptr());
        assert_eq!(
            Reply::decode_name(&datagram.slice(1..)),
            Err(DecodeError::UnexpectedByte { at: 0, found: b'e', expected: b'H' })
        );
    }
}
