//! Any other system of the Unix family, such as macOS: POSIX, and `quinn-udp`.

use libc::{
    EACCES, ECONNREFUSED, EHOSTDOWN, EHOSTUNREACH, EMSGSIZE, ENETUNREACH, ENOBUFS, ENOPROTOOPT,
    EOPNOTSUPP, EPROTO,
};

use super::error_codes::ErrorCodes;
pub(crate) use super::posix::{
    Waker, monotonic, realtime, set_mark, set_ttl, thread_time, try_send, wait_readable,
};

pub(super) const ERROR_CODES: ErrorCodes = ErrorCodes {
    no_buffers: &[ENOBUFS],
    too_long: &[EMSGSIZE],
    protocol: &[EPROTO, ENOPROTOOPT, EOPNOTSUPP],
    unreachable: &[EHOSTDOWN],
    icmp_reports: &[
        ECONNREFUSED,
        EHOSTUNREACH,
        ENETUNREACH,
        EACCES,
        EPROTO,
        ENOPROTOOPT,
        EMSGSIZE,
        EHOSTDOWN,
        EOPNOTSUPP,
    ],
};

/// `quinn-udp` takes addresses as they are.
#[cfg(feature = "__batches")]
pub(super) mod sockaddr {
    use std::net::SocketAddr;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct RawSockAddr(SocketAddr);

    impl RawSockAddr {
        pub(crate) fn new(address: SocketAddr) -> Self {
            Self(address)
        }

        pub(crate) fn get(&self) -> SocketAddr {
            self.0
        }

        /// Returns a number that differs between most addresses of a host.
        pub(crate) fn hash(&self) -> usize {
            self.0.port().into()
        }
    }
}

/// `quinn-udp` sets the options that it needs. These are Linux's, and do nothing here.
pub(super) mod options {
    use std::io;
    use std::net::{SocketAddr, UdpSocket};
    use std::os::fd::AsFd;

    use socket2::Socket;

    use crate::sys::buffer::Buffer;
    use crate::sys::fragmentation::Fragmentation;
    use crate::sys::queued_error::{Queued, QueuedError};

    /// `quinn-udp` disables it, and nothing else can be chosen.
    pub(crate) fn set_fragmentation(_: &UdpSocket, fragmentation: Fragmentation) -> io::Result<()> {
        match fragmentation {
            Fragmentation::SystemDefault | Fragmentation::Never | Fragmentation::Allowed => Ok(()),
            Fragmentation::Chosen(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    pub(crate) fn known_path_mtu(_: &UdpSocket, _: SocketAddr) -> Option<u32> {
        None
    }

    /// The system verifies checksums before it queues.
    pub(crate) fn verify_before_queueing(_: &Socket) {}

    pub(crate) fn send_from_any_local(_: &Socket, _: SocketAddr) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn report_destinations(_: &Socket, _: SocketAddr) -> io::Result<()> {
        Ok(())
    }

    pub(crate) const HAS_BATCH_CALLS: bool = false;

    pub(crate) const HAS_TIMESTAMPS: bool = false;

    pub(crate) fn enable_timestamps(_: &UdpSocket) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn report_ttl(_: &UdpSocket, _: SocketAddr) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn report_mark(_: &UdpSocket, _: SocketAddr) -> io::Result<()> {
        Ok(())
    }

    /// The system has no such queue.
    pub(crate) fn queue_errors(_: &UdpSocket) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn queue_transmit_times(_: &UdpSocket) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn take_queued(_: &impl AsFd, _: &mut [u8]) -> Option<Queued> {
        None
    }

    pub(crate) fn take_error(_: &impl AsFd, _: &mut [u8]) -> Option<QueuedError> {
        None
    }

    pub(crate) fn try_send_with_ttl(_: &UdpSocket, _: &[u8], _: u8) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn disable_gro(_: &UdpSocket) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn bind_to_interface(_: &Socket, _: &str) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The system does not report what it drops.
    pub(crate) fn drops(_: &UdpSocket) -> Option<u32> {
        None
    }

    pub(crate) fn granted(bytes: usize) -> usize {
        bytes
    }

    pub(crate) fn force_buffer(_: &UdpSocket, _: Buffer, _: usize) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// No privilege makes a difference.
    pub(crate) fn unprivileged_size(_: Buffer, _: usize) -> io::Result<usize> {
        Ok(usize::MAX)
    }

    #[derive(Debug)]
    pub(crate) struct SavedOptions;

    impl SavedOptions {
        #[expect(
            clippy::unnecessary_wraps,
            reason = "as on systems where there is something to save"
        )]
        pub(crate) fn save(_: &UdpSocket) -> io::Result<Self> {
            Ok(Self)
        }

        pub(crate) fn restore(&self, _: &UdpSocket) {}
    }
}

pub(super) mod time {
    use std::marker::PhantomData;
    use std::time::Duration;

    use crate::sys::posix::monotonic;

    pub(crate) fn sleep_until(deadline: Duration) {
        std::thread::sleep(deadline.saturating_sub(monotonic()));
    }

    /// The system has no such setting.
    #[must_use]
    pub(crate) fn set_timer_slack() -> TimerSlack {
        TimerSlack { _this_thread: PhantomData }
    }

    #[derive(Debug)]
    pub(crate) struct TimerSlack {
        _this_thread: PhantomData<*const ()>,
    }
}

/// All by poll(2).
pub(super) mod wait {
    use std::io;
    use std::net::UdpSocket;
    use std::os::fd::{AsFd, OwnedFd};
    use std::time::Duration;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use crate::sys::latch::Latch;

    #[derive(Debug)]
    pub(crate) struct Waiter {
        polled: Vec<OwnedFd>,
    }

    impl Waiter {
        pub(crate) fn new(socket: Option<&UdpSocket>, latch: &Latch) -> io::Result<Self> {
            let both = socket.map(AsFd::as_fd).into_iter().chain([latch.waker().as_fd()]);
            let own = both.map(|one| one.try_clone_to_owned());
            Ok(Self { polled: own.collect::<io::Result<_>>()? })
        }

        pub(crate) fn wait(&self) -> io::Result<()> {
            let polled = self.polled.iter().map(|one| PollFd::new(one, PollFlags::IN));
            poll(&mut Vec::from_iter(polled), None)?;
            Ok(())
        }
    }

    #[derive(Debug)]
    pub(crate) struct Poller {
        sockets: Vec<UdpSocket>,
    }

    impl Poller {
        pub(crate) const MAX_READY: usize = 64;

        pub(crate) fn new<'a>(
            sockets: impl IntoIterator<Item = &'a UdpSocket>,
        ) -> io::Result<Self> {
            let sockets =
                sockets.into_iter().map(UdpSocket::try_clone).collect::<io::Result<_>>()?;
            Ok(Self { sockets })
        }

        pub(crate) fn wait(&self, timeout: Duration, latch: &Latch) -> io::Result<()> {
            self.poll(timeout, Some(latch)).map(drop)
        }

        pub(crate) fn poll_ready(&self, ready: &mut Vec<usize>) -> io::Result<()> {
            let found = self.poll(Duration::ZERO, None)?;
            ready.clear();
            ready.extend((0..).zip(found).filter_map(|(number, found)| found.then_some(number)));
            Ok(())
        }

        fn poll(&self, timeout: Duration, latch: Option<&Latch>) -> io::Result<Vec<bool>> {
            let ports = self.sockets.iter().map(|socket| PollFd::new(socket, PollFlags::IN));
            let mut polled =
                Vec::from_iter(ports.chain(latch.map(|latch| latch.waker().poll_fd())));
            poll(&mut polled, Timespec::try_from(timeout).ok().as_ref())?;
            let ports = polled.iter().take(self.sockets.len());
            Ok(ports.map(|polled| !polled.revents().is_empty()).collect())
        }
    }
}

/// Returns `None`: the C library's function (if_indextoname(3)) would take unsafe code.
pub(crate) fn interface_name(_: u32) -> Option<String> {
    None
}
