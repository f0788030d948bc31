//! The queue of lines to print.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::{Status, suppressed};
use crate::output::Format;
use crate::process::error::is_broken_pipe;
use crate::process::lock;

/// A bounded queue of lines for the printing thread.
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
    /// When the line about suppressed lines is due.
    note_due: Option<Instant>,
    is_closed: bool,
    /// Queued events are suppressed.
    skips_events: bool,
    /// The number of batches written.
    written: u64,
    error: Option<io::Error>,
    has_ended: bool,
}

/// The number of lines not printed yet, including those of the current batch.
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
    text: Text,
    is_event: bool,
}

/// Lines with their ends.
#[derive(Debug)]
enum Text {
    Known(String),
    /// Filled later. The printing thread waits for it.
    Reserved(Arc<OnceLock<String>>),
}

impl Text {
    fn line(line: String) -> Self {
        Self::Known(line + "\n")
    }

    fn get(&self) -> Option<&str> {
        match self {
            Self::Known(text) => Some(text),
            Self::Reserved(text) => text.get().map(String::as_str),
        }
    }
}

/// The text that the printing thread writes in one call.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) text: String,
    pub(super) status: Option<Status>,
    /// The number of lines in it, suppressed ones included.
    pub(super) lines: Waiting,
    /// Whether the status line disappears.
    pub(super) is_closed: bool,
}

impl Queue {
    pub(super) fn new(format: Format, room: usize) -> Self {
        Self { format, room, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Adds a line, or returns `false` if there is no room.
    pub(super) fn push(&self, text: String, is_event: bool) -> bool {
        let mut state = lock(&self.state);
        let room = if is_event { self.room } else { ROOM_FOR_OTHERS };
        if *state.waiting.count(is_event) >= room {
            self.count_suppressed(&mut state, 1);
            return false;
        }
        self.note_if_due(&mut state);
        state.push(Line { text: Text::line(text), is_event });
        self.changed.notify_all();
        true
    }

    /// Reserves a place for text. Returns `None` if there is no room.
    pub(super) fn reserve(&self) -> Option<Arc<OnceLock<String>>> {
        let mut state = lock(&self.state);
        if state.waiting.others >= ROOM_FOR_OTHERS {
            return None;
        }
        self.note_if_due(&mut state);
        let text = Arc::default();
        state.push(Line { text: Text::Reserved(Arc::clone(&text)), is_event: false });
        Some(text)
    }

    /// Fills a reserved place with lines and their ends.
    pub(super) fn fill(&self, place: &OnceLock<String>, text: String) {
        let _state = lock(&self.state);
        place.get_or_init(|| text);
        self.changed.notify_all();
    }

    pub(super) fn suppress(&self, lines: u64) {
        if lines > 0 {
            self.count_suppressed(&mut lock(&self.state), lines);
        }
    }

    pub(super) fn set_status(&self, status: Status) {
        lock(&self.state).status = Some(status);
        self.changed.notify_all();
    }

    /// Adds the last lines, which always fit.
    pub(super) fn close(&self, last: Vec<String>) {
        let mut state = lock(&self.state);
        self.note(&mut state);
        for text in last {
            state.push(Line { text: Text::line(text), is_event: false });
        }
        (state.is_closed, state.status) = (true, None);
        self.changed.notify_all();
    }

    /// Suppresses the events in the queue.
    pub(super) fn skip_events(&self) {
        lock(&self.state).skips_events = true;
    }

    /// Returns the number of batches written.
    pub(super) fn written(&self) -> u64 {
        lock(&self.state).written
    }

    /// Whether the first error is that of a pipe whose reader closed it.
    pub(super) fn is_reader_gone(&self) -> bool {
        lock(&self.state).error.as_ref().is_some_and(|error| is_broken_pipe(error))
    }

    /// Waits until everything is printed and returns the first error; `None` after `timeout`.
    pub(super) fn wait_for_end(&self, timeout: Duration) -> Option<io::Result<()>> {
        let state = lock(&self.state);
        let waited = self.changed.wait_timeout_while(state, timeout, |state| !state.has_ended);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.has_ended.then(|| state.error.take().map_or(Ok(()), Err))
    }

    /// Waits for the next batch. Returns `None` once the queue is closed and empty.
    pub(super) fn next(&self) -> Option<Batch> {
        let mut state = lock(&self.state);
        loop {
            self.note_if_due(&mut state);
            if state.is_ready() || state.status.is_some() {
                return Some(self.take(&mut state));
            }
            if state.is_closed && state.lines.is_empty() {
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

    /// Records the result of writing a batch.
    pub(super) fn settle(&self, lines: Waiting, printed: io::Result<()>) {
        let mut state = lock(&self.state);
        state.waiting.events -= lines.events;
        state.waiting.others -= lines.others;
        state.written += 1;
        if let Err(error) = printed {
            state.error.get_or_insert(error);
        }
    }

    pub(super) fn end(&self) {
        lock(&self.state).has_ended = true;
        self.changed.notify_all();
    }

    fn take(&self, state: &mut State) -> Batch {
        let mut batch =
            Batch { status: state.status.take(), is_closed: state.is_closed, ..Batch::default() };
        let mut skipped = 0;
        while let Some(Line { text, is_event }) = state.lines.front()
            && let Some(text) = text.get()
            && (batch.text.is_empty() || batch.text.len() + text.len() <= CHUNK)
        {
            *batch.lines.count(*is_event) += 1;
            if *is_event && state.skips_events {
                skipped += 1;
            } else {
                self.write_suppressed(&mut batch.text, std::mem::take(&mut skipped));
                batch.text.push_str(text);
            }
            state.lines.pop_front();
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

    /// Adds a line with the number of suppressed lines.
    fn note(&self, state: &mut State) {
        state.note_due = None;
        let lines = std::mem::take(&mut state.suppressed);
        if lines > 0 {
            let text = Text::line(suppressed(self.format, lines));
            state.push(Line { text, is_event: false });
        }
    }
}

impl State {
    /// Whether the next line can be printed.
    fn is_ready(&self) -> bool {
        self.lines.front().is_some_and(|line| line.text.get().is_some())
    }

    fn push(&mut self, line: Line) {
        *self.waiting.count(line.is_event) += 1;
        self.lines.push_back(line);
    }
}

/// The number of lines that may wait, apart from events.
const ROOM_FOR_OTHERS: usize = 4096;

/// The size of a batch in bytes, except for a longer line. A pipe accepts this much in one piece
/// (PIPE_BUF, pipe(7)).
const CHUNK: usize = 4096;

const SECOND: Duration = Duration::from_secs(1);
