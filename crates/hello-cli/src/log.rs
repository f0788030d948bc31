//! The server's lines on standard output.

use std::io::{self, Write};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::limit::LineLimit;

/// Prints lines from a thread of its own, at most so many a second.
///
/// Who logs never waits: a line for which there is no room is left out and counted, be it that
/// there were too many this second, or that whoever reads our output does not keep up. How many
/// were left out is printed every second in which there were any.
#[derive(Debug)]
pub struct Log {
    limit: Arc<Mutex<LineLimit>>,
    start: Instant,
    lines: SyncSender<String>,
}

/// The printing thread of a [`Log`].
#[derive(Debug)]
pub struct Printer<W>(thread::JoinHandle<W>);

impl Log {
    /// Starts printing to `out`; `left_out` puts a number of lines left out into words.
    pub fn start<W: Write + Send + 'static>(
        out: W,
        per_second: u16,
        left_out: fn(u64) -> String,
    ) -> (Self, Printer<W>) {
        let limit = Arc::new(Mutex::new(LineLimit::new(per_second)));
        let (lines, queue) = mpsc::sync_channel(QUEUE);
        let count = Arc::clone(&limit);
        let thread = thread::spawn(move || print(out, &queue, &count, left_out));
        (Self { limit, start: Instant::now(), lines }, Printer(thread))
    }

    /// Prints a line if there is room for it; makes it only then.
    pub fn line(&self, line: impl FnOnce() -> String) {
        let mut limit = lock(&self.limit);
        if limit.admit(self.start.elapsed()) && self.lines.try_send(line()).is_err() {
            limit.leave_out();
        }
    }
}

impl<W> Printer<W> {
    /// Waits until everything is printed, which is when the [`Log`] is gone, and gives the
    /// output back.
    ///
    /// # Panics
    ///
    /// If the printing thread did.
    pub fn finish(self) -> W {
        self.0.join().expect("the printing thread does not panic")
    }
}

/// How many lines wait for whoever reads our output.
const QUEUE: usize = 256;

const SECOND: Duration = Duration::from_secs(1);

fn print<W: Write>(
    mut out: W,
    queue: &Receiver<String>,
    limit: &Mutex<LineLimit>,
    left_out: fn(u64) -> String,
) -> W {
    // That nobody reads the log, or that the disk is full, keeps no server from serving.
    let mut put = |line: &str| -> io::Result<()> {
        writeln!(out, "{line}")?;
        out.flush()
    };
    let mut noted = Instant::now();
    loop {
        let received = queue.recv_timeout(SECOND.saturating_sub(noted.elapsed()));
        if let Ok(line) = &received {
            let _ = put(line);
        }
        let ended = received == Err(RecvTimeoutError::Disconnected);
        if ended || noted.elapsed() >= SECOND {
            noted = Instant::now();
            let number = lock(limit).take_left_out();
            if number > 0 {
                let _ = put(&left_out(number));
            }
        }
        if ended {
            return out;
        }
    }
}

fn lock(limit: &Mutex<LineLimit>) -> std::sync::MutexGuard<'_, LineLimit> {
    limit.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(number: u64) -> String {
        format!("({number} left out)")
    }

    #[test]
    fn what_is_over_the_limit_is_counted_at_the_end_at_the_latest() {
        let (log, printer) = Log::start(Vec::new(), 3, words);
        // Should the machine take more than a second for these, the first line may go unnoted.
        for number in 0..10 {
            log.line(|| format!("line {number}"));
        }
        drop(log);
        let printed = String::from_utf8(printer.finish()).expect("UTF-8");
        let lines: Vec<_> = printed.lines().collect();
        assert_eq!(lines[..3], ["line 0", "line 1", "line 2"]);
        let left_out = lines.iter().filter_map(|line| line.strip_prefix('(')?.split(' ').next());
        let left_out: usize =
            left_out.map(|number| number.parse::<usize>().expect("a number")).sum();
        let printed = lines.iter().filter(|line| line.starts_with("line")).count();
        assert_eq!(printed + left_out, 10);
    }

    #[test]
    fn an_output_that_blocks_holds_up_nobody_and_is_accounted_for() {
        /// Writes nothing before it is told to.
        struct Blocked(Receiver<()>, Vec<u8>);
        impl Write for Blocked {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                let _ = self.0.recv();
                self.1.write(bytes)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (unblock, blocked) = mpsc::channel();
        let (log, printer) = Log::start(Blocked(blocked, Vec::new()), 10_000, words);
        for number in 0..5000 {
            log.line(|| format!("line {number}"));
        }
        drop((log, unblock));
        let printed = String::from_utf8(printer.finish().1).expect("UTF-8");
        let (lines, notes): (Vec<_>, Vec<_>) =
            printed.lines().partition(|line| line.starts_with("line"));
        assert!((QUEUE..=QUEUE + 1).contains(&lines.len()), "{}", lines.len());
        assert_eq!(notes, [words(5000 - lines.len() as u64)]);
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
        let (log, printer) = Log::start(Gone, 10, words);
        log.line(|| "nobody hears this".into());
        log.line(|| "nor this".into());
        drop(log);
        printer.finish();
    }
}
