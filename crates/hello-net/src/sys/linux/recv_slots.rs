//! Receives many messages per call (recvmmsg(2)).
#![expect(unsafe_code, reason = "std knows no such system call")]
#![expect(
    clippy::cast_possible_truncation,
    reason = "our lengths are small, and C libraries differ in the types they have for them"
)]

use std::fmt;
use std::io;
use std::mem;
use std::net::UdpSocket;
use std::ops::{Deref, DerefMut};
use std::os::fd::AsRawFd;
use std::ptr;

use libc::{c_int, c_long, in6_pktinfo, iovec, mmsghdr};

use super::cmsg::{ControlBuf, space};
use super::sockaddr::RawSockAddr;

/// Memory for messages, in slots of equal length, and the headers by which the system fills them.
///
/// The headers are written once. Each call afterwards restores only what the one before it changed.
pub(crate) struct RecvSlots {
    /// The slots, one behind the other.
    bytes: Vec<u8>,
    headers: Vec<mmsghdr>,
    // What the headers point to, besides the slots. None of these is ever resized, so that the memory
    // stays where it is.
    _vectors: Vec<iovec>,
    sources: Vec<RawSockAddr>,
    /// The room for a source, in bytes, or 0, if the system does not write them.
    source_len: usize,
    controls: Vec<ControlBuf<CONTROL_LEN>>,
    /// How many headers the last call may have changed.
    changed: usize,
}

/// A message that the system wrote into a slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecvMessage<'a> {
    pub(crate) source: &'a RawSockAddr,
    /// Its length, in bytes.
    pub(crate) len: usize,
    /// Its control messages.
    pub(crate) control: &'a [u8],
    /// Whether these are not all (MSG_CTRUNC, recv(2)).
    pub(crate) is_truncated: bool,
}

// SAFETY: the pointers in `headers` and `_vectors` are to memory that this value owns, and only
// `receive` uses them, which has the only reference to it.
unsafe impl Send for RecvSlots {}

impl RecvSlots {
    /// Allocates slots of `len` bytes each. A message is received behind the first `offset` bytes of
    /// its slot.
    pub(crate) fn new(count: usize, len: usize, offset: usize) -> Self {
        // The system finds memory for the pages of a slot when something is first received into it.
        let mut bytes = vec![0; count * len];
        let mut sources = vec![RawSockAddr::EMPTY; count];
        let mut controls = vec![ControlBuf::EMPTY; count];
        // The pointers are the vectors' own. One from a reference to an element would not outlive the
        // next reference to it.
        let first = bytes.as_mut_ptr();
        let vector = |number: usize| iovec {
            iov_base: first.wrapping_add(number * len + offset).cast(),
            iov_len: len - offset,
        };
        let mut vectors = Vec::from_iter((0..count).map(vector));
        let header = |number| {
            // SAFETY: a struct of numbers and pointers, for which zero is a value.
            let mut header: mmsghdr = unsafe { mem::zeroed() };
            header.msg_hdr.msg_name = sources.as_mut_ptr().wrapping_add(number).cast();
            header.msg_hdr.msg_iov = vectors.as_mut_ptr().wrapping_add(number);
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = controls.as_mut_ptr().wrapping_add(number).cast();
            header
        };
        let headers = Vec::from_iter((0..count).map(header));
        let (source_len, changed) = (RawSockAddr::CAPACITY, count);
        Self { bytes, headers, _vectors: vectors, sources, source_len, controls, changed }
    }

    /// Makes the system write the sources of messages, or not.
    fn ask_for_sources(&mut self, asks: bool) {
        let len = if asks { RawSockAddr::CAPACITY } else { 0 };
        if self.source_len == len {
            return;
        }
        let first = self.sources.as_mut_ptr();
        for (number, header) in self.headers.iter_mut().enumerate() {
            let source = first.wrapping_add(number);
            header.msg_hdr.msg_name = if asks { source.cast() } else { ptr::null_mut() };
        }
        (self.source_len, self.changed) = (len, self.headers.len());
    }

    /// Receives what has arrived, up to a message for each slot; with `wait`, waits for the first. All
    /// messages of a connected socket are from its peer, whose address the system then need not write.
    ///
    /// Pass it sockets of one address family: behind a shorter source, the bytes of a longer one before it
    /// would remain.
    pub(crate) fn receive<'s>(
        &'s mut self,
        socket: &UdpSocket,
        peer: Option<&'s RawSockAddr>,
        wait: bool,
    ) -> io::Result<impl Iterator<Item = RecvMessage<'s>>> {
        self.ask_for_sources(peer.is_none());
        for header in &mut self.headers[..self.changed] {
            header.msg_hdr.msg_namelen = self.source_len as _;
            header.msg_hdr.msg_controllen = CONTROL_LEN as _;
        }
        let flags = if wait { libc::MSG_WAITFORONE } else { libc::MSG_DONTWAIT };
        // SAFETY: each header points to memory of its own, with its length, which the loop restored where
        // the system had changed it; no room for a source is a null pointer and 0. This value owns it
        // all, and nothing else uses it during the call. The system writes bytes, for which every value is
        // valid.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                self.headers.len() as _,
                flags as _,
                ptr::null_mut(),
            )
        };
        let received = usize::try_from(received).map_err(|_| io::Error::last_os_error());
        // Perhaps also the header of one that it did not return.
        self.changed =
            (received.as_ref().map_or(0, |received| *received) + 1).min(self.headers.len());
        let received = received?;
        self.sources[..received].iter_mut().for_each(RawSockAddr::forget_flow_label);
        let (headers, sources) = (&self.headers[..received], &self.sources[..received]);
        let controls = &self.controls[..received];
        Ok((0..received).map(move |index| {
            let header = &headers[index].msg_hdr;
            RecvMessage {
                source: peer.unwrap_or(&sources[index]),
                len: headers[index].msg_len as usize,
                control: controls[index].bytes(header.msg_controllen as _),
                is_truncated: header.msg_flags & libc::MSG_CTRUNC != 0,
            }
        }))
    }
}

/// Room for a segment length, a hop limit, a traffic class, an IPv6 address with its interface, and a
/// time: the most control messages there are, in bytes.
pub(crate) const CONTROL_LEN: usize = 3 * space(size_of::<c_int>())
    + space(size_of::<in6_pktinfo>())
    + space(2 * size_of::<c_long>());

/// The bytes of all slots.
impl Deref for RecvSlots {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl DerefMut for RecvSlots {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

/// Shows no bytes, which may be those of earlier messages.
impl fmt::Debug for RecvSlots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvSlots").field("count", &self.headers.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;
    use std::net::Ipv4Addr;

    use super::*;
    use crate::sys::linux::options::enable_gro;
    use crate::sys::linux::send_batch::{SendMessage, send};

    fn bind() -> UdpSocket {
        UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port")
    }

    fn address(socket: &UdpSocket) -> RawSockAddr {
        RawSockAddr::new(socket.local_addr().expect("bound"))
    }

    #[test]
    fn sources_are_asked_for_again_after_a_connected_socket() {
        let (unconnected, connected, peer) = (bind(), bind(), bind());
        let raw = address(&peer);
        connected.connect(raw.get()).expect("a route");
        let mut slots = RecvSlots::new(4, 64, 7);
        for (socket, known) in [
            (&unconnected, None),
            (&connected, Some(&raw)),
            (&unconnected, None),
            (&connected, Some(&raw)),
        ] {
            let names = [&b"Tracy"[..], b"", b"Sarah"];
            for name in names {
                peer.send_to(name, address(socket).get()).expect("sent");
            }
            let received = slots.receive(socket, known, true).expect("they are there");
            let received = received.map(|message| (*message.source, message.len));
            assert_eq!(Vec::from_iter(received), names.map(|name| (raw, name.len())));
            assert_eq!((&slots[7..12], &slots[2 * 64 + 7..][..5]), (&b"Tracy"[..], &b"Sarah"[..]));
        }
    }

    #[test]
    fn what_the_system_changed_in_a_header_is_restored_for_the_next_call() {
        let (server, client) = (bind(), bind());
        enable_gro(&server);
        let (to, source) = (address(&server), address(&client));
        let iovecs = [IoSlice::new(b"TracySarah")];
        let mut slots = RecvSlots::new(4, 64, 7);
        // Lone datagrams have no control messages, and leave no room for any.
        for is_train in [false, true, false, true, true] {
            let segment = is_train.then_some(5);
            let message = SendMessage { to: Some(&to), from: None, segment, iovecs: &iovecs };
            let count = if is_train { 4 } else { 3 };
            for _ in 0..count {
                send(&client, [message].into_iter()).expect("room");
            }
            let received = slots.receive(&server, None, true).expect("messages");
            let seen = received.map(|message| {
                assert_eq!((*message.source, message.len), (source, 10));
                assert!(!message.is_truncated);
                !message.control.is_empty()
            });
            assert_eq!(Vec::from_iter(seen), vec![is_train; count]);
            let mut bytes = slots.chunks(64).take(count).map(|slot| &slot[..18]);
            assert!(bytes.all(|bytes| bytes == b"\0\0\0\0\0\0\0TracySarah\0"));
            let error = slots.receive(&server, None, false).err().map(|error| error.kind());
            assert_eq!(error, Some(io::ErrorKind::WouldBlock));
        }
    }
}
