//! Socket activation, readiness, status and watchdog, as systemd defines them.

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

/// Returns the sockets passed by socket activation (sd_listen_fds(3)).
pub(crate) fn sockets() -> Result<Vec<UdpSocket>, NoUdpSocket> {
    let mut inherited = ListenFd::from_env();
    let count = inherited.len();
    let sockets = (0..count).filter_map(|i| inherited.take_udp_socket(i).transpose());
    sockets.collect::<Result<_, _>>().map_err(NoUdpSocket)
}

/// An inherited file descriptor is not a UDP socket.
#[derive(Debug, Error)]
#[error(
    "cannot serve the inherited sockets (LISTEN_FDS): use only ListenDatagram= in the socket unit"
)]
pub struct NoUdpSocket(#[source] io::Error);

/// Sends notifications to the supervisor (sd_notify(3)).
///
/// No notification blocks, and a failed one does not disturb the server.
#[derive(Debug)]
pub struct Notifier {
    /// `None` without a supervisor.
    socket: Option<UnixDatagram>,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// Finds the supervisor by the environment variables that it sets.
    pub fn from_env() -> Self {
        let name = env::var_os("NOTIFY_SOCKET");
        let number = |name| env::var(name).ok()?.parse().ok();
        let for_us = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(process::id()));
        let watchdog =
            number("WATCHDOG_USEC").filter(|usec| for_us && *usec > 0).map(Duration::from_micros);
        Self::new(name.as_deref(), watchdog)
    }

    /// Connects to the socket that `NOTIFY_SOCKET` names. `WATCHDOG_USEC` sets the watchdog's
    /// timeout.
    pub fn new(name: Option<&OsStr>, watchdog: Option<Duration>) -> Self {
        Self { socket: name.and_then(|name| connect(name.as_bytes()).ok()), watchdog }
    }

    /// Reports that the server is ready. Returns `false` if that failed: send it again then,
    /// because without it the supervisor considers the start failed.
    pub fn ready(&self) -> bool {
        self.send("READY=1")
    }

    /// Returns whether there is a supervisor.
    pub fn is_connected(&self) -> bool {
        self.socket.is_some()
    }

    /// Reports a status of one line.
    pub fn status(&self, status: &str) {
        self.send(&format!("STATUS={status}"));
    }

    /// Reports that every worker makes progress.
    pub fn watchdog(&self) {
        if self.watchdog.is_some() {
            self.send("WATCHDOG=1");
        }
    }

    /// Reports that the server stops.
    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// Returns the watchdog's timeout (sd_watchdog_enabled(3)). The supervisor restarts a server
    /// that does not call [`watchdog`](Self::watchdog) for that long.
    pub fn watchdog_timeout(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Returns `true` if the notification was sent, or if there is no supervisor.
    fn send(&self, notification: &str) -> bool {
        self.socket.as_ref().is_none_or(|socket| socket.send(notification.as_bytes()).is_ok())
    }
}

/// Connects to the socket that `NOTIFY_SOCKET` names: a path, or an `@` and an abstract name
/// (unix(7)).
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
