//! The lines that `hello-client` prints.

mod json;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use hello_measure::{Cause, CauseKind};
use hello_net::{ErrorClass, Greeting, NoReply, Progress, SocketError, Unanswered, ZonedAddr};
use hello_proto::{DecodeError, Request};

use self::json::{Line, ServerReason, coarse_millis};
use super::names::{NameError, Rest};
use crate::output::cause::reporter as reporter_text;
use crate::output::escape::{Escaped, Truncated};
use crate::output::format::count;
use crate::output::json::{Origin, to_timed_line};
use crate::output::{Format, OutputError};
use crate::process::descriptors;
use crate::process::exit::error_chain;

/// Prints greetings to `out`, and problems to `err` as text. All JSON lines go to `out`.
///
/// A failure of `out` is an error; a failure of `err` is ignored.
#[derive(Debug)]
pub struct Report<O, E> {
    format: Format,
    out: O,
    err: E,
    /// The problems already reported, which further attempts do not repeat.
    reported: HashSet<(ZonedAddr, ErrorClass)>,
    /// The number of datagrams skipped since the last result.
    skipped: u64,
}

/// The names so far, by their results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Names with a greeting.
    pub greeted: u64,
    /// Names that were sent and got none.
    pub not_greeted: u64,
}

impl<O: Write, E: Write> Report<O, E> {
    /// Creates a report in `format`.
    pub fn new(format: Format, out: O, err: E) -> Self {
        Self { format, out, err, reported: HashSet::new(), skipped: 0 }
    }

    /// Prints the plan, in JSON only.
    pub(crate) fn start(
        &mut self,
        origin: &Origin,
        servers: &[SocketAddr],
        timeout: Duration,
        attempts: u32,
    ) -> Result<(), OutputError> {
        if self.format == Format::Text {
            return Ok(());
        }
        self.line(&to_timed_line(&Line::Start {
            origin,
            servers: servers.iter().map(|server| ZonedAddr(*server).to_string()).collect(),
            timeout_s: timeout.as_secs_f64(),
            attempts,
        }))
    }

    /// Prints the first datagram skipped, and each new error. Text omits an error if the client
    /// does not wait after it, because another address may answer immediately.
    pub(crate) fn progress(&mut self, progress: Progress<'_>) -> Result<(), OutputError> {
        match progress {
            Progress::Sending { .. } => Ok(()),
            Progress::Failed { server, error, cause, waits } => {
                self.failed(server.into(), error, cause, waits)
            }
            Progress::Skipped { server, datagram, error } => {
                self.skipped(server.into(), datagram, error)
            }
            _ => Ok(()),
        }
    }

    /// Prints the result of a request.
    pub(crate) fn result(
        &mut self,
        request: Request<'_>,
        result: &Result<Greeting, Unanswered>,
    ) -> Result<(), OutputError> {
        let skipped = std::mem::take(&mut self.skipped);
        let name = request.name();
        match (result, self.format) {
            (Ok(_), Format::Text) => {
                let [prefix, name, suffix] = request.reply().parts().map(Escaped);
                self.line(&format!("{prefix}{name}{suffix}"))
            }
            (Ok(greeting), Format::Json) => self.line(&to_timed_line(&Line::Greeting {
                server: greeting.server.into(),
                name: name.into(),
                attempts: greeting.attempts,
                rtt_ms: greeting.rtt.map(coarse_millis),
                elapsed_ms: coarse_millis(greeting.elapsed),
                skipped,
            })),
            (Err(unanswered), _) => {
                let line = Line::Unanswered {
                    name: name.into(),
                    servers: unanswered.servers.iter().map(ServerReason::from).collect(),
                    attempts: unanswered.attempts,
                    elapsed_ms: coarse_millis(unanswered.elapsed),
                    skipped,
                };
                self.note(&format!("{}: {}", Truncated(name), explain(unanswered, skipped)), &line)
            }
        }
    }

    /// Reports a name that cannot be sent.
    pub(crate) fn invalid_name(&mut self, error: &NameError) -> Result<(), OutputError> {
        let error = error_chain(error);
        self.note(&error, &Line::Error { error: &error })
    }

    /// Reports that a signal ended the run.
    pub(crate) fn interrupted(&mut self, counts: Counts, rest: Rest) -> Result<(), OutputError> {
        let Counts { greeted, not_greeted } = counts;
        let (not_sent, input_left) = (rest.names, rest.input);
        let failed = match not_greeted {
            0 => String::new(),
            _ => format!(", {not_greeted} not greeted"),
        };
        let input = if input_left { "; standard input was not read to its end" } else { "" };
        let text = format!("interrupted: {greeted} greeted{failed}, {not_sent} not sent{input}");
        self.note(&text, &Line::Interrupted { greeted, not_greeted, not_sent, input_left })
    }

    fn failed(
        &mut self,
        server: ZonedAddr,
        error: SocketError,
        cause: Option<Cause>,
        waits: bool,
    ) -> Result<(), OutputError> {
        let (class, error) = (error.class, io::Error::from(error));
        let is_omitted = self.format == Format::Text && !waits;
        if is_omitted || !self.reported.insert((server, class)) {
            return Ok(());
        }
        let why = match class {
            ErrorClass::Other if descriptors::advice(&error).is_some() => {
                format!("cannot open a socket: {}", error_chain(&error))
            }
            ErrorClass::Other => error.to_string(),
            class => describe(class, cause) + &reported_by(server, cause),
        };
        let line = Line::Failed { server, reason: reason(class, cause), cause };
        self.note(&format!("{server}: {why}; still waiting"), &line)
    }

    fn skipped(
        &mut self,
        server: ZonedAddr,
        datagram: &[u8],
        error: Option<DecodeError>,
    ) -> Result<(), OutputError> {
        self.skipped += 1;
        if self.skipped > 1 {
            return Ok(());
        }
        let why = error.map_or("reply to another name".into(), |error| error.to_string());
        let text = format!("{server}: skipped \"{}\": {why}", Truncated(datagram));
        self.note(&text, &Line::Skipped { server, datagram: datagram.into(), why })
    }

    /// Prints a problem, as text or as JSON. Text is written in one piece, because other processes
    /// may write to standard error, too.
    fn note(&mut self, text: &str, line: &Line<'_>) -> Result<(), OutputError> {
        match self.format {
            Format::Json => self.line(&to_timed_line(line)),
            Format::Text => {
                let _ = self.err.write_all(format!("hello-client: {text}\n").as_bytes());
                Ok(())
            }
        }
    }

    fn line(&mut self, line: &str) -> Result<(), OutputError> {
        writeln!(self.out, "{line}")?;
        Ok(self.out.flush()?)
    }
}

/// Describes an error: by what the network reported, which is more exact than the class, unless that has
/// advice.
fn describe(class: ErrorClass, cause: Option<Cause>) -> String {
    match cause {
        Some(Cause { kind, .. }) if kind != CauseKind::Refused => kind.to_string(),
        _ => class.to_string(),
    }
}

/// Returns the label of an error: that of what the network reported, or else that of the class.
pub(super) fn reason(class: ErrorClass, cause: Option<Cause>) -> &'static str {
    cause.map_or(class.label(), |cause| cause.kind.label())
}

/// Names the router or the host that reported an error, unless it is the server itself.
fn reported_by(server: ZonedAddr, cause: Option<Cause>) -> String {
    let reporter = cause.and_then(|cause| cause.reporter);
    let other = reporter.filter(|reporter| *reporter != server.0.ip().to_canonical());
    other.map_or(String::new(), |other| format!(", reported by {}", reporter_text(other, server)))
}

/// Formats the reason why there is no greeting, with the attempts made.
fn explain(unanswered: &Unanswered, skipped: u64) -> String {
    let Unanswered { attempts, elapsed, servers, .. } = unanswered;
    let reasons = servers.iter().map(|NoReply { server, problem, cause }| {
        let server = ZonedAddr(*server);
        match problem {
            None => format!("no reply from {server}"),
            Some(problem) => {
                let reporter = reported_by(server, *cause);
                format!("{server}: {}{reporter}", describe(problem.class, *cause))
            }
        }
    });
    let reasons = Vec::from_iter(reasons).join("; ");
    let attempts = count(u64::from(*attempts), "attempt");
    let skipped = match skipped {
        0 => String::new(),
        _ => format!(", {} skipped", count(skipped, "datagram")),
    };
    format!("{reasons} ({attempts} in {:.1} s{skipped})", elapsed.as_secs_f64())
}
