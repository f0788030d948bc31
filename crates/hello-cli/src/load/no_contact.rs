//! The reasons why a server answered nothing, and what to do.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use hello_measure::NoAnswer;
use hello_net::{Client, ErrorClass, SocketError, ZonedAddr};
use hello_proto::{DEFAULT_PORT, Request, Retry};
use serde::Serialize;

use super::plan::names;
use super::summary::Summary;
use crate::args::peer::PeerArg;
use crate::output::escape::Escaped;
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
    /// known, after such a wait for each request. If nothing else explains it, sends one greeting with
    /// a short name, and waits for its reply as long as the second of the two waits.
    pub(super) fn explain(
        summary: &Summary,
        (error, has_unrelated): (Option<SocketError>, bool),
        (waited, greeting_wait): (Duration, Duration),
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
        let greeting = (known.is_none() && plan.peer == PeerArg::Hello)
            .then(|| greet(summary.address.0, greeting_wait));
        let timeout = Duration::from_secs_f64(plan.timeout_s);
        let reason = known.unwrap_or(match greeting {
            Some(Greeted::Refused) => Reason::Refused,
            // The requests may have been answered as late as that.
            Some(Greeted::Answered(after)) if after > timeout => Reason::Late,
            Some(Greeted::Answered(_)) if plan.name_bytes[1] > GREETING.len() => Reason::Size,
            Some(Greeted::Answered(_)) => Reason::Overload,
            Some(Greeted::Silent) | None => Reason::Silent,
        });
        Self {
            target: summary.target.clone(),
            address: summary.address,
            peer: plan.peer,
            reason,
            waited_s: (reason != Reason::Refused).then_some(waited.as_secs_f64()),
            name_bytes: plan.name_bytes,
            error: error.map(|error| error.to_string()),
            greeting_answered: greeting.map(|greeting| matches!(greeting, Greeted::Answered(_))),
        }
    }
}

/// Returns whether an error reports that no server is listening.
pub(super) fn is_refusal(error: Option<SocketError>) -> bool {
    error.is_some_and(|error| error.class == ErrorClass::ConnectionRefused)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Greeted {
    /// After this time.
    Answered(Duration),
    Refused,
    Silent,
}

/// Sends one greeting and waits for its reply.
fn greet(address: SocketAddr, wait: Duration) -> Greeted {
    let retry = Retry::new(wait, NonZeroU32::MIN, wait);
    let client = Client::builder().retry(retry).deadline(wait).connect([address]);
    let (Ok(mut client), Ok(request)) = (client, Request::new(GREETING)) else {
        return Greeted::Silent;
    };
    match client.greet(request, |_| ()) {
        Ok(greeting) => Greeted::Answered(greeting.rtt.unwrap_or(greeting.elapsed)),
        Err(unanswered) => match unanswered.servers.iter().any(|server| is_refusal(server.problem))
        {
            true => Greeted::Refused,
            false => Greeted::Silent,
        },
    }
}

impl fmt::Display for NoContact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (target, waited) = (Escaped(self.target.as_bytes()), self.waited_s.unwrap_or(0.0));
        let names = names(self.name_bytes);
        match self.reason {
            Reason::Refused => {
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
            Reason::Late => write!(
                f,
                "no reply from {target} within {waited} s, but some came later: try a longer --timeout"
            ),
            Reason::Unrelated => {
                let hint = match self.peer {
                    PeerArg::Hello => "is that an echo server? Then add --peer echo",
                    PeerArg::Echo => "is that a Hello server? Then omit --peer echo",
                };
                write!(f, "no reply from {target}, but other datagrams: {hint}")
            }
            Reason::Errors => {
                let error = self.error.as_deref().unwrap_or("unknown");
                write!(f, "no reply from {target}, but an error: {error}")
            }
            Reason::Size => write!(
                f,
                "no reply from {target} to {names} within {waited} s, but to a {}-byte name: it \
                 refuses this size; try a smaller --size",
                GREETING.len()
            ),
            Reason::Overload => write!(
                f,
                "no reply from {target} within {waited} s, but to one greeting after that: it is \
                 overloaded, rate limited or was just started; try a lower --rate or --outstanding"
            ),
            Reason::Silent => write!(
                f,
                "no reply from {target} within {waited} s, and no error: is a server running there, \
                 does a firewall drop the requests, or is their rate limited?"
            ),
        }
    }
}

/// A name that every server accepts.
const GREETING: &[u8] = b"hello-load check";

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::thread;

    use super::*;
    use crate::load::fixtures;

    fn no_contact(reason: Reason, address: SocketAddr) -> NoContact {
        let (target, name_bytes) = (address.to_string(), [1400, 1400]);
        let address = address.into();
        let (waited_s, error) = (Some(1.0), Some("unreachable".into()));
        let (peer, greeting_answered) = (PeerArg::Hello, None);
        NoContact { target, address, peer, reason, waited_s, name_bytes, error, greeting_answered }
    }

    /// A run of which nothing but losses is known.
    fn unanswered() -> Summary {
        let mut summary = fixtures::summary();
        summary.common = hello_measure::Summary { sent: 3, lost: 3, ..Default::default() };
        summary
    }

    #[test]
    fn each_reason_says_what_to_do() {
        let default = ([127, 0, 0, 1], 9999).into();
        for (reason, address, expected) in [
            (
                Reason::Refused,
                default,
                "127.0.0.1:9999 refused the requests: no server is listening on that port, or a firewall rejects it. \
                 Start a server with: hello-server",
            ),
            (
                Reason::Refused,
                ([127, 0, 0, 1], 7).into(),
                "127.0.0.1:7 refused the requests: no server is listening on that port, or a firewall rejects it. \
                 Start a server with: hello-server --bind 127.0.0.1:7",
            ),
            (
                Reason::Refused,
                ([192, 0, 2, 1], 9999).into(),
                "192.0.2.1:9999 refused the requests: no server is listening on that port, or a firewall rejects it. Start \
                 hello-server on that machine",
            ),
            (
                Reason::Size,
                default,
                "no reply from 127.0.0.1:9999 to 1400-byte names within 1 s, but to a 16-byte \
                 name: it refuses this size; try a smaller --size",
            ),
            (
                Reason::Late,
                default,
                "no reply from 127.0.0.1:9999 within 1 s, but some came later: try a longer --timeout",
            ),
            (
                Reason::Unrelated,
                default,
                "no reply from 127.0.0.1:9999, but other datagrams: is that an echo server? \
                 Then add --peer echo",
            ),
            (Reason::Errors, default, "no reply from 127.0.0.1:9999, but an error: unreachable"),
            (
                Reason::Overload,
                default,
                "no reply from 127.0.0.1:9999 within 1 s, but to one greeting after that: it is \
                 overloaded, rate limited or was just started; try a lower --rate or --outstanding",
            ),
            (
                Reason::Silent,
                default,
                "no reply from 127.0.0.1:9999 within 1 s, and no error: is a server running there, \
                 does a firewall drop the requests, or is their rate limited?",
            ),
        ] {
            assert_eq!(no_contact(reason, address).to_string(), expected);
        }
    }

    #[test]
    fn unrelated_datagrams_suggest_the_peer_that_was_not_expected() {
        let mut summary = unanswered();
        summary.common.corrupt = 1;
        let wait = Duration::from_secs(1);
        for (peer, hint) in [
            (PeerArg::Hello, "is that an echo server? Then add --peer echo"),
            (PeerArg::Echo, "is that a Hello server? Then omit --peer echo"),
        ] {
            summary.plan.peer = peer;
            let found = NoContact::explain(&summary, (None, false), (wait, wait)).to_string();
            let expected = format!("no reply from 192.0.2.1:9999, but other datagrams: {hint}");
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn greeting_with_a_short_name_distinguishes_a_refused_size_from_silence() {
        let server = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let address = server.local_addr().expect("bound");
        let greet = |server: UdpSocket| {
            thread::spawn(move || {
                let mut name = [0; 99];
                let (len, client) = server.recv_from(&mut name).expect("a greeting");
                let reply = [b"Hello, ", &name[..len], b"!"].concat();
                server.send_to(&reply, client).expect("sent");
                server
            })
        };
        let greeter = greet(server);
        let mut summary = unanswered();
        (summary.address, summary.plan.name_bytes) = (address.into(), [8, 1400]);
        let explain = |summary: &Summary, wait| {
            let wait = Duration::from_millis(wait);
            NoContact::explain(summary, (None, false), (wait, wait))
        };
        let found = explain(&summary, 20_000);
        assert_eq!((found.reason, found.greeting_answered), (Reason::Size, Some(true)));
        let greeter = greet(greeter.join().expect("no panic"));
        summary.plan.timeout_s = 1e-9;
        let found = explain(&summary, 20_000);
        assert_eq!((found.reason, found.greeting_answered), (Reason::Late, Some(true)));
        let server = greeter.join().expect("no panic");
        let found = explain(&summary, 20);
        assert_eq!((found.reason, found.greeting_answered), (Reason::Silent, Some(false)));
        summary.plan.peer = PeerArg::Echo;
        let found = explain(&summary, 20_000);
        assert_eq!((found.reason, found.greeting_answered), (Reason::Silent, None));
        drop(server);
        summary.plan.peer = PeerArg::Hello;
        assert_eq!(explain(&summary, 20).reason, Reason::Refused);
    }

    #[test]
    fn what_was_received_and_reported_explains_a_run_before_any_greeting() {
        let explain = |summary: &Summary, error: Option<ErrorClass>, has_unrelated| {
            let (error, wait) = (error.map(Into::into), Duration::from_secs(1));
            let found = NoContact::explain(summary, (error, has_unrelated), (wait, wait));
            assert_eq!(found.greeting_answered, None);
            let is_refused = found.reason == Reason::Refused;
            assert_eq!(found.waited_s, (!is_refused).then_some(1.0), "a refusal is not waited for");
            found.reason
        };
        let mut summary = unanswered();
        let refused = Some(ErrorClass::ConnectionRefused);
        assert_eq!(explain(&summary, refused, true), Reason::Refused, "in the warm-up");
        let denied = Some(ErrorClass::Denied);
        assert_eq!(explain(&summary, denied, false), Reason::Errors);
        assert_eq!(explain(&summary, denied, true), Reason::Unrelated, "in the warm-up");
        assert_eq!(explain(&summary, None, true), Reason::Unrelated, "in the warm-up");
        summary.common.late = 1;
        assert_eq!(explain(&summary, None, false), Reason::Late);
        (summary.common.late, summary.common.corrupt) = (0, 1);
        assert_eq!(explain(&summary, None, false), Reason::Unrelated);
    }
}
