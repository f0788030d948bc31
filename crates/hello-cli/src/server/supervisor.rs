//! The one who started the server, where that is systemd or somebody who does as it does.

use std::io;
use std::net::UdpSocket;
use std::time::Duration;

use listenfd::ListenFd;
use sd_notify::NotifyState;
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

/// Tells the supervisor that the server serves (sd_notify(3)), if it wants to know.
pub fn ready() {
    notify(&[NotifyState::Ready]);
}

/// Tells it how the server is doing.
pub fn status(status: &str) {
    notify(&[NotifyState::Status(status)]);
}

/// Tells it that every thread of the server goes round its loop.
pub fn alive() {
    notify(&[NotifyState::Watchdog]);
}

/// Tells it that the server ends.
pub fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// Returns how often the supervisor wants to hear that the server is alive
/// (sd_watchdog_enabled(3)); `None` if it does not.
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

/// A supervisor that does not listen keeps no server from serving.
fn notify(state: &[NotifyState<'_>]) {
    let _ = sd_notify::notify(state);
}
