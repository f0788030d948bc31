//! The reasons why a server answered nothing, and what to do.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use hello_measure::{Cause, NoAnswer};
use hello_net::{Client, ClientError, ErrorClass, SocketError, UnansweredCause, ZonedAddr};
use hello_proto::{DEFAULT_PORT, Request, Retry};
use serde::Serialize;

use super::plan::names;
use super::summary::Summary;
use crate::args::peer::PeerArg;
use crate::output::cause;
use crate::output::escape::Escaped;
use crate::output::format;
use crate::output::json::as_text;

/// A run without any answer, in the warm-up or after it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NoContact {
    /// The name of the server that the user gave.
    #[serde(skip)]
    pub target: String,
    /// The address that did not answer.
    #[serde(serialize_with = "as_text")]
    pub address: ZonedAddr,
    /// The kind of server that was expected.
    #[serde(skip)]
    pub peer: PeerArg,
    /// Why nothing was answered.
    pub reason: Reason,
    /// The time that requests were waited for, in seconds; `None` if they were refused.
    pub waited_s: Option<f64>,
    /// The lengths of the shortest and the longest name, in bytes.
    pub name_bytes: [usize; 2],
    /// The first error that was reported about a request, if any.
    pub error: Option<String>,
    /// The host that refused the requests, if it is another than the target's.
    #[serde(skip)]
    pub refused_by: Option<String>,
    /// Whether a greeting with a short name, sent after the run, was answered; `None` if none was sent.
    pub greeting_answered: Option<bool>,
}

/// A reason why nothing was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The network reported that no server is listening on the port.
    Refused,
    /// Replies arrived after their timeout.
    Late,
    /// Only datagrams that are not replies to these requests arrived.
    Unrelated,
    /// The system or the network reported another error.
    Errors,
    /// A short name was answered, so the server refuses names of this length.
    Size,
    /// A greeting after the run was answered.
    Overload,
    /// No reply and no error.
    Silent,
}

impl NoContact {
    /// Explains a run without any answer, of which an error or datagrams that are no replies are
    /// known, after such a wait for each request. If nothing else explains it, calls `greet` to send one
    /// greeting with a short name.
    pub(super) fn explain(
        summary: &Summary,
        (error, has_unrelated): (Option<SocketError>, bool),
        waited: Duration,
        greet: impl FnOnce() -> Greeted,
    ) -> Self {
        let known = match summary.no_answer() {
            Some(NoAnswer::Refused) => Some(Reason::Refused),
            Some(NoAnswer::Late) => Some(Reason::Late),
            Some(NoAnswer::Unrelated) => Some(Reason::Unrelated),
            _ if is_refusal(error) => Some(Reason::Refused),
            _ if has_unrelated => Some(Reason::Unrelated),
            Some(NoAnswer::Errors) => Some(Reason::Errors),
            Some(NoAnswer::Silent) | None => error.map(|_| Reason::Errors),
        };
        let plan = &summary.plan;
        let greeting = (known.is_none() && plan.peer == PeerArg::Hello).then(greet);
        let timeout = Duration::from_secs_f64(plan.timeout_s);
        let reason = known.unwrap_or(match greeting {
            Some(Greeted::Refused) => Reason::Refused,
            // The requests may have been answered as late as that.
            Some(Greeted::Answered(after)) if after > timeout => Reason::Late,
            Some(Greeted::Answered(_)) if plan.name_bytes[1] > GREETING.len() => Reason::Size,
            Some(Greeted::Answered(_)) => Reason::Overload,
            Some(Greeted::Silent | Greeted::Cancelled) | None => Reason::Silent,
        });
        Self {
            target: summary.target.clone(),
            address: summary.address,
            peer: plan.peer,
            reason,
            waited_s: (reason != Reason::Refused).then_some(waited.as_secs_f64()),
            name_bytes: plan.name_bytes,
            error: error.map(|error| error.to_string()),
            refused_by: None,
            greeting_answered: greeting
                .filter(|greeting| *greeting != Greeted::Cancelled)
                .map(|greeting| matches!(greeting, Greeted::Answered(_))),
        }
    }

    /// Adds what the network reported, and who did.
    pub(super) fn reported(self, cause: Cause) -> Self {
        let error = Some(cause::describe(cause, self.address));
        Self { error, refused_by: cause::other_refuser(cause, self.address), ..self }
    }
}

/// Returns whether an error reports that no server is listening.
pub(super) fn is_refusal(error: Option<SocketError>) -> bool {
    error.is_some_and(|error| error.class == ErrorClass::ConnectionRefused)
}

/// What became of a greeting with a short name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Greeted {
    /// It was answered after this time.
    Answered(Duration),
    /// The network reported that no server is listening.
    Refused,
    /// Neither.
    Silent,
    /// A signal ended the wait.
    Cancelled,
}

/// Returns a client that makes one attempt and waits for its reply for `wait`.
pub(super) fn greeter(address: SocketAddr, wait: Duration) -> Result<Client, ClientError> {
    let retry = Retry::new(wait, NonZeroU32::MIN, wait);
    Client::builder().retry(retry).deadline(wait).connect([address])
}

/// Sends one greeting and waits for its reply.
pub(super) fn greet(mut client: Client) -> Greeted {
    let Ok(request) = Request::new(GREETING) else { return Greeted::Silent };
    match client.greet(request, |_| ()) {
        Ok(greeting) => Greeted::Answered(greeting.rtt.unwrap_or(greeting.elapsed)),
        Err(unanswered) if unanswered.cause == UnansweredCause::Cancelled => Greeted::Cancelled,
        Err(unanswered) => match unanswered.servers.iter().any(|server| is_refusal(server.problem))
        {
            true => Greeted::Refused,
            false => Greeted::Silent,
        },
    }
}

impl fmt::Display for NoContact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = Escaped(self.target.as_bytes());
        let waited = Duration::from_secs_f64(self.waited_s.unwrap_or(0.0));
        let waited = format::duration(waited);
        let names = names(self.name_bytes);
        match (self.reason, &self.refused_by) {
            (Reason::Refused, Some(by)) => write!(
                f,
                "{by} refused the requests to {target}: it is not the target, so a firewall there \
                 rejects them"
            ),
            (Reason::Refused, None) => {
                let is_here = self.address.0.ip().to_canonical().is_loopback();
                let start = match self.address.0.port() {
                    _ if !is_here => "Start hello-server on that machine".to_owned(),
                    DEFAULT_PORT => "Start a server with: hello-server".to_owned(),
                    _ => format!("Start a server with: hello-server --bind {}", self.address),
                };
                write!(
                    f,
                    "{target} refused the requests: no server is listening on that port, or a firewall rejects it. {start}"
                )
            }
            (Reason::Late, _) => write!(
                f,
                "no reply from {target} within {waited}, but some came later: try a longer --timeout"
            ),
            (Reason::Unrelated, _) => {
                let hint = match self.peer {
                    PeerArg::Hello => "is that an echo server? Then add --peer echo",
                    PeerArg::Echo => "is that a Hello server? Then omit --peer echo",
                };
                write!(f, "no reply from {target}, but other datagrams: {hint}")
            }
            (Reason::Errors, _) => {
                let error = self.error.as_deref().unwrap_or("unknown");
                write!(f, "no reply from {target}, but an error: {error}")
            }
            (Reason::Size, _) => write!(
                f,
                "no reply from {target} to {names} within {waited}, but to a {}-byte name: it \
                 refuses this size; try a smaller --size",
                GREETING.len()
            ),
            (Reason::Overload, _) => write!(
                f,
                "no reply from {target} within {waited}, but to one greeting after that: it is \
                 overloaded, rate limited or was just started; try a lower --rate or --outstanding"
            ),
            (Reason::Silent, _) => write!(
                f,
                "no reply from {target} within {waited}, and no error: is a server running there, does a \
                 firewall or a rate limit drop the requests, or is it slower (try a longer --timeout)?"
            ),
        }
    }
}

/// A name that every server accepts.
const GREETING: &[u8] = b"hello-load check";

#[cfg(test)]
mod tests;
