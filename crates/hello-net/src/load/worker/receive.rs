//! The receiving half of a load's thread.

use std::io;
use std::time::{Duration, Instant};

use super::LoadWorker;
use crate::clock::ClockSample;
use crate::load::error::LoadError;
use crate::load::event::LoadEvent;
use crate::load::event_slices::EventSlices;
use crate::sys::error_class::ErrorClass;
use crate::sys::queued_error::{MAX_QUOTE, QueuedError};
use crate::udp::earlier_send::{MAX_QUEUED, is_from_earlier_send};
use crate::udp::recv_backoff::RecvBackoff;
use crate::udp::socket_error::SocketError;
use crate::{requester, sys};

/// The result of polling sockets.
struct Polled {
    /// The earliest of the times at which the last datagram of each arrived; `None` if there was
    /// none.
    earliest: Option<Duration>,
    /// Whether every socket that had something was read.
    is_whole: bool,
}

impl<O: Fn(&[LoadEvent<'_>])> LoadWorker<'_, O> {
    /// Receives a batch from each socket that has something, and returns whether there was
    /// anything. With `waits`, waits for a first datagram, if there is one socket only. If
    /// receiving takes long, requests that are due have their turn before the rest of the sockets.
    pub(super) fn receive(&mut self, waits: bool) -> Result<bool, LoadError> {
        Ok(self.receive_all(waits)?.earliest.is_some())
    }

    fn receive_all(&mut self, waits: bool) -> Result<Polled, LoadError> {
        let (mut ready, start) = (std::mem::take(&mut self.ready), sys::monotonic());
        if ready.is_empty() {
            // If the system reports an error, the next call polls again.
            let _ = self.sources.poll_ready(&mut ready);
        }
        let (mut earliest, mut asked) = (None, 0);
        for &socket in &ready {
            if let Some(latest) = self.receive_from(socket, waits)? {
                earliest = Some(earliest.map_or(latest, |earliest: Duration| earliest.min(latest)));
            }
            asked += 1;
            if asked < ready.len() && sys::monotonic().saturating_sub(start) > MAX_TURN {
                break;
            }
        }
        ready.drain(..asked);
        self.ready = ready;
        Ok(Polled { earliest, is_whole: self.ready.is_empty() })
    }

    /// Receives everything that has arrived. What arrives meanwhile may never end, so this returns
    /// once each socket had something later or nothing, or when it takes too long.
    pub(super) fn drain(&mut self) -> Result<(), LoadError> {
        let (start, turns) = (sys::monotonic(), self.sources.turns());
        let (mut later, mut is_later, mut is_empty) = (0, true, true);
        for _ in 0..MAX_BATCHES * turns {
            let Polled { earliest, is_whole } = self.receive_all(false)?;
            is_later &= earliest.is_none_or(|earliest| earliest > start);
            is_empty &= earliest.is_none();
            if is_whole {
                later = if is_later { later + 1 } else { 0 };
                if is_empty || later >= turns {
                    break;
                }
                (is_later, is_empty) = (true, true);
            }
            if sys::monotonic().saturating_sub(start) > MAX_DRAIN {
                break;
            }
        }
        Ok(())
    }

    /// Receives a batch from a socket, and returns when the last datagram of it arrived, if there
    /// was any; zero, if that is unknown.
    fn receive_from(&mut self, socket: usize, waits: bool) -> Result<Option<Duration>, LoadError> {
        let before = waits.then(sys::monotonic);
        let received = self.sources.socket(socket).receive(&mut self.batch, waits);
        if let Some(before) = before {
            self.usage.add_idle(sys::monotonic().saturating_sub(before));
        }
        let Err(source) = received else {
            self.backoff = RecvBackoff::default();
            return Ok(Some(self.report_received(socket)));
        };
        let error = SocketError::of(&source);
        match error.class {
            ErrorClass::WouldBlock | ErrorClass::Interrupted => return Ok(None),
            // An error about one request: the next call has another, or a reply.
            _ if is_from_earlier_send(&source) => {
                self.report_returned(socket, &[source]);
                return Ok(Some(Duration::ZERO));
            }
            _ => {
                let broken = LoadError::Receive { server: self.shared.server, source };
                let wait = self.backoff.wait(error.class, Instant::now()).ok_or(broken)?;
                let before = sys::monotonic();
                self.latch().sleep(wait);
                self.usage.add_idle(sys::monotonic().saturating_sub(before));
            }
        }
        self.report_socket_error(error);
        Ok(Some(Duration::ZERO))
    }

    /// Reports the errors that calls on a socket returned about earlier requests: those that the system
    /// queued, or else the errors themselves.
    pub(super) fn report_returned(&mut self, socket: usize, returned: &[io::Error]) {
        let queued = self.report_queued(socket);
        let others = returned.iter().skip(queued).map(SocketError::of);
        others.for_each(|error| self.report_socket_error(error));
    }

    /// Reports each ICMP error that the system queued for a socket, up to a bound, and returns how many
    /// there were.
    fn report_queued(&mut self, socket: usize) -> usize {
        let (now, source) = (sys::monotonic(), self.sources.only_source(socket));
        let mut events = EventSlices::new(self.shared.observe, self.thread, 1);
        let mut quote = [0; MAX_QUOTE];
        for number in 0..MAX_QUEUED {
            let taken = self.sources.take_error(socket, &mut quote);
            let Some(QueuedError { code, cause, quoted, .. }) = taken else { return number };
            let error = SocketError::of(&io::Error::from_raw_os_error(code));
            self.shared.contact.note_error(error, Some(cause));
            if let Some(kind) = self.tracker.handle_error(&quote[..quoted], source, cause, now) {
                events.push(now.saturating_sub(self.epoch), kind);
            }
        }
        MAX_QUEUED
    }

    /// Classifies each datagram of a batch, reports it, and returns when the last one arrived; zero
    /// if the system does not report it.
    fn report_received(&mut self, socket: usize) -> Duration {
        self.timestamps.update(ClockSample::now());
        let expected = usize::try_from(self.batch.datagrams()).unwrap_or(usize::MAX);
        let mut events = EventSlices::new(self.shared.observe, self.thread, expected);
        for (index, meta) in self.batch.metas().iter().enumerate() {
            let at = self.timestamps.to_monotonic(meta.time);
            let source = self.sources.source(socket, meta);
            for place in self.batch.datagram_ranges(index) {
                if let Some(kind) = self.tracker.classify(self.batch.bytes(place), source, at) {
                    let at = at.saturating_sub(self.epoch);
                    events.push(at, kind);
                }
            }
        }
        if !self.is_contact_noted && self.tracker.has_answer() {
            self.is_contact_noted = true;
            self.shared.contact.note_answer();
        }
        if !self.is_unrelated_noted && self.tracker.has_unrelated() {
            self.is_unrelated_noted = true;
            self.shared.contact.note_unrelated();
        }
        let latest = requester::latest(&self.batch, &self.timestamps);
        // Without the system's timestamps, a reply that is received later seems to arrive later.
        if !latest.is_zero() {
            self.pace.note(u32::try_from(expected).unwrap_or(u32::MAX), latest);
        }
        latest
    }
}

/// The longest time that a thread receives before it sends what is due.
const MAX_TURN: Duration = Duration::from_millis(2);

/// The longest time that a thread receives before it settles losses.
const MAX_DRAIN: Duration = Duration::from_millis(100);

/// The number of batches that surely empties a socket.
const MAX_BATCHES: usize = 256;
