//! The lines that wait to be printed.

use std::collections::VecDeque;
use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Status, suppressed};
use crate::output::Format;

/// A bounded queue of lines between those who have something to print and the printing thread.
#[derive(Debug)]
pub(super) struct Queue {
    format: Format,
    /// The number of events that may wait.
    room: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<Line>,
    waiting: Waiting,
    status: Option<Status>,
    suppressed: u64,
    /// When the note on those left out is due.
    note_due: Option<Instant>,
    is_closed: bool,
    /// Events that still wait are left out.
    in_a_hurry: bool,
    /// How often something was written.
    written: u64,
    error: Option<io::Error>,
    has_ended: bool,
}

/// The number of lines not printed yet, those with the printing thread included.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Waiting {
    events: usize,
    others: usize,
}

impl Waiting {
    fn count(&mut self, is_event: bool) -> &mut usize {
        if is_event { &mut self.events } else { &mut self.others }
    }
}

#[derive(Debug)]
struct Line {
    text: String,
    is_event: bool,
}

/// What the printing thread prints at once.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) text: String,
    pub(super) status: Option<Status>,
    /// The lines it settles.
    pub(super) lines: Waiting,
    /// No status is shown any more.
    pub(super) is_closed: bool,
}

impl Queue {
    pub(super) fn new(format: Format, room: usize) -> Self {
        Self { format, room, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Adds a line if there is room. Returns whether there was.
    pub(super) fn push(&self, text: String, is_event: bool) -> bool {
        let mut state = self.lock();
        let room = if is_event { self.room } else { ROOM_FOR_OTHERS };
        if *state.waiting.count(is_event) >= room {
            self.count_suppressed(&mut state, 1);
            return false;
        }
        self.note_if_due(&mut state);
        state.push(Line { text, is_event });
        self.changed.notify_all();
        true
    }

    pub(super) fn suppress(&self, lines: u64) {
        if lines > 0 {
            self.count_suppressed(&mut self.lock(), lines);
        }
    }

    pub(super) fn set_status(&self, status: Status) {
        self.lock().status = Some(status);
        self.changed.notify_all();
    }

    /// Adds the last lines, for which there is always room.
    pub(super) fn close(&self, last: Vec<String>) {
        let mut state = self.lock();
        self.note(&mut state);
        for text in last {
            state.push(Line { text, is_event: false });
        }
        (state.is_closed, state.status) = (true, None);
        self.changed.notify_all();
    }

    pub(super) fn hurry(&self) {
        self.lock().in_a_hurry = true;
    }

    /// Returns how often something was written.
    pub(super) fn written(&self) -> u64 {
        self.lock().written
    }

    /// Delays until all is printed. Returns the first error, or `None` if it takes longer.
    pub(super) fn wait_for_end(&self, timeout: Duration) -> Option<io::Result<()>> {
        let state = self.lock();
        let waited = self.changed.wait_timeout_while(state, timeout, |state| !state.has_ended);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.has_ended.then(|| state.error.take().map_or(Ok(()), Err))
    }

    /// Delays for something to print; `None` once the queue is closed and empty.
    pub(super) fn next(&self) -> Option<Batch> {
        let mut state = self.lock();
        loop {
            self.note_if_due(&mut state);
            if !state.lines.is_empty() || state.status.is_some() {
                return Some(self.take(&mut state));
            }
            if state.is_closed {
                return None;
            }
            state = match state.note_due {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(due) => {
                    let left = due.saturating_duration_since(Instant::now());
                    let waited = self.changed.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Notes what became of a batch.
    pub(super) fn settle(&self, lines: Waiting, printed: io::Result<()>) {
        let mut state = self.lock();
        state.waiting.events -= lines.events;
        state.waiting.others -= lines.others;
        state.written += 1;
        if let Err(error) = printed {
            state.error.get_or_insert(error);
        }
    }

    pub(super) fn end(&self) {
        self.lock().has_ended = true;
        self.changed.notify_all();
    }

    fn take(&self, state: &mut State) -> Batch {
        let mut batch =
            Batch { status: state.status.take(), is_closed: state.is_closed, ..Batch::default() };
        let mut skipped = 0;
        while let Some(next) = state.lines.front()
            && (batch.text.is_empty() || batch.text.len() + next.text.len() < CHUNK)
            && let Some(Line { text, is_event }) = state.lines.pop_front()
        {
            *batch.lines.count(is_event) += 1;
            if is_event && state.in_a_hurry {
                skipped += 1;
                continue;
            }
            self.write_suppressed(&mut batch.text, std::mem::take(&mut skipped));
            batch.text.push_str(&text);
            batch.text.push('\n');
        }
        self.write_suppressed(&mut batch.text, skipped);
        batch
    }

    fn write_suppressed(&self, text: &mut String, lines: u64) {
        if lines > 0 {
            text.push_str(&suppressed(self.format, lines));
            text.push('\n');
        }
    }

    fn count_suppressed(&self, state: &mut State, lines: u64) {
        state.suppressed += lines;
        if state.note_due.is_none() {
            state.note_due = Some(Instant::now() + SECOND);
            self.changed.notify_all();
        }
    }

    fn note_if_due(&self, state: &mut State) {
        if state.note_due.is_some_and(|due| Instant::now() >= due) {
            self.note(state);
        }
    }

    /// Says at this point of the output how many lines were left out.
    fn note(&self, state: &mut State) {
        state.note_due = None;
        let lines = std::mem::take(&mut state.suppressed);
        if lines > 0 {
            state.push(Line { text: suppressed(self.format, lines), is_event: false });
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn push(&mut self, line: Line) {
        *self.waiting.count(line.is_event) += 1;
        self.lines.push_back(line);
    }
}

/// The number of lines that may wait and are no events.
const ROOM_FOR_OTHERS: usize = 4096;

/// The size of what is written at once, in bytes, but for a line that is longer: a pipe takes that
/// much in one piece (PIPE_BUF, pipe(7)).
const CHUNK: usize = 4096;

const SECOND: Duration = Duration::from_secs(1);
