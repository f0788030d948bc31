//! Lines on standard output, printed by a thread of their own.

mod queue;

#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use serde::Serialize;

use self::queue::Queue;
use super::{Format, OutputError, json};

/// Prints lines from a thread of its own, so that no caller waits for the reader.
///
/// Lines wait in a queue. An event that finds the queue full is left out; every second the number
/// of those is printed in their place. Each line is written and flushed as soon as the reader takes
/// it.
#[derive(Debug)]
pub struct Console {
    queue: Arc<Queue>,
    unread: Unread,
    is_watched: bool,
}

/// A destination of lines.
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// Anything else.
    Other(Box<dyn Write + Send>),
}

/// The line below all others that shows the progress of a run on a terminal.
#[derive(Debug, Default)]
pub struct Status {
    /// The text of the line.
    pub message: String,
    /// How much is done, and of how much, where the line has a bar.
    pub progress: Option<(u64, u64)>,
}

/// Returns the number of bytes that the reader of a stream has not read yet, if that is known.
type Unread = fn() -> Option<u64>;

impl Console {
    /// Starts printing to `stream`; `room` is the number of lines that may wait. `bar` shows the
    /// status. `failed` is dropped when the stream reports its first error.
    ///
    /// # Errors
    ///
    /// The system's error if there is no thread to be had.
    pub fn start(
        stream: Stream,
        bar: ProgressBar,
        format: Format,
        room: usize,
        failed: impl Send + 'static,
    ) -> io::Result<Self> {
        let queue = Arc::new(Queue::new(format, room));
        let (out, unread) = stream.open();
        let output = Self { queue: Arc::clone(&queue), unread, is_watched: !bar.is_hidden() };
        let screen = Screen { out, bar };
        thread::Builder::new().spawn(move || print(&queue, screen, failed))?;
        Ok(output)
    }

    /// Prints a line about one event of many. Returns `false` if it had to be left out.
    pub fn event(&self, line: String) -> bool {
        self.queue.push(line, true)
    }

    /// Prints a line that stands for more than one event, even if events fill the queue.
    pub fn line(&self, line: String) {
        self.queue.push(line, false);
    }

    /// Counts events for which the caller made no line.
    pub fn suppress(&self, lines: u64) {
        self.queue.suppress(lines);
    }

    /// Shows the status, which is made only if somebody sees it.
    pub fn status(&self, status: impl FnOnce() -> Status) {
        if self.is_watched {
            self.queue.set_status(status());
        }
    }

    /// Ends the output with these lines, behind all others.
    pub fn close(&self, last: Vec<String>) {
        self.queue.close(last);
    }

    /// Closes the output and waits for its reader: until all is written, or until nothing was read
    /// for [`PATIENCE`]. If the run was `stopped`, it waits no longer than [`PATIENCE`] in all, and
    /// events that still wait after a third of that make room for the last lines.
    ///
    /// # Errors
    ///
    /// The first error of the stream, or that nobody read it.
    pub fn finish(self, stopped: bool) -> Result<(), OutputError> {
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
                self.queue.hurry();
            }
            let left = (last_read + patience).saturating_duration_since(now);
            if let Some(printed) = self.queue.wait_for_end(left.min(GLANCE)) {
                return Ok(printed?);
            }
            if left.is_zero() {
                let why = format!("nobody has read it for {} seconds", patience.as_secs());
                return Err(io::Error::new(io::ErrorKind::TimedOut, why).into());
            }
        }
    }
}

impl Stream {
    fn open(self) -> (Box<dyn Write + Send>, Unread) {
        match self {
            Self::Stdout => {
                (Box::new(io::stdout()), || rustix::io::ioctl_fionread(io::stdout()).ok())
            }
            Self::Stderr => {
                (Box::new(io::stderr()), || rustix::io::ioctl_fionread(io::stderr()).ok())
            }
            Self::Other(out) => (out, || None),
        }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stdout => "Stdout",
            Self::Stderr => "Stderr",
            Self::Other(_) => "Other",
        })
    }
}

impl From<String> for Status {
    fn from(message: String) -> Self {
        Self { message, progress: None }
    }
}

/// Prints text to standard error, but waits for its reader no longer than a second.
pub fn warn(text: &str) {
    let bar = ProgressBar::hidden();
    if let Ok(output) = Console::start(Stream::Stderr, bar, Format::Text, 0, ()) {
        output.close(vec![text.to_owned()]);
        // There is nowhere else to say that it failed.
        let _ = output.wait(Duration::from_secs(1), true);
    }
}

/// The time that the end of a tool waits for a reader that reads nothing.
pub const PATIENCE: Duration = Duration::from_secs(3);

/// The number of lines that may wait for the reader of a tool that measures.
pub const ROOM: usize = 4096;

/// How often the end looks whether the reader has read something.
const GLANCE: Duration = Duration::from_millis(100);

/// A note in place of lines left out.
fn suppressed(format: Format, lines: u64) -> String {
    #[derive(Serialize)]
    #[serde(tag = "event", rename_all = "kebab-case")]
    enum Line {
        Suppressed { lines: u64 },
    }
    match format {
        Format::Text => format!("({lines} more lines left out)"),
        Format::Json => json::to_line(&Line::Suppressed { lines }),
    }
}

fn print(queue: &Queue, mut screen: Screen, failed: impl Send) {
    let mut failed = Some(failed);
    while let Some(batch) = queue.next() {
        if batch.is_closed {
            screen.bar.finish_and_clear();
        }
        let printed = screen.put(&batch.text, batch.status);
        if printed.is_err() {
            failed = None;
        }
        queue.settle(batch.lines, printed);
    }
    screen.bar.finish_and_clear();
    queue.end();
    drop(failed);
}

/// Lines, and the status below them.
struct Screen {
    out: Box<dyn Write + Send>,
    bar: ProgressBar,
}

impl Screen {
    fn put(&mut self, text: &str, status: Option<Status>) -> io::Result<()> {
        if let Some(Status { message, progress }) = status {
            if let Some((done, whole)) = progress {
                self.bar.set_length(whole);
                self.bar.set_position(done);
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
