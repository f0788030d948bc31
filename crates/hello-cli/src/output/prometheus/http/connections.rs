//! The open connections: a bounded number, in which newer ones take the places of older ones.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::process::lock;

/// The open connections.
///
/// While all places are taken, a new connection takes that of another one: of the address with the most
/// connections, the oldest. So clients that stall keep no other out, and cost themselves first.
#[derive(Debug, Default)]
pub(super) struct Connections {
    limits: Limits,
    state: Mutex<State>,
    /// Notified when a place is free, and at the stop.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// In the order of their start.
    open: Vec<Entry>,
    started: u64,
    is_stopped: bool,
}

#[derive(Debug)]
struct Entry {
    id: u64,
    peer: IpAddr,
    stream: Arc<TcpStream>,
    since: Instant,
    /// Whether it has a body to send.
    is_sending: bool,
    is_evicted: bool,
}

impl Connections {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Gives a connection a place, and up to [the time of a connection](Limits::time). Returns `None` if there is no place, or
    /// after the stop.
    pub(super) fn admit(self: &Arc<Self>, stream: TcpStream, peer: IpAddr) -> Option<Connection> {
        let mut state = self.make_room(lock(&self.state), self.limits.open, |_| true)?;
        state.started += 1;
        let (id, since, stream) = (state.started, Instant::now(), Arc::new(stream));
        let peer = peer.to_canonical();
        let entry = Entry {
            id,
            peer,
            stream: Arc::clone(&stream),
            since,
            is_sending: false,
            is_evicted: false,
        };
        state.open.push(entry);
        drop(state);
        Some(Connection {
            id,
            stream,
            deadline: since + self.limits.time,
            others: Arc::clone(self),
        })
    }

    /// Evicts connections of a kind until there are fewer than `max`. Returns `None` if these keep
    /// their places all the same, or after the stop.
    fn make_room<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        max: usize,
        is_of_kind: impl Fn(&Entry) -> bool,
    ) -> Option<MutexGuard<'a, State>> {
        let give_up = Instant::now() + MAX_WAIT;
        loop {
            if state.is_stopped || Instant::now() >= give_up {
                return None;
            }
            if state.open.iter().filter(|entry| is_of_kind(entry)).count() < max {
                return Some(state);
            }
            let wait = state.evict(self.limits.min_time, &is_of_kind);
            state = self.wait(state, wait);
        }
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, time: Duration) -> MutexGuard<'a, State> {
        let waited = self.changed.wait_timeout(state, time);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Evicts a connection, unless all are too young, so that there are descriptors for another one.
    pub(super) fn evict_one(&self) {
        let _ = lock(&self.state).evict(self.limits.min_time, |_| true);
    }

    /// Waits for a time, or until the stop.
    pub(super) fn pause(&self, time: Duration) {
        let end = Instant::now() + time;
        let mut state = lock(&self.state);
        while !state.is_stopped && !end.saturating_duration_since(Instant::now()).is_zero() {
            let left = end.saturating_duration_since(Instant::now());
            state = self.wait(state, left);
        }
    }

    /// Ends all connections, and admits no other one.
    pub(super) fn stop(&self) {
        let mut state = lock(&self.state);
        state.is_stopped = true;
        state.open.iter_mut().for_each(Entry::evict);
        self.changed.notify_all();
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        lock(&self.state).open.len()
    }

    #[cfg(test)]
    pub(super) fn sending(&self) -> usize {
        lock(&self.state).open.iter().filter(|entry| entry.is_sending).count()
    }

    pub(super) fn is_stopped(&self) -> bool {
        lock(&self.state).is_stopped
    }

    /// Waits until no connection is open, for at most a time.
    pub(super) fn wait_until_closed(&self, time: Duration) {
        let is_open = |state: &mut State| !state.open.is_empty();
        let _ = self.changed.wait_timeout_while(lock(&self.state), time, is_open);
    }
}

impl State {
    /// Evicts a connection of a kind, unless all are too young or evicted already. Returns the time
    /// after which to try again.
    fn evict(&mut self, min_time: Duration, is_of_kind: impl Fn(&Entry) -> bool) -> Duration {
        let mut of_peer = HashMap::<IpAddr, usize>::new();
        for entry in &self.open {
            *of_peer.entry(entry.peer).or_default() += 1;
        }
        let candidates =
            self.open.iter_mut().filter(|entry| !entry.is_evicted && is_of_kind(entry)).rev();
        // Of equals, the last one in this order, which is the oldest.
        let victim = candidates.max_by_key(|entry| of_peer[&entry.peer]);
        let Some(victim) = victim else { return MAX_WAIT };
        let left = min_time.saturating_sub(victim.since.elapsed());
        if left.is_zero() {
            victim.evict();
            return MAX_WAIT;
        }
        left
    }
}

impl Entry {
    /// Ends the connection's pending and future calls.
    fn evict(&mut self) {
        self.is_evicted = true;
        // An error means that it has ended already.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// An open connection, which has its place until it is dropped. Every call ends at the deadline, however
/// little the client sends or reads at a time.
#[derive(Debug)]
pub(super) struct Connection {
    id: u64,
    stream: Arc<TcpStream>,
    deadline: Instant,
    others: Arc<Connections>,
}

impl Connection {
    /// Gives the connection one of the few places for connections that have a body to send.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub(super) fn start_sending(&self) -> io::Result<()> {
        let is_other = |entry: &Entry| entry.is_sending && entry.id != self.id;
        let room =
            self.others.make_room(lock(&self.others.state), self.others.limits.sending, is_other);
        let mut state = room.ok_or(io::ErrorKind::ResourceBusy)?;
        state.open.iter_mut().filter(|entry| entry.id == self.id).for_each(|entry| {
            entry.is_sending = true;
        });
        Ok(())
    }

    /// Frees that place.
    pub(super) fn stop_sending(&self) {
        let mut state = lock(&self.others.state);
        state.open.iter_mut().filter(|entry| entry.id == self.id).for_each(|entry| {
            entry.is_sending = false;
        });
        self.others.changed.notify_all();
    }

    /// Ends what is sent, and waits until the client has closed the connection too. Without that, the
    /// system could discard the response because of a request that was not read to its end.
    pub(super) fn close(mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)?;
        self.deadline = self.deadline.min(Instant::now() + MAX_LINGER);
        let (mut read, mut rest) = (0, [0; 4096]);
        while read < MAX_REST {
            match self.read(&mut rest)? {
                0 => break,
                len => read += len,
            }
        }
        Ok(())
    }

    fn left(&self) -> io::Result<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        // A shorter timeout may be rounded to zero, which would be none.
        if left < Duration::from_millis(1) { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

impl Read for Connection {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.left()?))?;
        (&*self.stream).read(buf)
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        (&*self.stream).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        lock(&self.others.state).open.retain(|entry| entry.id != self.id);
        self.others.changed.notify_all();
    }
}

/// What clients can cost at most.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The most connections that are open at a time.
    pub(super) open: usize,
    /// The most connections that send a body at a time. Each may have another one in memory.
    pub(super) sending: usize,
    /// The time after which a connection is closed, however far it is.
    pub(super) time: Duration,
    /// The time for which a connection is not evicted. It also bounds how many a second can be.
    pub(super) min_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            open: 16,
            sending: 4,
            time: Duration::from_secs(10),
            min_time: Duration::from_millis(20),
        }
    }
}

/// The time to wait for a place.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// The time to wait for a client to close a connection after the response.
const MAX_LINGER: Duration = Duration::from_secs(1);

/// The most bytes to read after a request, so that the client gets its response.
const MAX_REST: usize = 1 << 16;
