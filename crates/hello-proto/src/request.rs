use core::fmt;

use crate::escape::Quoted;
use crate::{DecodeError, MAX_NAME_LEN, NameTooLong, Reply};

/// A request: a name of any bytes, up to [`MAX_NAME_LEN`] of them.
///
/// The datagram is the name and nothing else.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Request<'a> {
    name: &'a [u8],
}

impl<'a> Request<'a> {
    /// Creates a request with a name of at most [`MAX_NAME_LEN`] bytes.
    pub(crate) const fn of_short(name: &'a [u8]) -> Self {
        Self { name }
    }

    /// Creates a request with this name.
    ///
    /// # Errors
    ///
    /// [`NameTooLong`] if the reply would not fit a datagram.
    pub const fn new(name: &'a [u8]) -> Result<Self, NameTooLong> {
        if name.len() > MAX_NAME_LEN {
            return Err(NameTooLong { len: name.len(), max: MAX_NAME_LEN });
        }
        Ok(Self { name })
    }

    /// Reads a received datagram as a request.
    ///
    /// # Errors
    ///
    /// [`DecodeError::TooLong`] if the reply would not fit a datagram. Any other datagram is a
    /// request.
    pub const fn decode(datagram: &'a [u8]) -> Result<Self, DecodeError> {
        match Self::new(datagram) {
            Ok(request) => Ok(request),
            Err(NameTooLong { len, max }) => Err(DecodeError::TooLong { len, max }),
        }
    }

    /// Returns the datagram to send. It is the name, so it needs no buffer.
    pub const fn encode(self) -> &'a [u8] {
        self.name
    }

    /// Returns the name.
    pub const fn name(self) -> &'a [u8] {
        self.name
    }

    /// Returns the reply to this request.
    pub const fn reply(self) -> Reply<'a> {
        Reply::to(self)
    }
}

/// Shows the name as ASCII, with other bytes escaped, shortened if it is long.
impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({:?})", Quoted(self.name))
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::format;

    use super::*;

    #[test]
    fn every_length_up_to_the_longest_name_is_a_request() {
        let bytes = [0xa5; MAX_NAME_LEN + 1];
        let (len, max) = (MAX_NAME_LEN + 1, MAX_NAME_LEN);

        for name in [&bytes[..0], &bytes[..1], &bytes[..max]] {
            let request = Request::decode(name).expect("a request");
            assert_eq!(Request::new(name), Ok(request));
            assert_eq!(request.name(), name);
            assert_eq!(request.encode(), name);
        }
        assert_eq!(Request::decode(&bytes), Err(DecodeError::TooLong { len, max }));
        assert_eq!(Request::new(&bytes), Err(NameTooLong { len, max }));
    }

    #[test]
    fn debug_output_is_plain_ascii() {
        let request = Request::new(b"Mich\xc3\x1b[2J\"").expect("short");
        assert_eq!(format!("{request:?}"), r#"Request("Mich\xc3\x1b[2J\"")"#);
    }

    #[test]
    fn debug_output_of_a_long_name_is_short() {
        let request = Request::new(&[b'x'; MAX_NAME_LEN]).expect("short");
        let shown = format!("Request(\"{}\"... {MAX_NAME_LEN} bytes)", "x".repeat(64));
        assert_eq!(format!("{request:?}"), shown);
    }
}
