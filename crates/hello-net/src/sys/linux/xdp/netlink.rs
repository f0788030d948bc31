use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, sendto, socket_with,
};

use crate::sys::latch::Latch;

/// A socket to the kernel's tables of interfaces and addresses (netlink(7), rtnetlink(7)).
#[derive(Debug)]
pub(super) struct Netlink {
    socket: OwnedFd,
}

impl Netlink {
    /// Opens a socket that becomes readable with each change in one of the groups.
    pub(super) fn subscribe(groups: u32) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
        bind(&socket, &SocketAddrNetlink::new(0, groups))?;
        Ok(Self { socket })
    }

    /// Waits for a change or the latch, for `timeout` at most.
    pub(super) fn wait(&self, latch: &Latch, timeout: Duration) -> io::Result<()> {
        let sockets = &mut [PollFd::new(&self.socket, PollFlags::IN), latch.waker().poll_fd()];
        match poll(sockets, Timespec::try_from(timeout).ok().as_ref()) {
            Err(error) if error.kind() != ErrorKind::Interrupted => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Forgets the changes so far, even if there were more than the socket had room for (ENOBUFS).
    pub(super) fn discard(&self) {
        let again = [Errno::NOBUFS, Errno::INTR];
        while match recv(&self.socket, &mut [0; 1], RecvFlags::TRUNC) {
            Ok(_) => true,
            Err(error) => again.contains(&error),
        } {}
    }

    /// Returns a whole table, as it is now.
    pub(super) fn dump(request: u16, header: &[u8]) -> io::Result<Vec<Message>> {
        let socket =
            socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
        bind(&socket, &SocketAddrNetlink::new(0, 0))?;
        let len = u32::try_from(HEADER + header.len()).unwrap_or(u32::MAX);
        let mut message = Vec::from(len.to_ne_bytes());
        message.extend(request.to_ne_bytes());
        message.extend((NLM_F_REQUEST | NLM_F_DUMP).to_ne_bytes());
        // The sequence number, and the sender's port, which the kernel knows.
        message.extend([0; 8]);
        message.extend(header);
        sendto(&socket, &message, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
        let mut messages = Vec::new();
        let mut buffer = vec![0; LONGEST];
        loop {
            let (len, _) = recv(&socket, &mut buffer[..], RecvFlags::empty())?;
            let mut rest = &buffer[..len];
            while let Some((message, others)) = Message::split_first(rest) {
                match message.kind {
                    NLMSG_DONE => return Ok(messages),
                    NLMSG_ERROR => return Err(message.error()),
                    _ => messages.push(message),
                }
                rest = others;
            }
        }
    }
}

/// A message of a dump.
#[derive(Debug)]
pub(super) struct Message {
    kind: u16,
    payload: Vec<u8>,
}

impl Message {
    /// Reads the first of several messages, and returns the others as well.
    pub(super) fn split_first(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let len = number(bytes.get(..4)?)?;
        let kind = u16::from_ne_bytes(bytes.get(4..6)?.try_into().ok()?);
        let payload = bytes.get(HEADER..len)?.to_vec();
        Some((Self { kind, payload }, bytes.get(aligned(len)..).unwrap_or_default()))
    }

    /// Returns the header and the attributes of a message of this kind.
    pub(super) fn split(&self, kind: u16, header: usize) -> Option<(&[u8], Attributes<'_>)> {
        let (header, attributes) = self.payload.split_at_checked(header)?;
        (self.kind == kind).then_some((header, Attributes(attributes)))
    }

    /// Returns the error in a NLMSG_ERROR message.
    fn error(&self) -> io::Error {
        let code = self.payload.get(..4).and_then(|code| code.try_into().ok());
        code.map_or(ErrorKind::InvalidData.into(), |code| {
            io::Error::from_raw_os_error(-i32::from_ne_bytes(code))
        })
    }
}

/// The attributes of a message: each has a length, a type and a value.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Attributes<'a>(&'a [u8]);

impl<'a> Attributes<'a> {
    /// Returns the value of an attribute.
    pub(super) fn find(self, kind: u16) -> Option<&'a [u8]> {
        let mut rest = self.0;
        loop {
            let len = usize::from(u16::from_ne_bytes(rest.get(..2)?.try_into().ok()?));
            let found = u16::from_ne_bytes(rest.get(2..4)?.try_into().ok()?);
            let value = rest.get(4..len)?;
            if found & NLA_TYPE_MASK == kind {
                return Some(value);
            }
            rest = rest.get(aligned(len)..)?;
        }
    }

    /// Returns the attributes in an attribute; none if it is not there.
    pub(super) fn nested(self, kind: u16) -> Self {
        self.find(kind).map(Self).unwrap_or_default()
    }

    /// Returns the value of an attribute that is a text, which ends with a zero.
    pub(super) fn text(self, kind: u16) -> Option<String> {
        let text = self.find(kind)?.split(|byte| *byte == 0).next()?;
        Some(String::from_utf8_lossy(text).into_owned())
    }
}

fn number(bytes: &[u8]) -> Option<usize> {
    usize::try_from(u32::from_ne_bytes(bytes.try_into().ok()?)).ok()
}

/// Rounds up to where the next message or attribute starts.
const fn aligned(len: usize) -> usize {
    len.next_multiple_of(4)
}

/// The length of the header of a message.
const HEADER: usize = 16;

/// The kernel splits a dump into portions of at most 32 KiB.
const LONGEST: usize = 64 * 1024;

// linux/netlink.h
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_DUMP: u16 = 0x300;
const NLA_TYPE_MASK: u16 = 0x3fff;

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns an attribute, padded as in a message.
    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let len = u16::try_from(4 + value.len()).expect("short");
        let mut bytes = [&len.to_ne_bytes()[..], &kind.to_ne_bytes(), value].concat();
        bytes.resize(aligned(bytes.len()), 0xa5);
        bytes
    }

    #[test]
    fn attributes_are_found_behind_others_and_in_others() {
        let inner = [attribute(1, b"vlan\0"), attribute(2, b"")].concat();
        // As the kernel marks an attribute of attributes (NLA_F_NESTED).
        let bytes = [attribute(3, b"eth0\0"), attribute(0x8000 | 18, &inner)].concat();
        let attributes = Attributes(&bytes);
        assert_eq!(attributes.text(3).as_deref(), Some("eth0"));
        assert_eq!(attributes.nested(18).text(1).as_deref(), Some("vlan"));
        assert_eq!(attributes.nested(18).find(2), Some(&b""[..]));
        assert_eq!(attributes.find(1), None);
        assert_eq!(attributes.nested(4).find(1), None);
    }

    #[test]
    fn an_attribute_that_is_shorter_or_longer_than_possible_ends_the_search() {
        let good = attribute(9, b"x");
        for len in [0_u16, 1, 3, 200, u16::MAX] {
            let bad = [&len.to_ne_bytes()[..], &3_u16.to_ne_bytes(), b"eth0"].concat();
            assert_eq!(Attributes(&[&bad[..], &good].concat()).find(9), None, "{len}");
            assert_eq!(Attributes(&bad).find(3), None, "{len}");
        }
        for len in 0..good.len() {
            assert_eq!(Attributes(&good[..len]).find(9).is_some(), len >= 5, "{len}");
        }
    }

    #[test]
    fn messages_are_read_one_behind_the_other_and_none_that_is_cut() {
        let message = |kind: u16, payload: &[u8]| {
            let len = u32::try_from(HEADER + payload.len()).expect("short");
            let mut bytes =
                [&len.to_ne_bytes()[..], &kind.to_ne_bytes(), &[0; 10], payload].concat();
            bytes.resize(aligned(bytes.len()), 0);
            bytes
        };
        let bytes = [message(16, b"first"), message(NLMSG_ERROR, &(-1_i32).to_ne_bytes())].concat();
        let (first, rest) = Message::split_first(&bytes).expect("one");
        assert_eq!((first.kind, &first.payload[..]), (16, &b"first"[..]));
        let (second, rest) = Message::split_first(rest).expect("another");
        assert_eq!(second.error().raw_os_error(), Some(1));
        assert!(Message::split_first(rest).is_none());
        for len in 0..HEADER + 5 {
            assert!(Message::split_first(&bytes[..len]).is_none(), "{len}");
        }
        assert_eq!(Message { kind: 2, payload: vec![1] }.error().kind(), ErrorKind::InvalidData);
        let too_short = [&3_u32.to_ne_bytes()[..], &[0; 60]].concat();
        assert!(Message::split_first(&too_short).is_none());
    }
}
