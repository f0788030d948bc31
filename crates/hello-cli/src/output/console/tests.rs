use std::sync::mpsc::{self, Receiver, Sender};

use super::*;
use crate::output::fixtures::{Broken, Memory};

/// A reader that takes one write per message, and every write once the channel is closed.
struct Blocked {
    entered: Sender<()>,
    go_on: Receiver<()>,
    memory: Memory,
}

impl Write for Blocked {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.entered.send(());
        let _ = self.go_on.recv();
        self.memory.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn start(out: impl Write + Send + 'static, format: Format, room: usize) -> Console {
    let out = Stream::Other(Box::new(out));
    Console::start(out, ProgressBar::hidden(), format, room, ()).expect("a thread")
}

/// An output whose thread blocks at the line "first".
fn blocked(format: Format, room: usize) -> (Console, Sender<()>, Memory) {
    let ((entered, inside), (unblock, go_on)) = (mpsc::channel(), mpsc::channel());
    let memory = Memory::default();
    let output = start(Blocked { entered, go_on, memory: memory.clone() }, format, room);
    output.line("first".into());
    inside.recv().expect("it writes");
    (output, unblock, memory)
}

#[test]
fn events_beyond_the_room_are_suppressed_and_counted_before_the_last_lines() {
    for (format, note) in [
        (Format::Text, "(6 lines suppressed)"),
        (Format::Json, r#"{"event":"suppressed","lines":6}"#),
    ] {
        let (output, unblock, memory) = blocked(format, 2);
        let admitted = (0..6).map(|number| output.event(format!("event {number}")));
        assert_eq!(admitted.filter(|admitted| *admitted).count(), 2);
        output.line("interval".into());
        output.suppress(2);
        output.close(vec!["summary".into(), "end".into()]);
        drop(unblock);
        output.finish(false).expect("memory");
        let lines = memory.lines();
        // In JSON, the time of day follows.
        assert!(lines[4].starts_with(note.trim_end_matches('}')), "{lines:?}");
        let others = ["first", "event 0", "event 1", "interval", "summary", "end"];
        assert_eq!([&lines[..4], &lines[5..]].concat(), others);
    }
}

#[test]
fn other_lines_have_their_own_room() {
    let (output, unblock, memory) = blocked(Format::Text, 0);
    for number in 0..5000 {
        output.line(number.to_string());
    }
    drop(unblock);
    output.finish(false).expect("memory");
    let text = memory.text();
    let shown = text.lines().filter(|line| line.parse::<u64>().is_ok()).count();
    // The first one waits with them.
    assert_eq!(shown, 4095);
    assert!(text.ends_with("\n4094\n(905 lines suppressed)\n"), "{text}");
}

#[test]
fn reserved_place_comes_before_later_lines_and_stays_empty_if_dropped() {
    let (output, unblock, memory) = blocked(Format::Text, 9);
    let (place, unused) = (output.reserve(), output.reserve());
    drop(unblock);
    output.event("event".into());
    output.close(vec!["end".into()]);
    place.fill(&["interval".into(), "other".into()]);
    drop(unused);
    output.finish(false).expect("memory");
    assert_eq!(memory.text(), "first\ninterval\nother\nevent\nend\n");
}

#[test]
fn lines_for_which_there_was_no_place_are_counted() {
    let (output, unblock, memory) = blocked(Format::Text, 9);
    (0..4095).for_each(|_| output.line("x".into()));
    output.reserve().fill(&["interval".into(), "other".into()]);
    drop(unblock);
    output.finish(false).expect("memory");
    assert!(memory.text().ends_with("x\n(2 lines suppressed)\n"));
}

#[test]
fn lines_are_written_in_pieces_that_fit_a_pipe() {
    struct Pipe(Memory);
    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            assert!(bytes.len() <= 4096 && bytes.ends_with(b"\n"));
            self.0.write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let memory = Memory::default();
    let output = start(Pipe(memory.clone()), Format::Text, 1000);
    let lines = Vec::from_iter((0..1000).map(|number| "x".repeat(number % 60)));
    for line in &lines {
        assert!(output.event(line.clone()));
    }
    output.finish(false).expect("memory");
    assert_eq!(memory.text(), lines.join("\n") + "\n");
}

#[test]
fn reader_that_does_not_read_is_an_error_at_the_end() {
    thread::scope(|scope| {
        for stopped in [false, true] {
            scope.spawn(move || {
                let (output, _unblock, _) = blocked(Format::Text, 9);
                let error = output.finish(stopped).expect_err("blocked");
                let expected =
                    "cannot write to standard output: the reader has not read for 3 seconds";
                assert_eq!(crate::process::exit::error_chain(&error), expected);
            });
        }
    });
}

#[test]
fn slow_reader_is_waited_for_while_it_reads() {
    let (output, unblock, memory) = blocked(Format::Text, 9);
    for _ in 0..4 {
        output.event("x".repeat(4000));
    }
    thread::scope(|scope| {
        scope.spawn(move || {
            for _ in 0..5 {
                // Not a wait for anything: this makes the reader slow.
                thread::sleep(PATIENCE / 4);
                unblock.send(()).expect("waited for");
            }
        });
        output.close(vec!["end".into()]);
        output.finish(false).expect("read");
    });
    assert!(memory.text().ends_with("\nend\n"));
}

#[test]
fn queued_events_give_way_to_the_last_lines_after_a_stop() {
    let (output, unblock, memory) = blocked(Format::Text, 1000);
    for _ in 0..1000 {
        output.event("x".repeat(4000));
    }
    thread::scope(|scope| {
        let slow = scope.spawn(move || {
            // Not a wait for anything: this makes the reader slow.
            while unblock.send(()).is_ok() {
                thread::sleep(PATIENCE / 20);
            }
        });
        output.close(vec!["end".into()]);
        output.finish(true).expect("read");
        slow.join().expect("no panic");
    });
    let text = memory.text();
    let mut last = text.lines().rev();
    assert_eq!(last.next(), Some("end"));
    let note = last.next().and_then(|line| line.strip_prefix('(')?.split(' ').next());
    let suppressed = note.and_then(|number| number.parse::<usize>().ok()).expect("a note");
    assert_eq!(suppressed + text.matches("xxxx\n").count(), 1000);
}

#[test]
fn first_error_is_announced_immediately_and_reported_at_the_end() {
    let (failed, announced) = mpsc::channel::<()>();
    let out = Stream::Other(Box::new(Broken(io::ErrorKind::StorageFull)));
    let output = Console::start(out, ProgressBar::hidden(), Format::Text, 9, failed);
    let output = output.expect("a thread");
    output.event("one".into());
    announced.recv().expect_err("dropped");
    output.event("other".into());
    let error = output.finish(false).expect_err("full");
    assert_eq!(error.to_string(), "cannot write to standard output");
}
