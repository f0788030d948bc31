use std::fmt;
use std::io::{self, ErrorKind};

use crate::sys::ERROR_CODES;

/// The class of an error of a socket call, coarse enough to count and to act upon.
///
/// ```
/// use std::io;
///
/// use hello_net::ErrorClass;
///
/// let class = ErrorClass::of(&io::ErrorKind::HostUnreachable.into());
/// assert_eq!((class, class.label()), (ErrorClass::Unreachable, "unreachable"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorClass {
    /// A signal interrupted the call (EINTR).
    Interrupted,
    /// The call would have waited, because the socket's send buffer is full (EAGAIN).
    WouldBlock,
    /// The system, or the socket, ran out of memory (ENOBUFS, ENOMEM).
    NoBuffers,
    /// A firewall or a prohibiting route rejects it, or the address is a broadcast address (EPERM,
    /// EACCES).
    Denied,
    /// No path leads there now (ENETUNREACH, EHOSTUNREACH, ENETDOWN, EHOSTDOWN, ENONET).
    Unreachable,
    /// Nothing listens there (ECONNREFUSED).
    ConnectionRefused,
    /// The address cannot be sent to: port 0, or a blackhole route (EINVAL, EADDRNOTAVAIL).
    Invalid,
    /// The datagram is longer than the interface or the socket accepts (EMSGSIZE).
    TooLong,
    /// The network or the host rejects it as a protocol error (EPROTO, ENOPROTOOPT, EOPNOTSUPP):
    /// ICMP parameter problem, protocol unreachable, or source route failed.
    Protocol,
    /// Any other error.
    Other,
}

impl ErrorClass {
    /// All classes, in the order of their declaration.
    pub const ALL: [Self; 10] = [
        Self::Interrupted,
        Self::WouldBlock,
        Self::NoBuffers,
        Self::Denied,
        Self::Unreachable,
        Self::ConnectionRefused,
        Self::Invalid,
        Self::TooLong,
        Self::Protocol,
        Self::Other,
    ];

    /// Classifies an error of a socket call.
    pub fn of(error: &io::Error) -> Self {
        match error.kind() {
            ErrorKind::Interrupted => Self::Interrupted,
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Self::WouldBlock,
            ErrorKind::OutOfMemory => Self::NoBuffers,
            ErrorKind::PermissionDenied => Self::Denied,
            ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable | ErrorKind::NetworkDown => {
                Self::Unreachable
            }
            ErrorKind::ConnectionRefused => Self::ConnectionRefused,
            ErrorKind::InvalidInput | ErrorKind::AddrNotAvailable => Self::Invalid,
            _ => {
                let is_one_of =
                    |codes: &[i32]| error.raw_os_error().is_some_and(|code| codes.contains(&code));
                match () {
                    () if is_one_of(ERROR_CODES.interrupted) => Self::Interrupted,
                    () if is_one_of(ERROR_CODES.refused) => Self::ConnectionRefused,
                    () if is_one_of(ERROR_CODES.no_buffers) => Self::NoBuffers,
                    () if is_one_of(ERROR_CODES.too_long) => Self::TooLong,
                    () if is_one_of(ERROR_CODES.protocol) => Self::Protocol,
                    () if is_one_of(ERROR_CODES.unreachable) => Self::Unreachable,
                    () => Self::Other,
                }
            }
        }
    }

    /// Returns the name it is counted under, in `kebab-case`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Interrupted => "interrupted",
            Self::WouldBlock => "would-block",
            Self::NoBuffers => "no-buffers",
            Self::Denied => "denied",
            Self::Unreachable => "unreachable",
            Self::ConnectionRefused => "refused",
            Self::Invalid => "invalid",
            Self::TooLong => "too-long",
            Self::Protocol => "protocol-error",
            Self::Other => "other",
        }
    }
}

/// Completes a sentence for a reader.
impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Interrupted => "interrupted by a signal",
            Self::WouldBlock => "send buffer full",
            Self::NoBuffers => "system out of buffers",
            Self::Denied => {
                "not permitted (a firewall, a prohibiting route or a broadcast address)"
            }
            Self::Unreachable => "unreachable",
            Self::ConnectionRefused => "refused (no server on that port, or a firewall)",
            Self::Invalid => "address cannot be sent to",
            Self::TooLong => "datagram too long for the interface or the known path MTU",
            Self::Protocol => "rejected as a protocol error",
            Self::Other => "failed for another reason",
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::sys::errno::{
        EACCES, ECONNREFUSED, EHOSTDOWN, EHOSTUNREACH, EMSGSIZE, ENETUNREACH, ENOBUFS, ENOPROTOOPT,
        EOPNOTSUPP, EPROTO,
    };

    use super::*;
    use crate::sys::errno;

    #[test]
    fn all_lists_every_class_in_the_order_of_declaration() {
        for (i, class) in ErrorClass::ALL.into_iter().enumerate() {
            assert_eq!(class as usize, i);
        }
        assert_eq!(ErrorClass::Other as usize, ErrorClass::ALL.len() - 1);
    }

    #[test]
    fn the_errors_that_socket_calls_report_have_their_class() {
        for (code, class) in [
            (errno::EINTR, ErrorClass::Interrupted),
            (errno::EAGAIN, ErrorClass::WouldBlock),
            (ENOBUFS, ErrorClass::NoBuffers),
            (errno::ENOMEM, ErrorClass::NoBuffers),
            (errno::EPERM, ErrorClass::Denied),
            (EACCES, ErrorClass::Denied),
            (ENETUNREACH, ErrorClass::Unreachable),
            (EHOSTUNREACH, ErrorClass::Unreachable),
            (errno::ENETDOWN, ErrorClass::Unreachable),
            (ECONNREFUSED, ErrorClass::ConnectionRefused),
            (errno::EINVAL, ErrorClass::Invalid),
            (errno::EADDRNOTAVAIL, ErrorClass::Invalid),
            (EMSGSIZE, ErrorClass::TooLong),
            (EHOSTDOWN, ErrorClass::Unreachable),
            (EPROTO, ErrorClass::Protocol),
            (ENOPROTOOPT, ErrorClass::Protocol),
            (EOPNOTSUPP, ErrorClass::Protocol),
            (errno::EBADF, ErrorClass::Other),
        ] {
            assert_eq!(ErrorClass::of(&io::Error::from_raw_os_error(code)), class, "{code}");
        }
    }
}
