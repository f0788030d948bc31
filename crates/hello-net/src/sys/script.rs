//! A back end that plays a script, for tests.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use super::Datagrams;

/// What a receive is to return.
pub(crate) type Arrival = io::Result<(&'static [u8], SocketAddr)>;

/// Plays its arrivals one by one, then stops the worker; writes down what the worker does.
#[derive(Debug, Default)]
pub(crate) struct Script {
    pub(crate) arrivals: RefCell<VecDeque<Arrival>>,
    /// What the next sends are to return; `Ok` when there is no more.
    pub(crate) sends: RefCell<VecDeque<io::Result<()>>>,
    pub(crate) sent: RefCell<Vec<(Vec<u8>, SocketAddr)>>,
    pub(crate) pauses: RefCell<Vec<Duration>>,
    pub(crate) stopping: AtomicBool,
}

impl Datagrams for Script {
    fn receive(&self, space: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let Some(arrival) = self.arrivals.borrow_mut().pop_front() else {
            self.stopping.store(true, Relaxed);
            return Err(io::ErrorKind::WouldBlock.into());
        };
        let (datagram, source) = arrival?;
        let len = datagram.len().min(space.len());
        space[..len].copy_from_slice(&datagram[..len]);
        Ok((len, source))
    }

    fn send_reply(&self, reply: &[u8], to: SocketAddr) -> io::Result<()> {
        self.sends.borrow_mut().pop_front().unwrap_or(Ok(()))?;
        self.sent.borrow_mut().push((reply.to_vec(), to));
        Ok(())
    }

    fn pause(&self, wait: Duration) {
        self.pauses.borrow_mut().push(wait);
    }
}
