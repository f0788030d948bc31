//! Winsock calls that std and socket2 do not know.
#![expect(unsafe_code, reason = "std knows none of these system calls")]

use std::ffi::c_int;
use std::io;
use std::os::windows::io::{AsRawSocket, BorrowedSocket};
use std::ptr;
use std::time::Duration;

use windows_sys::Win32::Networking::WinSock::{
    POLLRDNORM, SOCKET, WSAIoctl, WSAPOLLFD, WSAPoll, setsockopt,
};

/// Sets an option of a socket to a number.
pub(super) fn set(
    socket: BorrowedSocket<'_>,
    level: c_int,
    name: c_int,
    value: c_int,
) -> io::Result<()> {
    let bytes = value.to_ne_bytes();
    // SAFETY: the pointer is to `bytes`, and the length is theirs.
    check(unsafe { setsockopt(raw(socket), level, name, bytes.as_ptr(), LEN_OF_INT) })
}

/// Turns off what a control code of a socket switches.
pub(super) fn turn_off(socket: BorrowedSocket<'_>, code: u32) -> io::Result<()> {
    let (off, mut returned) = (0_u32, 0);
    // SAFETY: the input is a number of four bytes, there is no room for output, and the call is done
    // when it returns, because it has no `OVERLAPPED`.
    check(unsafe {
        WSAIoctl(
            raw(socket),
            code,
            ptr::from_ref(&off).cast(),
            LEN_OF_INT.cast_unsigned(),
            ptr::null_mut(),
            0,
            &raw mut returned,
            ptr::null_mut(),
            None,
        )
    })
}

/// Waits until one of several sockets has something to receive, for `timeout` at most, and yields for
/// each whether it has. `None` waits for any time. What is left of the timeout below a millisecond is
/// not waited for.
pub(super) fn poll<'s>(
    sockets: impl IntoIterator<Item = BorrowedSocket<'s>>,
    timeout: Option<Duration>,
) -> io::Result<impl Iterator<Item = bool>> {
    let polled = |socket| WSAPOLLFD { fd: raw(socket), events: POLLRDNORM, revents: 0 };
    let mut polled = Vec::from_iter(sockets.into_iter().map(polled));
    let count = u32::try_from(polled.len()).map_err(io::Error::other)?;
    let timeout = timeout.map_or(-1, |time| i32::try_from(time.as_millis()).unwrap_or(i32::MAX));
    // SAFETY: the pointer is to `polled`, and `count` is its length.
    let result = unsafe { WSAPoll(polled.as_mut_ptr(), count, timeout) };
    check(result.min(0))?;
    Ok(polled.into_iter().map(|polled| polled.revents != 0))
}

#[expect(clippy::cast_possible_truncation, reason = "both are the handle, in different types")]
fn raw(socket: BorrowedSocket<'_>) -> SOCKET {
    socket.as_raw_socket() as SOCKET
}

/// Returns the error of a call that returned anything but 0.
fn check(result: c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The length of a number that an option or a control code takes, in bytes.
const LEN_OF_INT: c_int = 4;
