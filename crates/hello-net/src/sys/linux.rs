//! Linux: many datagrams for each call, in both directions (recvmmsg(2), sendmmsg(2)), and many
//! for each message (UDP_GRO and UDP_SEGMENT, udp(7)).
//!
//! This file is the only one with `unsafe` code. What the system writes is read elsewhere, by
//! safe code ([`Address`], [`Control`]).
#![expect(unsafe_code, reason = "std knows none of these system calls")]
#![expect(
    clippy::cast_possible_truncation,
    reason = "our lengths are small, and C libraries differ in the types they have for them"
)]

use std::io::{self, IoSlice};
use std::mem;
use std::net::UdpSocket;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;

use libc::{c_int, iovec, mmsghdr};

use super::address::Address;
use super::control::Control;
use super::{Datagrams, RECV_TIMEOUT, Waiter, options};
use crate::batch::{Arrival, Batch};
use crate::message::Message;
use crate::stop_flags::Latch;

/// A blocking socket with a receive timeout.
#[derive(Debug)]
pub(super) struct Mmsg {
    socket: UdpSocket,
    /// It sends to one peer only. Without an address beside each message, the system looks no route
    /// up.
    connected: bool,
}

impl Mmsg {
    /// Asks the system to deliver trains in one piece, and to report the destination where that is
    /// not the bound address.
    pub(super) fn new(socket: UdpSocket) -> io::Result<Self> {
        socket.set_nonblocking(false)?;
        socket.set_read_timeout(Some(RECV_TIMEOUT))?;
        // Kernels before 5.0 do not know it, and deliver the datagrams one by one.
        let _ = set(&socket, libc::SOL_UDP, libc::UDP_GRO, 1);
        let local = socket.local_addr()?;
        options::report_destinations(&socket, local)?;
        if local.ip().is_unspecified() && local.is_ipv6() {
            options::send_from_any_local(&socket)?;
        }
        let connected = socket.peer_addr().is_ok();
        Ok(Self { socket, connected })
    }

    fn send_up_to<const N: usize>(
        &self,
        messages: &[Message],
        parts: &[IoSlice<'_>],
    ) -> io::Result<NonZeroUsize> {
        let mut targets = [Address::EMPTY; N];
        let mut controls = [Control::EMPTY; N];
        // SAFETY: a struct of numbers and pointers, for which zero is a value.
        let mut headers: [mmsghdr; N] = unsafe { mem::zeroed() };
        let mut count = 0;
        for (((header, target), control), message) in
            headers.iter_mut().zip(&mut targets).zip(&mut controls).zip(messages)
        {
            let parts = &parts[message.parts.clone()];
            let segment = (message.count > 1).then_some(message.segment as u16);
            let header = &mut header.msg_hdr;
            if !self.connected {
                header.msg_namelen = target.write(message.route.to) as _;
                header.msg_name = target.as_mut_ptr().cast();
            }
            // `IoSlice` has the layout of an iovec, as std promises, and sending writes to none.
            header.msg_iov = parts.as_ptr().cast_mut().cast();
            header.msg_iovlen = parts.len() as _;
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

impl Datagrams for Mmsg {
    fn receive(&self, batch: &mut Batch, wait: bool) -> io::Result<()> {
        let flags = if wait { libc::MSG_WAITFORONE } else { libc::MSG_DONTWAIT };
        let mut sources = [Address::EMPTY; Batch::CAPACITY];
        let mut controls = [Control::EMPTY; Batch::CAPACITY];
        // SAFETY: both are structs of numbers and pointers, for which zero is a value.
        let (mut headers, mut vectors): ([mmsghdr; Batch::CAPACITY], [iovec; Batch::CAPACITY]) =
            unsafe { mem::zeroed() };
        let (mut count, spaces) = (0, batch.spaces());
        for ((((header, vector), source), control), space) in
            headers.iter_mut().zip(&mut vectors).zip(&mut sources).zip(&mut controls).zip(spaces)
        {
            *vector = iovec { iov_base: space.as_mut_ptr().cast(), iov_len: space.len() };
            let header = &mut header.msg_hdr;
            header.msg_name = source.as_mut_ptr().cast();
            header.msg_namelen = Address::CAPACITY as _;
            header.msg_iov = vector;
            header.msg_iovlen = 1;
            header.msg_control = control.as_mut_ptr().cast();
            header.msg_controllen = Control::CAPACITY as _;
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
            let len = header.msg_len as usize;
            let segment = control.segment.unwrap_or(len);
            let (destination, time) = (control.destination, control.time);
            batch.push(Arrival {
                source: source.read(),
                destination,
                len,
                segment,
                time,
                discarded,
            });
        }
        Ok(())
    }

    fn send(&self, messages: &[Message], parts: &[IoSlice<'_>]) -> io::Result<NonZeroUsize> {
        match messages {
            [_] => self.send_up_to::<1>(messages, parts),
            _ => self.send_up_to::<{ Batch::CAPACITY }>(messages, parts),
        }
    }

    fn waiter(&self, flag: &Latch) -> io::Result<Waiter> {
        Waiter::new(Some(&self.socket), flag)
    }

    fn drops(&self) -> Option<u32> {
        drops(&self.socket)
    }
}

/// Sets an option of a socket to a number (setsockopt(2)).
pub(super) fn set(socket: &impl AsFd, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
    let len = size_of_val(&value) as _;
    // SAFETY: the pointer is to `value`, and `len` is its size.
    let result = unsafe {
        libc::setsockopt(socket.as_fd().as_raw_fd(), level, name, ptr::from_ref(&value).cast(), len)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Reads an option of a socket that is a number (getsockopt(2)).
pub(super) fn get(socket: &impl AsFd, level: c_int, name: c_int) -> io::Result<c_int> {
    let mut value: c_int = 0;
    let mut len = size_of_val(&value) as _;
    // SAFETY: the pointers are to `value` and to its size.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            name,
            ptr::from_mut(&mut value).cast(),
            &raw mut len,
        )
    };
    if result == 0 { Ok(value) } else { Err(io::Error::last_os_error()) }
}

/// Asks the system to tell when it received each message (SO_TIMESTAMPNS, socket(7)).
pub(super) fn ask_for_times(socket: &UdpSocket) -> io::Result<()> {
    set(socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)
}

/// Asks the system to deliver the datagrams of a train one by one, whatever [`Mmsg::new`] asked
/// for. Kernels before 5.0 do nothing else.
pub(super) fn refuse_trains(socket: &UdpSocket) -> io::Result<()> {
    match set(socket, libc::SOL_UDP, libc::UDP_GRO, 0) {
        Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => Ok(()),
        result => result,
    }
}

/// Attaches a program of one instruction, which chooses among the sockets that share an address
/// (SO_ATTACH_REUSEPORT_CBPF, socket(7)).
pub(super) fn attach_reuseport_program(socket: &impl AsFd, code: u16, k: u32) -> io::Result<()> {
    let mut instruction = libc::sock_filter { code, jt: 0, jf: 0, k };
    let program = libc::sock_fprog { len: 1, filter: &raw mut instruction };
    // SAFETY: the pointers are to `program`, whose size is given, and to its one instruction; the
    // call copies both.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_REUSEPORT_CBPF,
            ptr::from_ref(&program).cast(),
            size_of_val(&program) as _,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Returns whether a socket has a filter (SO_GET_FILTER; an error is about a filter that cannot be
/// shown).
pub(super) fn has_filter(socket: &impl AsFd) -> bool {
    let mut instructions = 0;
    // SAFETY: a length of 0 asks for the number of instructions, which is written in its place; no
    // other memory is touched.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_GET_FILTER,
            ptr::null_mut(),
            &raw mut instructions,
        )
    };
    result != 0 || instructions > 0
}

/// Returns how many messages the system has dropped, modulo 2^32: the socket's receive buffer was
/// full, or the checksum wrong (SO_MEMINFO, socket(7)).
pub(super) fn drops(socket: &UdpSocket) -> Option<u32> {
    let mut info = [0u32; libc::SK_MEMINFO_DROPS as usize + 1];
    let mut len = size_of_val(&info) as _;
    // SAFETY: the pointers are to `info` and to its size.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            info.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    (result == 0 && len as usize == size_of_val(&info))
        .then(|| info[libc::SK_MEMINFO_DROPS as usize])
}
