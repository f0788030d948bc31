//! Sends many messages per call (sendmmsg(2)), or a single one (sendmsg(2)).
#![expect(unsafe_code, reason = "std knows no such system call")]
#![expect(
    clippy::cast_possible_truncation,
    reason = "our lengths are small, and C libraries differ in the types they have for them"
)]

use std::io::{self, ErrorKind, IoSlice};
use std::mem::{self, MaybeUninit};
use std::net::{IpAddr, UdpSocket};
use std::num::NonZeroUsize;
use std::os::fd::AsRawFd;

use libc::{in_pktinfo, in6_pktinfo, mmsghdr, msghdr};

use super::cmsg::{ControlBuf, space};
use super::sockaddr::RawSockAddr;

/// A message for the system to send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SendMessage<'a> {
    /// Its destination; `None` on a connected socket.
    pub(crate) to: Option<&'a RawSockAddr>,
    /// The address to send from, and the index of the interface or 0; `None` leaves it to the system.
    pub(crate) from: Option<(&'a IpAddr, u32)>,
    /// The length of the datagrams that the system makes of it, in bytes, if it is a train
    /// (UDP_SEGMENT, udp(7)).
    pub(crate) segment: Option<usize>,
    pub(crate) iovecs: &'a [IoSlice<'a>],
}

/// The most messages that one call sends.
const MAX_MESSAGES: usize = 64;

/// Sends messages, as many as one call takes, and fails rather than wait. Returns how many the system
/// took; an error is that of the first.
pub(crate) fn send<'a>(
    socket: &UdpSocket,
    mut messages: impl ExactSizeIterator<Item = SendMessage<'a>>,
) -> io::Result<NonZeroUsize> {
    if messages.len() == 1
        && let Some(message) = messages.next()
    {
        return send_one(socket, &message);
    }
    let mut controls = [const { MaybeUninit::uninit() }; MAX_MESSAGES];
    let mut headers = [const { MaybeUninit::<mmsghdr>::uninit() }; MAX_MESSAGES];
    let mut count = 0;
    for ((header, control), message) in headers.iter_mut().zip(&mut controls).zip(messages) {
        // SAFETY: a struct of numbers and pointers, for which zero is a value.
        let header = header.write(unsafe { mem::zeroed() });
        fill(&mut header.msg_hdr, control, &message);
        count += 1;
    }
    // SAFETY: the first `count` headers are initialised, and what they point to is, and outlives the
    // call, with its true length.
    let sent = unsafe {
        libc::sendmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr().cast(),
            count,
            libc::MSG_DONTWAIT as _,
        )
    };
    let sent = usize::try_from(sent).map_err(|_| io::Error::last_os_error())?;
    NonZeroUsize::new(sent).ok_or_else(|| ErrorKind::WriteZero.into())
}

/// Sends a single message, by a call that takes less time.
fn send_one(socket: &UdpSocket, message: &SendMessage<'_>) -> io::Result<NonZeroUsize> {
    let mut control = MaybeUninit::uninit();
    // SAFETY: a struct of numbers and pointers, for which zero is a value.
    let mut header: msghdr = unsafe { mem::zeroed() };
    fill(&mut header, &mut control, message);
    // SAFETY: what the header points to is initialised, and outlives the call, with its true length.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const header, libc::MSG_DONTWAIT) };
    let sent = usize::try_from(sent).map_err(|_| io::Error::last_os_error())?;
    let len = message.iovecs.iter().map(|piece| piece.len()).sum::<usize>();
    if sent == len { Ok(NonZeroUsize::MIN) } else { Err(ErrorKind::WriteZero.into()) }
}

/// Makes a header, which is all zeros, that of a message. It then points to the message's address and
/// bytes, and to `control`.
fn fill(
    header: &mut msghdr,
    control: &mut MaybeUninit<ControlBuf<CONTROL_LEN>>,
    message: &SendMessage<'_>,
) {
    if let Some(to) = message.to {
        header.msg_namelen = to.len() as _;
        header.msg_name = to.as_ptr().cast_mut().cast();
    }
    // `IoSlice` has the layout of an iovec, as std promises, and sending writes to nothing.
    header.msg_iov = message.iovecs.as_ptr().cast_mut().cast();
    header.msg_iovlen = message.iovecs.len() as _;
    if message.from.is_some() || message.segment.is_some() {
        let control = control.write(ControlBuf::EMPTY);
        header.msg_controllen = write_control(control, message.from, message.segment) as _;
        header.msg_control = control.as_mut_ptr().cast();
    }
}

/// Writes the address to send from and the segment length, and returns the length in bytes.
fn write_control(
    control: &mut ControlBuf<CONTROL_LEN>,
    from: Option<(&IpAddr, u32)>,
    segment: Option<usize>,
) -> usize {
    let mut len = 0;
    if let Some(segment) = segment {
        len += control.put(len, libc::SOL_UDP, libc::UDP_SEGMENT, &(segment as u16).to_ne_bytes());
    }
    match from {
        Some((IpAddr::V4(address), interface)) => {
            let mut info = [0; size_of::<in_pktinfo>()];
            info[..4].copy_from_slice(&interface.to_ne_bytes());
            info[4..8].copy_from_slice(&address.octets());
            len += control.put(len, libc::IPPROTO_IP, libc::IP_PKTINFO, &info);
        }
        Some((IpAddr::V6(address), interface)) => {
            let mut info = [0; size_of::<in6_pktinfo>()];
            info[..16].copy_from_slice(&address.octets());
            info[16..].copy_from_slice(&interface.to_ne_bytes());
            len += control.put(len, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info);
        }
        None => {}
    }
    len
}

/// Room for a segment length, and an IPv6 address with its interface, in bytes.
const CONTROL_LEN: usize = space(size_of::<u16>()) + space(size_of::<in6_pktinfo>());

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use libc::c_int;

    use super::*;
    use crate::sys::linux::cmsg::padded;

    fn message(level: c_int, kind: c_int, data: &[u8]) -> Vec<u8> {
        padded(level, kind, data, 0)
    }

    #[test]
    fn control_messages_are_written_as_the_system_reads_them() {
        let from =
            |text: &str, interface| Some((text.parse::<IpAddr>().expect("an address"), interface));
        let segment = message(libc::SOL_UDP, libc::UDP_SEGMENT, &1208u16.to_ne_bytes());
        let v4 =
            message(libc::IPPROTO_IP, libc::IP_PKTINFO, &[0, 0, 0, 0, 192, 0, 2, 1, 0, 0, 0, 0]);
        let mut info = "fe80::1".parse::<Ipv6Addr>().expect("an address").octets().to_vec();
        info.extend(3u32.to_ne_bytes());
        let v6 = message(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info);
        for (from, count, expected) in [
            (None, None, vec![]),
            (None, Some(1208), segment.clone()),
            (from("192.0.2.1", 0), None, v4.clone()),
            (from("192.0.2.1", 0), Some(1208), [segment.clone(), v4].concat()),
            (from("fe80::1", 3), Some(1208), [segment, v6].concat()),
        ] {
            let mut control = ControlBuf::EMPTY;
            let len = write_control(
                &mut control,
                from.as_ref().map(|(address, interface)| (address, *interface)),
                count,
            );
            assert_eq!(control.bytes(len), expected);
        }
    }
}
