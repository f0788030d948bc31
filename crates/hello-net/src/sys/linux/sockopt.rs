//! Socket options and a receive call that std, socket2 and rustix do not know.
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

use crate::sys::posix::families;

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
    get_bytes(socket, level, name).map(c_int::from_ne_bytes)
}

/// Reads the number of the network namespace that a socket was opened in (SO_NETNS_COOKIE).
pub(super) fn network(socket: &impl AsFd) -> io::Result<u64> {
    get_bytes(socket, libc::SOL_SOCKET, libc::SO_NETNS_COOKIE).map(u64::from_ne_bytes)
}

fn get_bytes<const LEN: usize>(
    socket: &impl AsFd,
    level: c_int,
    name: c_int,
) -> io::Result<[u8; LEN]> {
    let mut value = [0_u8; LEN];
    let mut len = LEN as _;
    // SAFETY: the pointers are to `value` and to its size.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            name,
            value.as_mut_ptr().cast(),
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

/// Sends a datagram by a connected socket with a TTL or hop limit of its own (IP_TTL, ip(7);
/// IPV6_HOPLIMIT, RFC 3542 section 6.3), and fails rather than wait. Other datagrams of the socket keep
/// theirs.
pub(crate) fn try_send_with_ttl(socket: &UdpSocket, datagram: &[u8], ttl: u8) -> io::Result<()> {
    let (is_v4, _) = families(socket.peer_addr()?);
    let (level, kind) = if is_v4 {
        (libc::IPPROTO_IP, libc::IP_TTL)
    } else {
        (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT)
    };
    let ttl = c_int::from(ttl);
    // Sending writes to no payload.
    let mut iovec =
        libc::iovec { iov_base: datagram.as_ptr().cast_mut().cast(), iov_len: datagram.len() };
    // Aligned for a header, and larger than the one message in it.
    let mut control = [0u64; 8];
    // SAFETY: a struct of numbers and pointers, for which zero is a value.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    (header.msg_iov, header.msg_iovlen) = (&raw mut iovec, 1);
    header.msg_control = control.as_mut_ptr().cast();
    // SAFETY: computes a length, and touches no memory.
    header.msg_controllen = unsafe { libc::CMSG_SPACE(size_of_val(&ttl) as _) } as _;
    // SAFETY: `header` points to `control`, which has room for a header and a number, so the first
    // message exists, and all that is written lies in that room.
    unsafe {
        let message = libc::CMSG_FIRSTHDR(&raw const header);
        (*message).cmsg_level = level;
        (*message).cmsg_type = kind;
        (*message).cmsg_len = libc::CMSG_LEN(size_of_val(&ttl) as _) as _;
        libc::CMSG_DATA(message).cast::<c_int>().write_unaligned(ttl);
    }
    let flags = libc::MSG_DONTWAIT;
    // SAFETY: `header` points to `control` and, by `iovec`, to `datagram`, with their sizes, and to
    // nothing else.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const header, flags) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Receives the oldest message of a socket's error queue (MSG_ERRQUEUE, recv(2)), and returns the
/// length of its payload and of its control messages, which `control` then holds; an error of the kind
/// `WouldBlock` if there is none. `destination` then holds where the datagram was sent to, as a
/// `struct sockaddr`. What the buffers do not hold is cut off.
pub(super) fn recv_error(
    socket: &impl AsFd,
    destination: &mut [u64],
    payload: &mut [u8],
    control: &mut [u64],
) -> io::Result<(usize, usize)> {
    let mut iovec = libc::iovec { iov_base: payload.as_mut_ptr().cast(), iov_len: payload.len() };
    // SAFETY: a struct of numbers and pointers, for which zero is a value.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    (header.msg_iov, header.msg_iovlen) = (&raw mut iovec, 1);
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = size_of_val(control) as _;
    header.msg_name = destination.as_mut_ptr().cast();
    header.msg_namelen = size_of_val(destination) as _;
    let flags = libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT;
    // SAFETY: `header` points to `destination`, `control` and, by `iovec`, to `payload`, with their
    // sizes, and to nothing else.
    let received = unsafe { libc::recvmsg(socket.as_fd().as_raw_fd(), &raw mut header, flags) };
    match usize::try_from(received) {
        Ok(received) => Ok((received.min(payload.len()), header.msg_controllen as usize)),
        Err(_) => Err(io::Error::last_os_error()),
    }
}
