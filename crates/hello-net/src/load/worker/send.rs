//! The sending half of a load's thread.

use std::io::{self, IoSlice};
use std::time::Duration;

use super::{LoadWorker, PAUSE, Pending};
use crate::load::error::LoadError;
use crate::load::event::{LoadEvent, LoadEventKind};
use crate::load::event_slices::EventSlices;
use crate::load::plan::MAX_LATENESS;
use crate::load::schedule::Schedule;
use crate::requester::NotSent;
use crate::sys;
use crate::sys::batch::RecvBatch;
use crate::sys::error_class::ErrorClass;
use crate::sys::transmit::Transmit;
use crate::udp::earlier_send::send_past_reports;
use crate::udp::socket_error::SocketError;

impl<O: Fn(&[LoadEvent<'_>])> LoadWorker<'_, O> {
    /// Enqueues the messages that are due.
    pub(super) fn enqueue_due(&mut self, now: Duration) {
        while self.ended_at.is_none() && self.pending.len() < MAX_BATCH {
            let due = self.due();
            let at = due.unwrap_or(now);
            if at >= self.end() || self.remaining == 0 && at >= self.epoch {
                // The run lasts until then, even if nothing of it is left.
                self.ended_at = Some(at.min(self.end())).filter(|over| *over <= now);
                return;
            }
            let Some(mut count) = self.room().filter(|_| at <= now) else { return };
            if at >= self.epoch {
                count = count.min(self.remaining);
                self.remaining -= count;
            }
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            let len = self.rng.usize(self.shared.plan.name_len.clone());
            self.pending.push_back(Pending { due: at, source: self.source, count, len });
            self.source = self.sources.next(self.source);
            self.schedule.advance();
        }
    }

    /// Returns the number of requests in the next message; `None` if too many are outstanding for
    /// it.
    pub(super) fn room(&self) -> Option<u64> {
        let train = u64::from(self.shared.plan.train.get());
        let Schedule::Closed { outstanding } = self.schedule else { return Some(train) };
        let train = train.min(outstanding);
        let wanted = (self.pending.len() as u64 + 1) * train;
        // An unanswered request gradually fills the ledger, so there may be less room.
        let room = outstanding.saturating_sub(self.tracker.in_flight());
        (wanted <= room.min(self.tracker.tokens().len() as u64)).then_some(train)
    }

    /// Returns whether a closed loop does not send only because its ledger is full.
    pub(super) fn is_stalled(&self) -> bool {
        let Schedule::Closed { outstanding } = self.schedule else { return false };
        let train = u64::from(self.shared.plan.train.get()).min(outstanding);
        self.ended_at.is_none()
            && self.pending.is_empty()
            && self.tracker.in_flight() + train <= outstanding
            && (self.tracker.tokens().len() as u64) < train
    }

    /// Returns when requests cease to be due, however many are left.
    pub(super) fn end(&self) -> Duration {
        self.epoch.saturating_add(self.shared.plan.duration)
    }

    /// Returns when the next message is due, or would be if one was left; `None` in a closed loop.
    pub(super) fn due(&self) -> Option<Duration> {
        let due = self.start.saturating_add(self.schedule.due()?);
        if self.remaining > 0 || due < self.epoch {
            return Some(due);
        }
        let end_of_schedule = self.start.saturating_add(self.schedule.end_of_schedule()?);
        Some(end_of_schedule.max(self.epoch))
    }

    /// Sends messages that are due, as many as one call takes, or drops them. Returns whether there
    /// were any and more can be sent now.
    pub(super) fn send(&mut self, now: Duration) -> Result<bool, LoadError> {
        if now < self.retry_at {
            return Ok(false);
        }
        let dropped = self.drop_late(now);
        if self.pending.is_empty() {
            return Ok(dropped);
        }
        let (messages, socket) = self.write();
        if messages.is_empty() {
            if let Some(message) = self.pending.pop_front() {
                self.report_not_sent(now, message.due, message.count, NotSent::TooManyInFlight);
            }
            return Ok(true);
        }
        let mut names = &*self.names;
        let iovecs = Vec::from_iter(messages.iter().map(|message| {
            let (name, rest) = names.split_at(message.len);
            names = rest;
            IoSlice::new(name)
        }));
        let (number, socket) = (socket, self.sources.socket(socket));
        let mut at = now;
        let send = || {
            at = sys::monotonic();
            socket.send(&messages, &iovecs)
        };
        let (sent, earlier) = send_past_reports(send);
        // A failed send may queue an error of the system's own. A call that sends only some messages
        // has perhaps taken an error about an earlier one, without returning it (sendmmsg(2)).
        let is_whole = sent.as_ref().is_ok_and(|taken| taken.get() == messages.len());
        let has_queued = !is_whole || !earlier.is_empty();
        let sent = match sent {
            Ok(taken) => {
                self.note_sent(at, taken.get());
                Ok(true)
            }
            Err(error) => self.fail(at, error).map(|()| false),
        };
        if has_queued {
            // After the requests that the errors may be about.
            self.report_returned(number, &earlier);
        }
        sent
    }

    /// Drops the messages that are too late, and returns whether there were any. A closed loop
    /// waits until the system takes them, as long as the run lasts.
    fn drop_late(&mut self, now: Duration) -> bool {
        let held_up = match self.schedule.interval() {
            Some(interval) => MAX_LATENESS.max(interval),
            None if self.ended_at.is_some() => MAX_LATENESS,
            None => return false,
        };
        let too_late = now.saturating_sub(held_up);
        let mut any = false;
        while let Some(&message) = self.pending.front().filter(|message| message.due < too_late) {
            self.pending.pop_front();
            self.report_not_sent(now, message.due, message.count, NotSent::Late);
            any = true;
        }
        if any && self.pending.is_empty() && self.skip_late(now, too_late) {
            // The rest is in time now, and would not be a moment later.
            self.enqueue_due(now);
        }
        any
    }

    /// Skips at once the messages that are too late and not yet enqueued, if there are many, and
    /// returns whether it did. At a rate beyond what can be enqueued one by one, the thread would
    /// never catch up otherwise.
    fn skip_late(&mut self, now: Duration, too_late: Duration) -> bool {
        let Some(due) = self.due().filter(|_| self.ended_at.is_none()) else { return false };
        let few = self.schedule.interval().map(|interval| interval.saturating_mul(MIN_SHARE));
        if few.is_none_or(|few| too_late.saturating_sub(due) < few) {
            return false;
        }
        let train = u64::from(self.shared.plan.train.get());
        if due < self.epoch {
            self.schedule.skip(self.epoch.min(too_late).saturating_sub(self.start), u64::MAX);
            // Messages due after the warm-up may also be too late.
            return too_late <= self.epoch;
        }
        let until = self.end().min(too_late).saturating_sub(self.start);
        let messages = self.schedule.skip(until, self.remaining.div_ceil(train));
        let mut skipped = messages.saturating_mul(train).min(self.remaining);
        self.remaining -= skipped;
        while skipped > 0 {
            let count = u32::try_from(skipped).unwrap_or(u32::MAX);
            self.report_not_sent(now, due, count, NotSent::Late);
            skipped -= u64::from(count);
        }
        true
    }

    /// Writes the names of the messages that one call can send, and returns these and their socket.
    fn write(&mut self) -> (Vec<Transmit>, usize) {
        let mut tokens = self.tracker.tokens();
        let (mut messages, mut socket) = (Vec::with_capacity(self.pending.len()), None);
        self.names.clear();
        for &Pending { source, count, len, .. } in &self.pending {
            let (number, route) = self.sources.route(source);
            let (start, count) = (self.names.len(), count as usize);
            if *socket.get_or_insert(number) != number
                || tokens.len() < count
                || start > 0 && start + count * len > MAX_BATCH_BYTES
            {
                break;
            }
            self.names.resize(start + count * len, 0);
            for (name, token) in self.names[start..].chunks_exact_mut(len).zip(&mut tokens) {
                // The length of the names was checked before.
                let _ = token.encode(name);
            }
            let index = messages.len();
            let message = Transmit::new(route, len);
            messages.push(Transmit {
                count,
                len: count * len,
                iovecs: index..index + 1,
                ..message
            });
        }
        (messages, socket.unwrap_or(0))
    }

    /// Records that the first of the pending messages were taken.
    fn note_sent(&mut self, at: Duration, messages: usize) {
        let mut events = EventSlices::new(self.shared.observe, self.thread, messages);
        let left = at.saturating_sub(self.epoch);
        for Pending { due, source, count, len } in self.pending.drain(..messages) {
            for _ in 0..count {
                self.tracker.note_sent(len, at, due, source);
            }
            if let Some(due) = due.checked_sub(self.epoch) {
                events.push(left, LoadEventKind::Sent { due, count });
            }
        }
    }

    /// Records that the first of the pending messages was not taken, and why.
    fn fail(&mut self, now: Duration, source: io::Error) -> Result<(), LoadError> {
        let error = SocketError::of(&source);
        self.retry_at = now + PAUSE;
        match error.class {
            ErrorClass::Interrupted => self.retry_at = now,
            // There will be room in a moment.
            ErrorClass::WouldBlock | ErrorClass::NoBuffers => {
                self.notify(now, LoadEventKind::SendBufferFull(error));
            }
            _ => {
                let Some(message) = self.pending.pop_front() else { return Ok(()) };
                if self.tracker.is_empty() {
                    let (train, len) = (message.count as usize, message.len);
                    return Err(LoadError::Send { server: self.shared.server, train, len, source });
                }
                self.shared.contact.note_error(error, None);
                self.report_not_sent(now, message.due, message.count, NotSent::Failed(error));
            }
        }
        Ok(())
    }

    /// Reports requests that were due after the warm-up and did not leave.
    fn report_not_sent(&mut self, now: Duration, due: Duration, count: u32, reason: NotSent) {
        if let Some(due) = due.checked_sub(self.epoch) {
            self.notify(now, LoadEventKind::NotSent { due, count, reason });
        }
    }
}

/// The most messages per call.
const MAX_BATCH: usize = RecvBatch::CAPACITY;

/// The most bytes per call of several messages. More would take as long as several calls.
const MAX_BATCH_BYTES: usize = 1 << 17;

/// The most late messages that are reported one by one, as they would have left.
const MIN_SHARE: u32 = 1024;
