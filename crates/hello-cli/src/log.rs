//! The server's lines on standard output.

use std::io::{self, Write};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use hello_net::ErrorClass;
use indicatif::ProgressBar;

use crate::limit::{ErrorLimit, LineLimit};

/// Prints lines from a thread of its own, at most so many a second.
///
/// Nobody who logs waits: a line for which there is no room is left out and counted, be it that
/// there were too many this second, or that whoever reads our output does not keep up. How many
/// were left out is printed every second in which there were any. Of each kind of error there is
/// one line in thirty seconds, which tells how many there were.
#[derive(Debug)]
pub struct Log {
    limits: Arc<Mutex<Limits>>,
    start: Instant,
    queue: SyncSender<Item>,
    /// Somebody sees the status.
    is_watched: bool,
}

/// What lines there may be.
#[derive(Debug)]
struct Limits {
    lines: LineLimit,
    errors: ErrorLimit<Failure>,
}

/// A kind of error, to be told of in one line for many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// Replies that the system did not take.
    Send(ErrorClass),
    /// Receive calls that failed.
    Receive(ErrorClass),
    /// The metrics file could not be written.
    Metrics,
}

/// What waits to be printed.
#[derive(Debug)]
enum Item {
    Line(String),
    /// What stands below all lines until the next status.
    Status(String),
}

/// The printing thread of a [`Log`].
#[derive(Debug)]
pub struct Printer {
    last: Sender<String>,
    done: Receiver<()>,
}

impl Log {
    /// Starts printing to `out`, first of all the lines `first`; `left_out` puts a number of
    /// lines left out into words. `bar` shows the status, where there is somebody to see it.
    ///
    /// # Errors
    ///
    /// What the system reports if there is no thread for it.
    pub fn start(
        out: impl Write + Send + 'static,
        bar: ProgressBar,
        first: Vec<String>,
        per_second: u16,
        left_out: impl Fn(u64) -> String + Send + 'static,
    ) -> io::Result<(Self, Printer)> {
        let lines = LineLimit::new(per_second);
        let limits = Arc::new(Mutex::new(Limits { lines, errors: ErrorLimit::default() }));
        let (queue, items) = mpsc::sync_channel(QUEUE);
        let (last, last_line) = mpsc::channel();
        let (ended, done) = mpsc::channel();
        let counts = Arc::clone(&limits);
        let is_watched = !bar.is_hidden();
        let mut screen = Screen { out, bar };
        thread::Builder::new().spawn(move || {
            first.iter().for_each(|line| screen.put(line));
            print(&mut screen, &items, &counts, left_out);
            screen.bar.finish_and_clear();
            last_line.iter().for_each(|line: String| screen.put(&line));
            let _ = ended.send(());
        })?;
        Ok((Self { limits, start: Instant::now(), queue, is_watched }, Printer { last, done }))
    }

    /// Prints a line if there is room for it; makes it only then.
    pub fn line(&self, line: impl FnOnce() -> String) {
        let mut limits = lock(&self.limits);
        if limits.lines.admit(self.start.elapsed()) {
            self.put(&mut limits, line());
        }
    }

    /// Prints a line about errors of a kind if it is time for one; makes it only then, of how many
    /// there were since the last one, these included.
    pub fn failure(&self, failure: Failure, errors: u64, line: impl FnOnce(u64) -> String) {
        let mut limits = lock(&self.limits);
        if let Some(errors) = limits.errors.admit(failure, errors, self.start.elapsed())
            && !self.put(&mut limits, line(errors))
        {
            limits.errors.take_back(&failure, errors);
        }
    }

    /// Prints a line that does not depend on what strangers do.
    pub fn note(&self, line: String) {
        self.put(&mut lock(&self.limits), line);
    }

    /// Shows how things are, if there is somebody to see it; makes it only then.
    pub fn status(&self, status: impl FnOnce() -> String) {
        if self.is_watched {
            let _ = self.queue.try_send(Item::Status(status()));
        }
    }

    /// Tells whether there was room for a line.
    fn put(&self, limits: &mut Limits, line: String) -> bool {
        let room = self.queue.try_send(Item::Line(line)).is_ok();
        if !room {
            limits.lines.leave_out();
        }
        room
    }
}

impl Printer {
    /// Prints one more line behind all others, and waits until it is out, but no longer than for
    /// [`PATIENCE`]: a reader that does not read keeps no process from its end.
    pub fn finish(self, log: Log, last: String) {
        let _ = self.last.send(last);
        drop((log, self.last));
        let _ = self.done.recv_timeout(PATIENCE);
    }
}

/// How long the end waits for whoever reads our output.
pub const PATIENCE: Duration = Duration::from_secs(3);

/// How many lines wait for whoever reads our output.
const QUEUE: usize = 256;

const SECOND: Duration = Duration::from_secs(1);

fn print(
    screen: &mut Screen<impl Write>,
    items: &Receiver<Item>,
    limits: &Mutex<Limits>,
    left_out: impl Fn(u64) -> String,
) {
    let mut noted = Instant::now();
    loop {
        let received = items.recv_timeout(SECOND.saturating_sub(noted.elapsed()));
        let ended = matches!(received, Err(RecvTimeoutError::Disconnected));
        match received {
            Ok(Item::Line(line)) => screen.put(&line),
            Ok(Item::Status(status)) => screen.bar.set_message(status),
            Err(_) => {}
        }
        if ended || noted.elapsed() >= SECOND {
            noted = Instant::now();
            let number = lock(limits).lines.take_left_out();
            if number > 0 {
                screen.put(&left_out(number));
            }
        }
        if ended {
            return;
        }
    }
}

/// Lines, and below them how things are.
struct Screen<O> {
    out: O,
    bar: ProgressBar,
}

impl<O: Write> Screen<O> {
    /// Prints a line. That nobody reads it, or that the disk is full, keeps no server from serving.
    fn put(&mut self, line: &str) {
        let out = &mut self.out;
        self.bar.suspend(|| {
            let _ = writeln!(out, "{line}").and_then(|()| out.flush());
        });
    }
}

fn lock(limits: &Mutex<Limits>) -> MutexGuard<'_, Limits> {
    limits.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(number: u64) -> String {
        format!("({number} left out)")
    }

    fn start(out: impl Write + Send + 'static, per_second: u16) -> (Log, Printer) {
        let first = vec!["first".to_owned(); 2 * QUEUE];
        Log::start(out, ProgressBar::hidden(), first, per_second, words).expect("a thread")
    }

    /// Memory to print to, which stays with the test.
    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Memory {
        fn lines(&self) -> Vec<String> {
            let bytes = self.0.lock().expect("no panic").clone();
            String::from_utf8(bytes).expect("UTF-8").lines().map(str::to_owned).collect()
        }
    }

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic").write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_is_over_the_limit_is_counted_at_the_end_at_the_latest() {
        let memory = Memory::default();
        let (log, printer) = start(memory.clone(), 3);
        for number in 0..10 {
            log.line(|| format!("line {number}"));
        }
        printer.finish(log, "the end".into());

        let lines = memory.lines();
        assert_eq!(lines[..2 * QUEUE], vec!["first"; 2 * QUEUE]);
        let lines = &lines[2 * QUEUE..];
        // Should the machine take more than a second for these, more are shown.
        assert_eq!(lines[..3], ["line 0", "line 1", "line 2"]);
        assert_eq!(lines.last().map(String::as_str), Some("the end"));
        let (shown, left_out) = count(lines);
        assert_eq!(shown + left_out, 10);
    }

    /// How many lines are shown, and how many are said to be left out.
    fn count(lines: &[String]) -> (usize, usize) {
        let shown = lines.iter().filter(|line| line.starts_with("line")).count();
        let left_out = lines.iter().filter_map(|line| line.strip_prefix('(')?.split(' ').next());
        (shown, left_out.map(|number| number.parse::<usize>().expect("a number")).sum())
    }

    #[test]
    fn an_output_that_blocks_holds_up_nobody_and_is_accounted_for() {
        /// Writes nothing before it is told to.
        struct Blocked(Receiver<()>, Memory);
        impl Write for Blocked {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                let _ = self.0.recv();
                self.1.write(bytes)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let memory = Memory::default();
        let (unblock, blocked) = mpsc::channel();
        let (log, printer) = start(Blocked(blocked, memory.clone()), 10_000);
        for number in 0..5000 {
            log.line(|| format!("line {number}"));
        }
        drop(unblock);
        printer.finish(log, "the end".into());
        let lines = memory.lines();
        let (shown, left_out) = count(&lines);
        assert_eq!(shown + left_out, 5000);
        assert!(shown <= QUEUE + 1, "{shown}");
        assert_eq!(lines.last().map(String::as_str), Some("the end"));
    }

    #[test]
    fn errors_and_notes_have_their_lines_whatever_else_is_left_out() {
        let memory = Memory::default();
        let (log, printer) = start(memory.clone(), 0);
        let lines = |failure: Failure| move |errors| format!("{errors} of {failure:?}");
        for failure in [Failure::Metrics, Failure::Send(ErrorClass::Denied)] {
            for _ in 0..9 {
                log.failure(failure, 2, lines(failure));
                log.line(|| "never".into());
            }
        }
        log.note("a note".into());
        log.status(|| panic!("nobody sees it"));
        printer.finish(log, "the end".into());
        let expected = ["2 of Metrics", "2 of Send(Denied)", "a note", "(18 left out)", "the end"];
        assert_eq!(memory.lines()[2 * QUEUE..], expected);
    }

    #[test]
    fn an_output_that_is_gone_stops_nobody() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (log, printer) = start(Gone, 10);
        log.line(|| "nobody hears this".into());
        printer.finish(log, "nor this".into());
    }
}
