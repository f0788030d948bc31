//! What `hello-client` prints.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use hello_net::{ErrorClass, GreetError, Greeting, Progress};
use hello_proto::{DecodeError, Request};
use serde::Serialize;

use crate::Format;
use crate::escape::{Brief, Text};
use crate::json::{self, Name};
use crate::names::NameError;

/// Prints greetings to `out`, and as text what goes wrong to `err`. JSON lines all go to `out`.
///
/// Each method returns what the output reports, if it fails.
#[derive(Debug)]
pub struct Report<O, E> {
    format: Format,
    out: O,
    err: E,
    /// What was reported last, lest every attempt at every name repeats it.
    failed: Option<(SocketAddr, ErrorClass)>,
    /// How many datagrams were skipped since the last result.
    skipped: u64,
}

impl<O: Write, E: Write> Report<O, E> {
    /// Prints in `format`.
    pub fn new(format: Format, out: O, err: E) -> Self {
        Self { format, out, err, failed: None, skipped: 0 }
    }

    /// Says what happens before there is a result: errors when they are new, and of skipped
    /// datagrams the first.
    ///
    /// # Errors
    ///
    /// What the output reports.
    pub fn progress(&mut self, progress: Progress<'_>) -> io::Result<()> {
        match progress {
            Progress::Asked { .. } => Ok(()),
            Progress::Failed { server, class } => {
                if self.failed.replace((server, class)) == Some((server, class)) {
                    return Ok(());
                }
                match self.format {
                    Format::Text => self.note(format_args!("{server}: {class}; still asking")),
                    Format::Json => self.json(&Line::Failed { server, reason: class.label() }),
                }
            }
            Progress::Skipped { server, datagram, error } => {
                self.skipped += 1;
                if self.skipped > 1 {
                    return Ok(());
                }
                let error = error.as_ref().map(DecodeError::to_string);
                let why = error.unwrap_or_else(|| "greeting of another name".into());
                match self.format {
                    Format::Text => {
                        let datagram = Brief(datagram);
                        self.note(format_args!("{server}: skipped \"{datagram}\": {why}"))
                    }
                    Format::Json => {
                        let datagram = Brief(datagram).to_string();
                        self.json(&Line::Skipped { server, datagram, why })
                    }
                }
            }
        }
    }

    /// Prints the result of a request.
    ///
    /// # Errors
    ///
    /// What the output reports.
    pub fn result(
        &mut self,
        request: Request<'_>,
        servers: &[SocketAddr],
        result: &Result<Greeting, GreetError>,
    ) -> io::Result<()> {
        let skipped = std::mem::take(&mut self.skipped);
        let name = request.name();
        match (self.format, result) {
            (Format::Text, Ok(_)) => {
                let [prefix, name, suffix] = request.reply().parts().map(Text);
                writeln!(self.out, "{prefix}{name}{suffix}")?;
                self.out.flush()
            }
            (Format::Text, Err(error)) => {
                self.note(format_args!("{}: {}", Brief(name), explain(error, servers)))
            }
            (Format::Json, Ok(greeting)) => self.json(&Line::Greeting {
                server: greeting.server,
                name: name.into(),
                attempts: greeting.attempts,
                rtt_ms: greeting.rtt.map(millis),
                elapsed_ms: millis(greeting.elapsed),
                skipped,
            }),
            (Format::Json, Err(GreetError::Unanswered { attempts, elapsed, problem })) => self
                .json(&Line::Unanswered {
                    servers,
                    name: name.into(),
                    reason: problem.map_or("no-answer", ErrorClass::label),
                    attempts: *attempts,
                    elapsed_ms: millis(*elapsed),
                    skipped,
                }),
            (Format::Json, Err(error)) => {
                self.json(&Line::Error { error: explain(error, servers) })
            }
        }
    }

    /// Says that a name cannot be asked for.
    ///
    /// # Errors
    ///
    /// What the output reports.
    pub fn no_name(&mut self, error: &NameError) -> io::Result<()> {
        match self.format {
            Format::Text => self.note(format_args!("{error}")),
            Format::Json => self.json(&Line::Error { error: error.to_string() }),
        }
    }

    fn note(&mut self, text: std::fmt::Arguments<'_>) -> io::Result<()> {
        writeln!(self.err, "hello-client: {text}")
    }

    fn json(&mut self, line: &Line<'_>) -> io::Result<()> {
        writeln!(self.out, "{}", json::line(line))?;
        self.out.flush()
    }
}

/// Puts into words why there is no greeting, and what was tried.
fn explain(error: &GreetError, servers: &[SocketAddr]) -> String {
    let servers: Vec<_> = servers.iter().map(ToString::to_string).collect();
    let servers = servers.join(" and ");
    match error {
        GreetError::Socket(cause) => format!("{error} to ask {servers}: {cause}"),
        GreetError::Unanswered { attempts, elapsed, problem } => {
            let problem = match problem {
                None => format!("no answer from {servers}"),
                Some(ErrorClass::Refused) => format!("refused by {servers}: nothing listens there"),
                Some(class) => format!("{class}: {servers}"),
            };
            let times = if *attempts == 1 { "attempt" } else { "attempts" };
            format!("{problem} ({attempts} {times} in {:.1} s)", elapsed.as_secs_f64())
        }
    }
}

/// Returns milliseconds to the microsecond.
fn millis(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}

/// The JSON lines.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Line<'a> {
    Greeting {
        server: SocketAddr,
        #[serde(flatten)]
        name: Name<'a>,
        attempts: u32,
        rtt_ms: Option<f64>,
        elapsed_ms: f64,
        skipped: u64,
    },
    Unanswered {
        servers: &'a [SocketAddr],
        #[serde(flatten)]
        name: Name<'a>,
        reason: &'static str,
        attempts: u32,
        elapsed_ms: f64,
        skipped: u64,
    },
    Failed {
        server: SocketAddr,
        reason: &'static str,
    },
    Skipped {
        server: SocketAddr,
        datagram: String,
        why: String,
    },
    Error {
        error: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is printed to the output and to the error output.
    fn printed(
        format: Format,
        print: impl FnOnce(&mut Report<&mut Vec<u8>, &mut Vec<u8>>),
    ) -> [String; 2] {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        print(&mut Report::new(format, &mut out, &mut err));
        [out, err].map(|bytes| String::from_utf8(bytes).expect("UTF-8"))
    }

    fn server(port: u16) -> SocketAddr {
        ([192, 0, 2, 1], port).into()
    }

    fn unanswered(problem: Option<ErrorClass>) -> Result<Greeting, GreetError> {
        Err(GreetError::Unanswered { attempts: 3, elapsed: Duration::from_millis(7012), problem })
    }

    fn greeting(rtt: Option<Duration>) -> Result<Greeting, GreetError> {
        let elapsed = Duration::from_nanos(1_234_567);
        Ok(Greeting { server: server(9999), attempts: 1, rtt, elapsed })
    }

    const TRACY: &[u8] = b"Tracy";

    #[test]
    fn the_greeting_is_printed_as_the_tutorial_does() {
        for (name, line) in
            [(TRACY, "Hello, Tracy!\n"), (b"\x1b[2J\xff", "Hello, \\u{1b}[2J\\xff!\n")]
        {
            let request = Request::new(name).expect("short");
            let [out, err] = printed(Format::Text, |report| {
                report.result(request, &[], &greeting(None)).expect("printed");
            });
            assert_eq!((&*out, &*err), (line, ""));
        }
    }

    #[test]
    fn why_there_is_no_greeting_is_said_on_the_error_output() {
        let request = Request::new(TRACY).expect("short");
        for (problem, servers, why) in [
            (None, &[server(1)][..], "no answer from 192.0.2.1:1"),
            (None, &[server(1), server(2)], "no answer from 192.0.2.1:1 and 192.0.2.1:2"),
            (
                Some(ErrorClass::Refused),
                &[server(1)],
                "refused by 192.0.2.1:1: nothing listens there",
            ),
            (Some(ErrorClass::Unreachable), &[server(1)], "unreachable: 192.0.2.1:1"),
        ] {
            let [out, err] = printed(Format::Text, |report| {
                report.result(request, servers, &unanswered(problem)).expect("printed");
            });
            let line = format!("hello-client: Tracy: {why} (3 attempts in 7.0 s)\n");
            assert_eq!((out, err), (String::new(), line));
        }
    }

    #[test]
    fn the_same_error_is_said_once_and_a_new_one_again() {
        let failed = |port, class| Progress::Failed { server: server(port), class };
        let [_, err] = printed(Format::Text, |report| {
            for progress in [
                failed(1, ErrorClass::Refused),
                failed(1, ErrorClass::Refused),
                failed(2, ErrorClass::Refused),
                failed(1, ErrorClass::Unreachable),
            ] {
                report.progress(progress).expect("printed");
            }
        });
        let expected = [
            "hello-client: 192.0.2.1:1: refused (nothing listens there); still asking",
            "hello-client: 192.0.2.1:2: refused (nothing listens there); still asking",
            "hello-client: 192.0.2.1:1: unreachable; still asking",
        ];
        assert_eq!(Vec::from_iter(err.lines()), expected);
    }

    #[test]
    fn of_what_is_skipped_the_first_is_shown_and_all_are_counted() {
        let request = Request::new(TRACY).expect("short");
        let skipped = |datagram| Progress::Skipped { server: server(1), datagram, error: None };
        let play = |report: &mut Report<&mut Vec<u8>, &mut Vec<u8>>| {
            for datagram in [&b"Hello, \x07!"[..], b"Hello, Mallory!"] {
                report.progress(skipped(datagram)).expect("printed");
            }
            let rtt = Some(Duration::from_nanos(123_456));
            report.result(request, &[], &greeting(rtt)).expect("printed");
            report.result(request, &[], &greeting(None)).expect("printed");
        };
        let [out, err] = printed(Format::Text, play);
        assert_eq!(out, "Hello, Tracy!\nHello, Tracy!\n");
        let line =
            "hello-client: 192.0.2.1:1: skipped \"Hello, \\u{7}!\": greeting of another name\n";
        assert_eq!(err, line);

        let [out, err] = printed(Format::Json, play);
        let lines = [
            r#"{"event":"skipped","server":"192.0.2.1:1","datagram":"Hello, \\u{7}!","why":"greeting of another name"}"#,
            r#"{"event":"greeting","server":"192.0.2.1:9999","name":"Tracy","attempts":1,"rtt_ms":0.123,"elapsed_ms":1.234,"skipped":2}"#,
            r#"{"event":"greeting","server":"192.0.2.1:9999","name":"Tracy","attempts":1,"rtt_ms":null,"elapsed_ms":1.234,"skipped":0}"#,
        ];
        assert_eq!((Vec::from_iter(out.lines()), &*err), (lines.to_vec(), ""));
    }

    #[test]
    fn an_unanswered_name_is_a_json_line_with_its_reason() {
        let request = Request::new(b"\xff").expect("short");
        let [out, err] = printed(Format::Json, |report| {
            report.result(request, &[server(1)], &unanswered(None)).expect("printed");
            let refused = unanswered(Some(ErrorClass::Refused));
            report.result(request, &[server(1)], &refused).expect("printed");
        });
        let line = |reason| {
            format!(
                r#"{{"event":"unanswered","servers":["192.0.2.1:1"],"name":null,"name_hex":"ff","reason":"{reason}","attempts":3,"elapsed_ms":7012.0,"skipped":0}}"#
            )
        };
        assert_eq!(out, [line("no-answer"), line("refused"), String::new()].join("\n"));
        assert_eq!(err, "");
    }
}
