use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::{self, Command};
use std::time::Duration;

/// A service manager: receives a server's notifications, as systemd does (sd_notify(3)).
pub(crate) struct Supervisor {
    socket: UnixDatagram,
    name: String,
}

impl Supervisor {
    pub(crate) fn new(test: &str) -> Self {
        let name = format!("hello-{}-{test}", process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("a short name");
        let socket = UnixDatagram::bind_addr(&address).expect("a new name");
        socket.set_read_timeout(Some(Duration::from_secs(20))).expect("not zero");
        Self { socket, name }
    }

    pub(crate) fn supervise(&self, command: &mut Command) {
        command.env("NOTIFY_SOCKET", format!("@{}", self.name));
    }

    /// Waits for the next message.
    pub(crate) fn next_message(&self) -> String {
        let mut buf = [0; 4096];
        let len = self.socket.recv(&mut buf).expect("a message within 20 seconds");
        str::from_utf8(&buf[..len]).expect("UTF-8").to_owned()
    }
}
