//! What the prober and the load generator do alike: they ask, and account for what comes.

use std::io;
use std::net::UdpSocket;
use std::time::Duration;

use crate::ErrorClass;
use crate::batch::Batch;
use crate::sys::{self, Datagrams, Io};

/// Makes a socket ready to receive replies, with the system's times, and takes it over. `fragmented`
/// is as for [`Io::take`].
pub(crate) fn take(
    socket: UdpSocket,
    fragmented: bool,
    batch: &mut Batch,
) -> io::Result<Box<dyn Datagrams>> {
    sys::ask_for_times(&socket)?;
    // As large as it may be: what does not fit in while we are held up is not the network's loss.
    let _ = sys::set_receive_buffer(&socket, RECEIVE_BUFFER);
    let is_connected = socket.peer_addr().is_ok();
    let socket = Io::default().take(socket, fragmented)?;
    // The system gives a socket its port a moment before it connects it, and what somebody else
    // sends in that moment stays in it.
    while is_connected && socket.receive(batch, false).is_ok() {}
    Ok(socket)
}

/// Tells whether an error may be the network's word on something sent before: it comes out of the
/// next call, which then has done nothing (udp(7)).
pub(crate) fn is_of_earlier(class: ErrorClass) -> bool {
    matches!(class, ErrorClass::ConnectionRefused | ErrorClass::Unreachable)
}

/// Returns for how long what is in flight is waited for once nothing more is sent. Who is in no hurry
/// waits for each loss: a run that ended sooner would not count the last.
pub(crate) fn longest_wait(
    stopping: bool,
    largest_rtt: Option<Duration>,
    timeout: Duration,
) -> Duration {
    match (stopping, largest_rtt) {
        (false, _) => Duration::MAX,
        (true, Some(rtt)) => rtt.saturating_mul(3).min(timeout),
        (true, None) => Duration::ZERO,
    }
}

/// The receive buffer asked for, in bytes: for some thousand replies.
const RECEIVE_BUFFER: usize = 4 << 20;
