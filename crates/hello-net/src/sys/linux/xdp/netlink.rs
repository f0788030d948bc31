use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, poll};
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

    /// Waits for a change or the latch.
    pub(super) fn wait(&self, latch: &Latch) -> io::Result<()> {
        let sockets = &mut [PollFd::new(&self.socket, PollFlags::IN), latch.waker().poll_fd()];
        match poll(sockets, None) {
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
    fn split_first(bytes: &[u8]) -> Option<(Self, &[u8])> {
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
