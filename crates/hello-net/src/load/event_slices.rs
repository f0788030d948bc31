use std::thread;
use std::time::Duration;

use super::event::{LoadEvent, LoadEventKind};

/// Collects events of one thread, and shows them in slices.
///
/// A slice is short enough to stay in the processor's first cache until it is observed, and long
/// enough for a lock that the observer takes to cost little.
#[derive(Debug)]
pub(super) struct EventSlices<'a, O: Fn(&[LoadEvent<'_>])> {
    observe: &'a O,
    thread: usize,
    events: Vec<LoadEvent<'a>>,
}

impl<'a, O: Fn(&[LoadEvent<'_>])> EventSlices<'a, O> {
    /// Makes room for an expected number of events, or for a slice.
    pub(super) fn new(observe: &'a O, thread: usize, expected: usize) -> Self {
        Self { observe, thread, events: Vec::with_capacity(expected.clamp(1, MAX_SLICE)) }
    }

    /// Adds an event, which is shown when the slice is full or this is dropped.
    pub(super) fn push(&mut self, at: Duration, kind: LoadEventKind<'a>) {
        self.events.push(LoadEvent { thread: self.thread, at, kind });
        if self.events.len() >= MAX_SLICE {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if !self.events.is_empty() {
            (self.observe)(&self.events);
            self.events.clear();
        }
    }
}

impl<O: Fn(&[LoadEvent<'_>])> Drop for EventSlices<'_, O> {
    fn drop(&mut self) {
        // An observer that panicked is not called again.
        if !thread::panicking() {
            self.flush();
        }
    }
}

/// The most events in a slice.
const MAX_SLICE: usize = 32;
