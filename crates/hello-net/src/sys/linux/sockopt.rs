//! Socket options that std, socket2 and rustix do not know, and the queue of ICMP reports.
#![expect(unsafe_code, reason = "std knows none of these system calls")]
#![expect(
    clippy::cast_possible_truncation,
    reason = "our lengths are small, and C libraries differ in the types they have for them"
)]

use std::io;
use std::mem;
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;

use libc::c_int;

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

/// Returns whether a socket has a filter (SO_GET_FILTER; an error means a filter that cannot be
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

/// Returns how many messages the system dropped, modulo 2^32, because the socket's receive buffer
/// was full or the checksum wrong (SO_MEMINFO, socket(7)).
pub(crate) fn drops(socket: &UdpSocket) -> Option<u32> {
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

/// Takes the oldest ICMP report out of a socket's error queue (MSG_ERRQUEUE, recv(2)); `None` if none
/// is left. The last one also clears the error that the next call would return. Skips the system's own
/// errors, which a send has already returned.
pub(crate) fn take_report(socket: &UdpSocket) -> Option<io::Error> {
    loop {
        // Aligned for a header, and larger than all that the options of our sockets add.
        let mut control = [0u64; 64];
        // SAFETY: a struct of numbers and pointers, for which zero is a value.
        let mut header: libc::msghdr = unsafe { mem::zeroed() };
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = size_of_val(&control) as _;
        let flags = libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT;
        // SAFETY: `header` points to `control`, with its size, and to nothing else.
        let received = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, flags) };
        if received < 0 {
            return None;
        }
        // SAFETY: the system wrote `header`; its control messages are in `control`, which is not moved.
        let mut next = unsafe { libc::CMSG_FIRSTHDR(&raw const header) };
        // SAFETY: null, or a control message of `header`.
        while let Some(message) = unsafe { next.as_ref() } {
            if let (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR) =
                (message.cmsg_level, message.cmsg_type)
            {
                // SAFETY: messages of these types start with this struct, which may be unaligned.
                let report = unsafe {
                    libc::CMSG_DATA(next).cast::<libc::sock_extended_err>().read_unaligned()
                };
                if let libc::SO_EE_ORIGIN_ICMP | libc::SO_EE_ORIGIN_ICMP6 = report.ee_origin {
                    return i32::try_from(report.ee_errno).ok().map(io::Error::from_raw_os_error);
                }
            }
            // SAFETY: as above.
            next = unsafe { libc::CMSG_NXTHDR(&raw const header, next) };
        }
    }
}
