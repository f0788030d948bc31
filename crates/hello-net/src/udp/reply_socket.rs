use std::io;
use std::net::UdpSocket;

use super::backend::Backend;
use crate::sys;
use crate::sys::batch::RecvBatch;
use crate::sys::buffer::Buffer;
use crate::sys::datagram_socket::DatagramSocket;
use crate::sys::fragmentation::Fragmentation;

/// Prepares a socket to receive replies, with kernel timestamps where the back end reports them.
pub(crate) fn open(
    backend: Backend,
    socket: UdpSocket,
    fragmentation: Fragmentation,
    batch: &mut RecvBatch,
) -> io::Result<Box<dyn DatagramSocket>> {
    if backend.has_timestamps() {
        sys::enable_timestamps(&socket)?;
    }
    // Drops of a full buffer while this process is held up are not the network's losses.
    let _ = Buffer::Receive.enlarge(&socket, RECEIVE_BUFFER);
    // Without it, the system reports only some errors, and merges them.
    let _ = sys::queue_errors(&socket);
    let is_connected = socket.peer_addr().is_ok();
    let socket = backend.open(socket, fragmentation)?;
    // The system gives a socket its port a moment before it connects it, and what somebody else
    // sends in that moment stays in it.
    while is_connected && socket.receive(batch, false).is_ok() {}
    Ok(socket)
}

/// The receive buffer, in bytes: room for some thousand replies.
const RECEIVE_BUFFER: usize = 4 << 20;
