//! Standard output, written by a separate thread.

mod queue;

#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use serde::Serialize;

use self::queue::Queue;
use super::style::Color;
use super::{Format, OutputError, json};
use crate::sys;

/// Prints lines in a separate thread, so that no caller waits for the reader.
///
/// Lines wait in a queue. Events that do not fit are suppressed, and their number is printed once a
/// second. Each line is written and flushed as soon as the reader takes it.
#[derive(Debug)]
pub struct Console {
    queue: Arc<Queue>,
    unread: Unread,
    is_watched: bool,
}

/// A place among the lines to print, which stays empty if it is dropped.
#[derive(Debug)]
pub struct Place<'a> {
    queue: &'a Queue,
    /// `None` if there was no room.
    text: Option<Arc<OnceLock<String>>>,
}

impl Place<'_> {
    /// Puts lines into this place.
    pub fn fill(self, lines: &[String]) {
        match &self.text {
            Some(text) => {
                self.queue.fill(text, lines.iter().flat_map(|line| [line, "\n"]).collect());
            }
            None => self.queue.suppress(lines.len().try_into().unwrap_or(u64::MAX)),
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(text) = &self.text {
            self.queue.fill(text, String::new());
        }
    }
}

/// The destination of a console.
pub enum Stream {
    /// Standard output.
    Stdout(Color),
    /// Standard error.
    Stderr(Color),
    /// Another destination.
    Other(Box<dyn Write + Send>),
}

/// The last line of a terminal, which shows the progress of a run.
#[derive(Debug, Default)]
pub struct Status {
    /// The text of the line.
    pub message: String,
    /// The position and the length of the progress bar, if there is one.
    pub progress: Option<(u64, u64)>,
}

/// Returns the number of bytes in a stream that its reader has not read yet, if known.
type Unread = fn() -> Option<u64>;

impl Console {
    /// Starts printing to `stream`, with a queue for `room` events. `bar` shows the status.
    /// `failed` is dropped at the first error of the stream.
    pub(crate) fn start(
        stream: Stream,
        bar: ProgressBar,
        format: Format,
        room: usize,
        failed: impl Send + 'static,
    ) -> io::Result<Self> {
        Self::start_with(stream, bar, format, room, |_| drop(failed))
    }

    /// Starts printing like [`start`](Self::start), and calls `on_error` with the first error of the
    /// stream.
    pub(crate) fn start_with(
        stream: Stream,
        bar: ProgressBar,
        format: Format,
        room: usize,
        on_error: impl FnOnce(&io::Error) + Send + 'static,
    ) -> io::Result<Self> {
        let queue = Arc::new(Queue::new(format, room));
        let (out, unread) = stream.open();
        let output = Self { queue: Arc::clone(&queue), unread, is_watched: !bar.is_hidden() };
        let screen = Screen { out, bar };
        thread::Builder::new().spawn(move || print(&queue, screen, on_error))?;
        Ok(output)
    }

    /// Prints a line about one event. Returns `false` if it was suppressed.
    pub fn event(&self, line: String) -> bool {
        self.queue.push(line, true)
    }

    /// Prints another line, such as a summary, even if events fill the queue.
    pub fn line(&self, line: String) {
        self.queue.push(line, false);
    }

    /// Reserves a place for lines that are not known yet. Later lines are printed after them.
    pub fn reserve(&self) -> Place<'_> {
        Place { queue: &self.queue, text: self.queue.reserve() }
    }

    /// Counts events that the caller suppressed.
    pub fn suppress(&self, lines: u64) {
        self.queue.suppress(lines);
    }

    /// Whether a terminal shows the status.
    pub fn is_watched(&self) -> bool {
        self.is_watched
    }

    /// Whether the reader closed the output.
    pub fn is_reader_gone(&self) -> bool {
        self.queue.is_reader_gone()
    }

    /// Shows the status. `status` is called only if a terminal shows it.
    pub fn status(&self, status: impl FnOnce() -> Status) {
        if self.is_watched {
            self.queue.set_status(status());
        }
    }

    /// Closes the output after these last lines.
    pub fn close(&self, last: Vec<String>) {
        self.queue.close(last);
    }

    /// Closes the output and waits until everything is written, or until the reader has read
    /// nothing for [`PATIENCE`].
    ///
    /// If the run was `stopped`, the whole wait takes at most [`PATIENCE`]. After a third of that,
    /// queued events are suppressed in favour of the last lines.
    pub(crate) fn finish(self, stopped: bool) -> Result<(), OutputError> {
        self.wait(PATIENCE, stopped)
    }

    fn wait(self, patience: Duration, stopped: bool) -> Result<(), OutputError> {
        self.queue.close(vec![]);
        let start = Instant::now();
        let (mut last_read, mut position) = (start, (0, None));
        loop {
            let now = Instant::now();
            let seen = (self.queue.written(), (self.unread)());
            if std::mem::replace(&mut position, seen) != seen && !stopped {
                last_read = now;
            }
            if stopped && now - start >= patience / 3 {
                self.queue.skip_events();
            }
            let left = (last_read + patience).saturating_duration_since(now);
            if let Some(printed) = self.queue.wait_for_end(left.min(CHECK_PERIOD)) {
                return Ok(printed?);
            }
            if left.is_zero() {
                let why = format!("the reader has not read for {} seconds", patience.as_secs());
                return Err(io::Error::new(io::ErrorKind::TimedOut, why).into());
            }
        }
    }
}

impl Stream {
    fn open(self) -> (Box<dyn Write + Send>, Unread) {
        match self {
            Self::Stdout(color) => (color.wrap(io::stdout()), sys::unread_in_stdout),
            Self::Stderr(color) => (color.wrap(io::stderr()), sys::unread_in_stderr),
            Self::Other(out) => (out, || None),
        }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stdout(_) => "Stdout",
            Self::Stderr(_) => "Stderr",
            Self::Other(_) => "Other",
        })
    }
}

impl From<String> for Status {
    fn from(message: String) -> Self {
        Self { message, progress: None }
    }
}

/// Prints text to standard error, and waits for its reader for at most a second.
pub fn warn(color: Color, text: &str) {
    let bar = ProgressBar::hidden();
    if let Ok(output) = Console::start(Stream::Stderr(color), bar, Format::Text, 0, ()) {
        output.close(vec![text.to_owned()]);
        // A failure cannot be reported anywhere else.
        let _ = output.wait(Duration::from_secs(1), true);
    }
}

/// The time that a tool waits at its end for a reader that does not read.
pub const PATIENCE: Duration = Duration::from_secs(3);

/// The number of events that may wait for the reader of hello-ping or hello-load.
pub const ROOM: usize = 4096;

/// The period at which the progress of the reader is checked.
const CHECK_PERIOD: Duration = Duration::from_millis(100);

/// Returns the line that reports suppressed lines.
fn suppressed(format: Format, lines: u64) -> String {
    #[derive(Serialize)]
    #[serde(tag = "event", rename_all = "kebab-case")]
    enum Line {
        Suppressed { lines: u64 },
    }
    match format {
        Format::Text => format!("({lines} lines suppressed)"),
        Format::Json => json::to_timed_line(&Line::Suppressed { lines }),
    }
}

fn print(queue: &Queue, mut screen: Screen, on_error: impl FnOnce(&io::Error)) {
    let mut on_error = Some(on_error);
    while let Some(batch) = queue.next() {
        if batch.is_closed {
            screen.bar.finish_and_clear();
        }
        let printed = screen.print(&batch.text, batch.status);
        // Before the error is reported, so that it is known by then.
        let error =
            printed.as_ref().err().map(|error| io::Error::new(error.kind(), error.to_string()));
        queue.settle(batch.lines, printed);
        if let Some(error) = error
            && let Some(on_error) = on_error.take()
        {
            on_error(&error);
        }
    }
    screen.bar.finish_and_clear();
    queue.end();
    drop(on_error);
}

/// The stream, and the status line below.
struct Screen {
    out: Box<dyn Write + Send>,
    bar: ProgressBar,
}

impl Screen {
    fn print(&mut self, text: &str, status: Option<Status>) -> io::Result<()> {
        if let Some(Status { message, progress }) = status {
            if let Some((position, length)) = progress {
                self.bar.set_length(length);
                self.bar.set_position(position);
            }
            self.bar.set_message(message);
        }
        if text.is_empty() {
            return Ok(());
        }
        let out = &mut self.out;
        self.bar.suspend(|| out.write_all(text.as_bytes()).and_then(|()| out.flush()))
    }
}
