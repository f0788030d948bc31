//! Socket activation, readiness, status and watchdog, as systemd defines them.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::net::UdpSocket;
use std::process;
use std::time::Duration;

use thiserror::Error;

use crate::sys::{self, ManagerSocket};

/// Returns the sockets passed by socket activation (sd_listen_fds(3)).
pub(crate) fn sockets() -> Result<Vec<UdpSocket>, NoUdpSocket> {
    sys::inherited_sockets().map_err(NoUdpSocket)
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
    socket: Option<ManagerSocket>,
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
        Self { socket: name.and_then(|name| ManagerSocket::connect(name).ok()), watchdog }
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
        self.socket.as_ref().is_none_or(|socket| socket.send(notification).is_ok())
    }
}
