use core::fmt;

use crate::{BufferTooSmall, DecodeError, MAX_DATAGRAM_LEN, OVERHEAD, PREFIX, Request, SUFFIX};

/// A receive buffer that already contains the reply prefix, so a reply needs no copy.
///
/// Receive the request behind the [`PREFIX`]. To reply, the frame appends one [`SUFFIX`], whatever
/// the length of the name.
///
/// ```
/// use hello_proto::{Frame, OVERHEAD};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let receive = |space: &mut [u8]| { space[..5].copy_from_slice(b"Tracy"); 5 };
/// let mut buf = [0; 1024 + OVERHEAD];
/// let mut frame = Frame::new(&mut buf)?;
///
/// let len = receive(frame.recv_buf()); // a socket's recv_from, say
/// let bytes = frame.reply(len)?;
/// assert_eq!(bytes, b"Hello, Tracy!");
/// # Ok(())
/// # }
/// ```
pub struct Frame<'b> {
    /// The prefix, the space for the name, and one byte for the suffix.
    buf: &'b mut [u8],
}

impl<'b> Frame<'b> {
    /// Creates a frame in `buf`, for names of up to `buf.len() - OVERHEAD` bytes, and at most
    /// [`MAX_NAME_LEN`](crate::MAX_NAME_LEN).
    ///
    /// # Errors
    ///
    /// [`BufferTooSmall`] if the reply to the empty name does not fit.
    pub fn new(buf: &'b mut [u8]) -> Result<Self, BufferTooSmall> {
        if buf.len() < OVERHEAD {
            return Err(BufferTooSmall { needed: OVERHEAD, available: buf.len() });
        }
        let len = buf.len().min(MAX_DATAGRAM_LEN);
        let buf = &mut buf[..len];
        buf[..PREFIX.len()].copy_from_slice(PREFIX);
        Ok(Self { buf })
    }

    /// Returns the buffer to receive the next datagram into.
    ///
    /// It is one byte longer than the longest name that the frame can answer. A call that truncates
    /// datagrams, as recvfrom(2) does, thus still reveals those that are too long: they fill it.
    pub fn recv_buf(&mut self) -> &mut [u8] {
        &mut self.buf[PREFIX.len()..]
    }

    /// Turns the first `len` bytes of [`recv_buf`](Self::recv_buf) into a reply, and returns it.
    ///
    /// You can call it again until the next datagram is received.
    ///
    /// # Errors
    ///
    /// [`DecodeError::TooLong`] if the reply does not fit the frame.
    pub fn reply(&mut self, len: usize) -> Result<&[u8], DecodeError> {
        self.request(len)?;
        let end = len + OVERHEAD;
        self.buf[end - SUFFIX.len()..end].copy_from_slice(SUFFIX);
        Ok(&self.buf[..end])
    }

    /// Reads the first `len` bytes of [`recv_buf`](Self::recv_buf) as a request.
    ///
    /// # Errors
    ///
    /// As [`reply`](Self::reply).
    pub fn request(&self, len: usize) -> Result<Request<'_>, DecodeError> {
        let max = self.max_name_len();
        if len > max {
            return Err(DecodeError::TooLong { len, max });
        }
        Request::decode(&self.buf[PREFIX.len()..][..len])
    }

    /// Returns the longest name that the frame can answer, in bytes.
    pub const fn max_name_len(&self) -> usize {
        self.buf.len() - OVERHEAD
    }
}

/// Shows the longest name, and not the buffer, which may hold bytes of an earlier datagram.
impl fmt::Debug for Frame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame").field("max_name_len", &self.max_name_len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::format;

    use super::*;
    use crate::MAX_NAME_LEN;

    #[test]
    fn debug_output_shows_no_bytes() {
        let mut buf = [0xa5; 5 + OVERHEAD];
        let frame = Frame::new(&mut buf).expect("room");
        assert_eq!(format!("{frame:?}"), "Frame { max_name_len: 5, .. }");
    }

    #[test]
    fn a_buffer_without_room_for_the_empty_name_is_refused_untouched() {
        let mut buf = [0xa5; 7];
        let error = Frame::new(&mut buf).expect_err("7 bytes hold no reply");
        assert_eq!(error, BufferTooSmall { needed: 8, available: 7 });
        assert_eq!(buf, [0xa5; 7]);
    }

    #[test]
    fn space_shows_a_name_that_is_one_byte_too_long() {
        let mut buf = [0xa5; 5 + OVERHEAD];
        let mut frame = Frame::new(&mut buf).expect("room for five");
        assert_eq!(frame.max_name_len(), 5);
        assert_eq!(frame.recv_buf().len(), 6);
        frame.recv_buf().copy_from_slice(b"Sarah!");
        assert_eq!(frame.reply(6), Err(DecodeError::TooLong { len: 6, max: 5 }));
        assert_eq!(frame.reply(5), Ok(&b"Hello, Sarah!"[..]));
    }

    #[test]
    fn a_huge_buffer_makes_no_reply_that_is_no_datagram() {
        let mut buf = [0xa5; 70_000];
        let mut frame = Frame::new(&mut buf).expect("room");
        assert_eq!(frame.max_name_len(), MAX_NAME_LEN);
        assert_eq!(frame.reply(MAX_NAME_LEN).map(<[u8]>::len), Ok(MAX_DATAGRAM_LEN));
        let (len, max) = (usize::MAX, MAX_NAME_LEN);
        assert_eq!(frame.reply(len), Err(DecodeError::TooLong { len, max }));
        assert_eq!(buf[MAX_DATAGRAM_LEN..], [0xa5; 70_000 - MAX_DATAGRAM_LEN]);
    }

    #[test]
    fn a_shorter_name_after_a_longer_one_shows_nothing_of_it() {
        let mut buf = [0xa5; 32];
        let mut frame = Frame::new(&mut buf).expect("room");
        for name in [&b"Michael"[..], b"Al", b"", b"Tracy"] {
            frame.recv_buf()[..name.len()].copy_from_slice(name);
            assert_eq!(frame.request(name.len()).map(Request::name), Ok(name));
            let reply = frame.reply(name.len()).expect("fits");
            assert_eq!(reply.len(), name.len() + OVERHEAD);
            assert_eq!(&reply[PREFIX.len()..][..name.len()], name);
        }
    }
}
