use crate::{DecodeError, MAX_DATAGRAM_LEN, Reply};

/// The kind of a server, which decides what its reply to a name is.
///
/// ```
/// use hello_proto::Peer;
///
/// assert_eq!(Peer::Hello.decode_name(b"Hello, Tracy!"), Ok(&b"Tracy"[..]));
/// assert_eq!(Peer::Echo.decode_name(b"Tracy"), Ok(&b"Tracy"[..]));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Peer {
    /// A Hello server: it sends a [`Reply`].
    #[default]
    Hello,
    /// An echo server (RFC 862): it returns the name alone.
    Echo,
}

impl Peer {
    /// Reads a received datagram as a reply of this server, and returns the name in it.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if this server sends no such reply.
    pub fn decode_name(self, datagram: &[u8]) -> Result<&[u8], DecodeError> {
        let (len, max) = (datagram.len(), MAX_DATAGRAM_LEN);
        match self {
            Self::Hello => Reply::decode(datagram).map(Reply::name),
            Self::Echo if len > max => Err(DecodeError::TooLong { len, max }),
            Self::Echo => Ok(datagram),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn echo_is_a_name_of_any_bytes_that_fit_a_datagram() {
        let longest = [0xa5; MAX_DATAGRAM_LEN + 1];
        for name in [&b""[..], b"Hello, Tracy!", &longest[1..]] {
            assert_eq!(Peer::Echo.decode_name(name), Ok(name));
        }
        let (len, max) = (MAX_DATAGRAM_LEN + 1, MAX_DATAGRAM_LEN);
        assert_eq!(Peer::Echo.decode_name(&longest), Err(DecodeError::TooLong { len, max }));
    }

    #[test]
    fn name_alone_is_no_reply_of_a_hello_server() {
        let error = DecodeError::TooShort { len: 5, min: 8 };
        assert_eq!(Peer::default().decode_name(b"Tracy"), Err(error));
    }
}
