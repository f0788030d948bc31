//! The one who started the server, where that is systemd or somebody who does as it does.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::net::UdpSocket;
#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
#[cfg(target_os = "linux")]
use std::os::unix::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::process;
use std::time::Duration;

use listenfd::ListenFd;
use thiserror::Error;

/// Returns the sockets that the supervisor hands over (sd_listen_fds(3)), none if there are none.
///
/// # Errors
///
/// [`NoUdpSocket`] if one is something else.
pub fn sockets() -> Result<Vec<UdpSocket>, NoUdpSocket> {
    let mut handed_over = ListenFd::from_env();
    let count = handed_over.len();
    let sockets = (0..count).filter_map(|i| handed_over.take_udp_socket(i).transpose());
    sockets.collect::<Result<_, _>>().map_err(NoUdpSocket)
}

/// Something that was handed over is no UDP socket.
#[derive(Debug, Error)]
#[error("cannot serve what was handed over (LISTEN_FDS); on systemd, use ListenDatagram= only")]
pub struct NoUdpSocket(#[source] io::Error);

/// Where the supervisor wants to hear how the server is (sd_notify(3)).
///
/// It is told in a way that never waits, and a supervisor that does not listen keeps no server from
/// serving.
#[derive(Debug)]
pub struct Notifier {
    /// Without one, nobody wants to hear anything.
    socket: Option<UnixDatagram>,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// Finds the supervisor by what it says in the environment.
    pub fn from_env() -> Self {
        let name = env::var_os("NOTIFY_SOCKET");
        let number = |name| env::var(name).ok()?.parse().ok();
        let for_us = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(process::id()));
        let watchdog =
            number("WATCHDOG_USEC").filter(|usec| for_us && *usec > 0).map(Duration::from_micros);
        Self::new(name.as_deref(), watchdog)
    }

    /// Tells one who listens at a socket of this name, as `NOTIFY_SOCKET` has it, and who takes the
    /// server for dead after a time, as `WATCHDOG_USEC` has it.
    pub fn new(name: Option<&OsStr>, watchdog: Option<Duration>) -> Self {
        Self { socket: name.and_then(|name| connect(name.as_bytes()).ok()), watchdog }
    }

    /// Tells that the server serves. Returns whether that was heard, for without it a supervisor
    /// takes the server for one that never started.
    pub fn ready(&self) -> bool {
        self.tell("READY=1")
    }

    /// Returns whether there is somebody to be told.
    pub fn listens(&self) -> bool {
        self.socket.is_some()
    }

    /// Tells in a few words how the server is doing.
    pub fn status(&self, status: &str) {
        self.tell(&format!("STATUS={status}"));
    }

    /// Tells that every thread of the server goes round its loop.
    pub fn watchdog(&self) {
        if self.watchdog.is_some() {
            self.tell("WATCHDOG=1");
        }
    }

    /// Tells that the server ends.
    pub fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// Returns after how long without [`watchdog`](Self::watchdog) the supervisor takes the server for
    /// dead (sd_watchdog_enabled(3)); `None` if it does not.
    pub fn watchdog_timeout(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Returns whether the supervisor was told, or wants to hear nothing.
    fn tell(&self, what: &str) -> bool {
        self.socket.as_ref().is_none_or(|socket| socket.send(what.as_bytes()).is_ok())
    }
}

/// Connects to a socket by the name it has in `NOTIFY_SOCKET`: a path, or a name that stands in no
/// file system, after an `@` (unix(7)).
fn connect(name: &[u8]) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    #[cfg(target_os = "linux")]
    if let Some(name) = name.strip_prefix(b"@") {
        let address = SocketAddr::from_abstract_name(name)?;
        return socket.connect_addr(&address).map(|()| socket);
    }
    socket.connect(OsStr::from_bytes(name)).map(|()| socket)
}
