//! The server's lines on standard output.

use std::sync::Mutex;
use std::time::Instant;

use hello_net::ErrorClass;

use crate::output::OutputError;
use crate::output::console::Console;
use crate::output::throttle::{ErrorThrottle, LineThrottle};
use crate::process::lock;

/// Prints the lines of a server to a [`Console`], and limits their rate: strangers choose how many
/// there are.
///
/// A line over the limit is suppressed and counted, and so is one for which the console has no
/// room. Each kind of error has at most one line in thirty seconds, with the number of errors since
/// the last one.
#[derive(Debug)]
pub struct Log {
    limits: Mutex<Limits>,
    start: Instant,
    out: Console,
}

/// The limits on lines about datagrams and about errors.
#[derive(Debug)]
struct Limits {
    lines: LineThrottle,
    errors: ErrorThrottle<Failure>,
}

/// A kind of error, many of which share one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// A reply could not be sent.
    Send(ErrorClass),
    /// A receive call failed.
    Receive(ErrorClass),
    /// The metrics file could not be written.
    Metrics,
}

impl Log {
    /// Prints at most `per_second` lines about datagrams per second to `out`.
    pub fn new(out: Console, per_second: u16) -> Self {
        let (lines, errors) = (LineThrottle::new(per_second), ErrorThrottle::default());
        Self { limits: Mutex::new(Limits { lines, errors }), start: Instant::now(), out }
    }

    /// Prints a line about a datagram if the limit permits. `line` is called only then.
    pub fn line(&self, line: impl FnOnce() -> String) {
        let mut limits = lock(&self.limits);
        if limits.lines.admit(self.start.elapsed()) {
            self.out.event(line());
        }
        self.out.suppress(limits.lines.take_suppressed());
    }

    /// Prints a line about errors of a kind if one is due. `line` is called only then, with the
    /// number of errors since the last line, these included.
    pub fn failure(&self, failure: Failure, errors: u64, line: impl FnOnce(u64) -> String) {
        let mut limits = lock(&self.limits);
        if let Some(errors) = limits.errors.admit(failure, errors, self.start.elapsed())
            && !self.out.event(line(errors))
        {
            limits.errors.refund(&failure, errors);
        }
    }

    /// Prints a line that is exempt from the limit.
    pub fn note(&self, line: String) {
        self.out.line(line);
    }

    /// Shows a status. `status` is called only if a terminal shows it.
    pub fn status(&self, status: impl FnOnce() -> String) {
        self.out.status(|| status().into());
    }

    /// Prints the last line, and waits for the reader like [`Console::finish`] for a stopped run.
    pub(crate) fn finish(self, last: String) -> Result<(), OutputError> {
        self.out.close(vec![last]);
        self.out.finish(true)
    }
}

/// The number of lines that may wait for the reader: strangers choose the names in them.
pub const ROOM: usize = 256;

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::mpsc::{self, Receiver};

    use indicatif::ProgressBar;

    use super::*;
    use crate::output::Format;
    use crate::output::console::Stream;
    use crate::output::fixtures::{Broken, Memory};

    fn start(out: impl Write + Send + 'static, per_second: u16) -> Log {
        let out = Stream::Other(Box::new(out));
        let out = Console::start(out, ProgressBar::hidden(), Format::Text, ROOM, ());
        let out = out.expect("a thread");
        for _ in 0..2 * ROOM {
            out.line("first".to_owned());
        }
        Log::new(out, per_second)
    }

    #[test]
    fn suppressed_lines_are_counted_before_the_last_line() {
        let memory = Memory::default();
        let log = start(memory.clone(), 3);
        for number in 0..10 {
            log.line(|| format!("line {number}"));
        }
        log.finish("the end".into()).expect("printed");

        let lines = memory.lines();
        assert_eq!(lines[..2 * ROOM], vec!["first"; 2 * ROOM]);
        let lines = &lines[2 * ROOM..];
        // More are shown if the loop takes longer than a second.
        assert_eq!(lines[..3], ["line 0", "line 1", "line 2"]);
        assert_eq!(lines.last().map(String::as_str), Some("the end"));
        let (shown, suppressed) = count(lines);
        assert_eq!(shown + suppressed, 10);
    }

    /// Returns the numbers of lines shown and suppressed.
    fn count(lines: &[String]) -> (usize, usize) {
        let shown = lines.iter().filter(|line| line.starts_with("line")).count();
        let suppressed = lines.iter().filter_map(|line| line.strip_prefix('(')?.split(' ').next());
        (shown, suppressed.map(|number| number.parse::<usize>().expect("a number")).sum())
    }

    #[test]
    fn blocked_output_delays_no_line_and_is_accounted_for() {
        /// Writes nothing before it is unblocked.
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
        let log = start(Blocked(blocked, memory.clone()), 10_000);
        for number in 0..5000 {
            log.line(|| format!("line {number}"));
        }
        drop(unblock);
        log.finish("the end".into()).expect("printed");
        let lines = memory.lines();
        let (shown, suppressed) = count(&lines);
        assert_eq!(shown + suppressed, 5000);
        assert!(shown <= ROOM + 1, "{shown}");
        assert_eq!(lines.last().map(String::as_str), Some("the end"));
    }

    #[test]
    fn errors_and_notes_are_exempt_from_the_limit() {
        let memory = Memory::default();
        let log = start(memory.clone(), 0);
        let lines = |failure: Failure| move |errors| format!("{errors} of {failure:?}");
        for failure in [Failure::Metrics, Failure::Send(ErrorClass::Denied)] {
            for _ in 0..9 {
                log.failure(failure, 2, lines(failure));
                log.line(|| "never".into());
            }
        }
        log.note("a note".into());
        log.status(|| panic!("no terminal shows it"));
        log.finish("the end".into()).expect("printed");
        let expected =
            ["2 of Metrics", "2 of Send(Denied)", "a note", "(18 lines suppressed)", "the end"];
        assert_eq!(memory.lines()[2 * ROOM..], expected);
    }

    #[test]
    fn broken_output_does_not_stop_the_log() {
        let log = start(Broken(io::ErrorKind::BrokenPipe), 10);
        log.line(|| "not printed".into());
        log.finish("not printed".into()).expect_err("the output is broken");
    }
}
