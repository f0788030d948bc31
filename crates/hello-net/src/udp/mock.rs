//! A back end that plays a script, for tests.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use crate::stopper::Stopper;
use crate::sys::batch::{RecvBatch, RecvMeta};
use crate::sys::datagram_socket::DatagramSocket;
use crate::sys::latch::Latch;
use crate::sys::transmit::Transmit;
use crate::sys::{BorrowedSocket, RawSockAddr, Waiter};

/// A socket that returns scripted receives one by one, then stops the worker, and records what the
/// worker does.
#[derive(Clone)]
pub(crate) struct MockSocket {
    state: Arc<Mutex<MockState>>,
    pub(crate) stop: Stopper,
}

impl Default for MockSocket {
    fn default() -> Self {
        Self { state: Arc::default(), stop: Stopper::new().expect("sockets") }
    }
}

#[derive(Default)]
pub(crate) struct MockState {
    pub(crate) receives: VecDeque<io::Result<Vec<MockMessage>>>,
    /// Takes each message or not, as the system does; without it, all are taken.
    pub(crate) take: Option<Box<Take>>,
    /// The most messages that one call takes.
    pub(crate) limit: Option<usize>,
    /// The replies that were taken, by message.
    pub(crate) sent: Vec<(SocketAddr, Vec<Vec<u8>>)>,
    pub(crate) send_calls: usize,
    pub(crate) pauses: Vec<Duration>,
    pub(crate) drops: u32,
    /// The number of times that the worker waited for a datagram or a stop.
    pub(crate) idle_waits: usize,
    /// Whether to wait, for each receive call.
    pub(crate) waits: Vec<bool>,
}

/// A message to receive.
pub(crate) type MockMessage = (RecvMeta, Vec<u8>);

/// Makes a datagram that arrives alone.
pub(crate) fn datagram(name: &[u8], source: SocketAddr) -> MockMessage {
    let len = name.len();
    (RecvMeta::new(RawSockAddr::new(source), len), name.to_vec())
}

/// Makes datagrams that arrive in one piece.
pub(crate) fn train<N: AsRef<[u8]>>(names: &[N], source: SocketAddr) -> MockMessage {
    let bytes = Vec::from_iter(names.iter().flat_map(AsRef::as_ref).copied());
    let (len, segment) = (bytes.len(), names[0].as_ref().len());
    (RecvMeta { segment, ..RecvMeta::new(RawSockAddr::new(source), len) }, bytes)
}

/// Takes a message or not, by its destination and its replies.
pub(crate) type Take = dyn FnMut(SocketAddr, &[Vec<u8>]) -> io::Result<()> + Send;

impl MockSocket {
    pub(crate) fn state(&self) -> MutexGuard<'_, MockState> {
        self.state.lock().expect("no panic")
    }
}

impl fmt::Debug for MockSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MockSocket")
    }
}

impl DatagramSocket for MockSocket {
    fn receive(&self, batch: &mut RecvBatch, wait: bool) -> io::Result<()> {
        let mut state = self.state();
        state.waits.push(wait);
        let received = state.receives.pop_front();
        drop(state);
        let received = received.unwrap_or_else(|| {
            self.stop.stop();
            Err(ErrorKind::WouldBlock.into())
        })?;
        for (space, (_, bytes)) in batch.recv_buffers().zip(&received) {
            space[..bytes.len()].copy_from_slice(bytes);
        }
        received.into_iter().for_each(|(meta, _)| batch.push(meta));
        Ok(())
    }

    fn send(&self, messages: &[Transmit], iovecs: &[IoSlice<'_>]) -> io::Result<NonZeroUsize> {
        let mut state = self.state();
        state.send_calls += 1;
        let mut taken = 0;
        for message in &messages[..state.limit.unwrap_or(messages.len()).min(messages.len())] {
            let bytes = message.bytes(iovecs);
            assert_eq!(bytes.len(), message.len);
            let replies = Vec::from_iter(bytes.chunks(message.segment).map(<[u8]>::to_vec));
            assert_eq!(replies.len(), message.count);
            let take = state.take.as_mut();
            match take.map_or(Ok(()), |take| take(message.route.to.get(), &replies)) {
                Ok(()) => state.sent.push((message.route.to.get(), replies)),
                Err(error) if taken == 0 => return Err(error),
                Err(_) => break,
            }
            taken += 1;
        }
        NonZeroUsize::new(taken).ok_or_else(|| ErrorKind::WriteZero.into())
    }

    fn socket(&self) -> BorrowedSocket<'_> {
        self.stop.stop_latch().waker().socket()
    }

    fn waiter(&self, flag: &Latch) -> io::Result<Waiter> {
        Waiter::new(None, flag)
    }

    /// There is always a next receive.
    fn wait(&self, _: &Waiter) -> io::Result<()> {
        self.state().idle_waits += 1;
        Ok(())
    }

    fn drops(&self) -> Option<u32> {
        Some(self.state().drops)
    }

    fn pause(&self, wait: Duration, _: &Latch) {
        self.state().pauses.push(wait);
    }
}
