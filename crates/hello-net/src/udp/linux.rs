//! Linux: many datagrams per call in both directions (recvmmsg(2), sendmmsg(2)), and many per
//! message (UDP_GRO and UDP_SEGMENT, udp(7)).
//!
//! What the system writes is read by safe code elsewhere ([`RawSockAddr`], [`ControlBuf`]). Besides
//! this file, only `sys/linux/sockopt.rs` has `unsafe` code.
#![expect(unsafe_code, reason = "std knows none of these system calls")]
#![expect(
    clippy::cast_possible_truncation,
    reason = "our lengths are small, and C libraries differ in the types they have for them"
)]

pub(crate) mod cmsg;
mod sockaddr;
#[cfg(feature = "server")]
pub(super) mod spares;

use std::io::{self, IoSlice};
use std::mem;
use std::net::UdpSocket;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::ptr;

use libc::{iovec, mmsghdr};

use self::cmsg::{ControlBuf, RecvControl};
use self::sockaddr::RawSockAddr;
#[cfg(feature = "server")]
use self::spares::Spared;
use super::batch::{RecvBatch, RecvMeta};
#[cfg(feature = "server")]
use super::datagram_socket::Open;
use super::datagram_socket::{DatagramSocket, RECV_TIMEOUT};
use super::transmit::Transmit;
use crate::sys::fragmentation::Fragmentation;
use crate::sys::latch::Latch;
use crate::sys::linux::options::enable_gro;
use crate::sys::{self, Waiter};

pub(super) fn open(
    socket: UdpSocket,
    fragmentation: Fragmentation,
) -> io::Result<Box<dyn DatagramSocket>> {
    Ok(Box::new(MmsgSocket::new(socket, fragmentation)?))
}

#[cfg(feature = "server")]
pub(super) fn open_with_spares(
    open: Open,
    socket: UdpSocket,
    fragmentation: Fragmentation,
) -> io::Result<Box<dyn DatagramSocket>> {
    Ok(Box::new(Spared::new(open, socket, fragmentation)?))
}

/// A blocking socket with a receive timeout.
#[derive(Debug)]
pub(super) struct MmsgSocket {
    socket: UdpSocket,
    /// It sends to one peer only. Without an address beside each message, the system looks up no
    /// route.
    connected: bool,
}

impl MmsgSocket {
    /// Makes receive calls wait for [`RECV_TIMEOUT`] at most, and the system deliver trains in one
    /// piece.
    fn new(socket: UdpSocket, fragmentation: Fragmentation) -> io::Result<Self> {
        if fragmentation != Fragmentation::SystemDefault {
            fragmentation.apply(&socket)?;
        }
        socket.set_nonblocking(false)?;
        socket.set_read_timeout(Some(RECV_TIMEOUT))?;
        enable_gro(&socket);
        let connected = socket.peer_addr().is_ok();
        Ok(Self { socket, connected })
    }

    fn send_up_to<const N: usize>(
        &self,
        messages: &[Transmit],
        iovecs: &[IoSlice<'_>],
    ) -> io::Result<NonZeroUsize> {
        let mut targets = [RawSockAddr::EMPTY; N];
        let mut controls = [ControlBuf::EMPTY; N];
        // SAFETY: a struct of numbers and pointers, for which zero is a value.
        let mut headers: [mmsghdr; N] = unsafe { mem::zeroed() };
        let mut count = 0;
        for (((header, target), control), message) in
            headers.iter_mut().zip(&mut targets).zip(&mut controls).zip(messages)
        {
            let iovecs = &iovecs[message.iovecs.clone()];
            let segment = (message.count > 1).then_some(message.segment as u16);
            let header = &mut header.msg_hdr;
            if !self.connected {
                header.msg_namelen = target.write(message.route.to) as _;
                header.msg_name = target.as_mut_ptr().cast();
            }
            // `IoSlice` has the layout of an iovec, as std promises, and sending writes to none.
            header.msg_iov = iovecs.as_ptr().cast_mut().cast();
            header.msg_iovlen = iovecs.len() as _;
            header.msg_controllen = control.write(message.route.from, segment) as _;
            if header.msg_controllen > 0 {
                header.msg_control = control.as_mut_ptr().cast();
            }
            count += 1;
        }
        // SAFETY: the first `count` headers are filled in, and what they point to outlives the
        // call, with its true length.
        let sent = unsafe {
            libc::sendmmsg(
                self.socket.as_raw_fd(),
                headers.as_mut_ptr(),
                count,
                libc::MSG_DONTWAIT as _,
            )
        };
        let sent = usize::try_from(sent).map_err(|_| io::Error::last_os_error())?;
        NonZeroUsize::new(sent).ok_or_else(|| io::ErrorKind::WriteZero.into())
    }
}

impl DatagramSocket for MmsgSocket {
    fn receive(&self, batch: &mut RecvBatch, wait: bool) -> io::Result<()> {
        let flags = if wait { libc::MSG_WAITFORONE } else { libc::MSG_DONTWAIT };
        let mut sources = [RawSockAddr::EMPTY; RecvBatch::CAPACITY];
        let mut controls = [ControlBuf::EMPTY; RecvBatch::CAPACITY];
        // SAFETY: both are structs of numbers and pointers, for which zero is a value.
        let (mut headers, mut vectors): (
            [mmsghdr; RecvBatch::CAPACITY],
            [iovec; RecvBatch::CAPACITY],
        ) = unsafe { mem::zeroed() };
        let (mut count, spaces) = (0, batch.recv_buffers());
        for ((((header, vector), source), control), space) in
            headers.iter_mut().zip(&mut vectors).zip(&mut sources).zip(&mut controls).zip(spaces)
        {
            *vector = iovec { iov_base: space.as_mut_ptr().cast(), iov_len: space.len() };
            let header = &mut header.msg_hdr;
            header.msg_name = source.as_mut_ptr().cast();
            header.msg_namelen = RawSockAddr::CAPACITY as _;
            header.msg_iov = vector;
            header.msg_iovlen = 1;
            header.msg_control = control.as_mut_ptr().cast();
            header.msg_controllen = ControlBuf::CAPACITY as _;
            count += 1;
        }
        // SAFETY: the first `count` headers are filled in. Each points to memory of its own, which
        // outlives the call and is not otherwise used in it, with its true length.
        let received = unsafe {
            libc::recvmmsg(
                self.socket.as_raw_fd(),
                headers.as_mut_ptr(),
                count,
                flags as _,
                ptr::null_mut(),
            )
        };
        let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        for ((header, source), control) in
            headers.iter().zip(&sources).zip(&controls).take(received)
        {
            let discarded = header.msg_hdr.msg_flags & libc::MSG_CTRUNC != 0;
            let control = control.read(header.msg_hdr.msg_controllen as _);
            let RecvControl { destination, time, ttl, tos, .. } = control;
            let len = header.msg_len as usize;
            let segment = control.segment.unwrap_or(len);
            batch.push(RecvMeta {
                source: source.read(),
                destination,
                len,
                segment,
                time,
                ttl,
                tos,
                discarded,
            });
        }
        Ok(())
    }

    fn send(&self, messages: &[Transmit], iovecs: &[IoSlice<'_>]) -> io::Result<NonZeroUsize> {
        match messages {
            [_] => self.send_up_to::<1>(messages, iovecs),
            _ => self.send_up_to::<{ RecvBatch::CAPACITY }>(messages, iovecs),
        }
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn waiter(&self, flag: &Latch) -> io::Result<Waiter> {
        Waiter::new(Some(&self.socket), flag)
    }

    fn drops(&self) -> Option<u32> {
        sys::drops(&self.socket)
    }
}
