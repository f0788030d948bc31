//! The record of a relay, and what the sender of the requests should therefore have seen.

use std::collections::HashMap;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hello_proto::{Reply, Token};

use super::plan::Fate;

/// Every request that arrived, and every datagram that was returned.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) requests: Vec<Received>,
    pub(crate) replies: Vec<Sent>,
    /// The longest time in which the relay did not check for requests.
    pub(crate) longest_pause: Duration,
    /// When the relay ended, after its clients.
    pub(crate) ended: Option<Instant>,
}

/// A request as it arrived.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) client: SocketAddr,
    pub(crate) name: Vec<u8>,
    /// The latest time at which it had not arrived yet.
    pub(crate) earliest: Instant,
    /// The earliest time at which it had arrived.
    pub(crate) latest: Instant,
    /// The impairment of the request.
    pub(crate) forward: Fate,
    /// The impairment of each reply to it.
    pub(crate) reverse: Vec<Fate>,
}

/// A datagram as it was returned.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) client: SocketAddr,
    pub(crate) datagram: Vec<u8>,
    /// The bounds of its send time.
    pub(crate) earliest: Instant,
    pub(crate) latest: Instant,
}

/// The expected counts for a log.
#[derive(Clone, Debug, Default)]
pub(crate) struct Truth {
    pub(crate) sent: u64,
    /// In the order in which the relay sent them, for any flow.
    pub(crate) answers: Vec<Answer>,
    /// The sequence numbers, in the order in which the relay received them.
    pub(crate) lost: Vec<u32>,
    pub(crate) in_flight: u64,
    pub(crate) late: u64,
    pub(crate) duplicate: u64,
    pub(crate) corrupt: u64,
    pub(crate) unsolicited: u64,
}

/// A reply in time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(crate) seq: u32,
    /// Whether it followed a reply to a later request.
    pub(crate) reordered: bool,
    /// Bounds of its round-trip time.
    pub(crate) shortest: Duration,
    pub(crate) longest: Duration,
}

impl Truth {
    pub(crate) fn reordered(&self) -> u64 {
        self.answers.iter().filter(|answer| answer.reordered).count() as u64
    }
}

/// Why a log does not determine the counts: the machine stalled at a bad moment.
#[derive(Debug)]
pub(crate) struct Inconclusive(pub(crate) String);

/// Runs something with one seed after another until its log is conclusive, at most five times.
pub(crate) fn retry_until_conclusive<T>(
    seed: u64,
    mut run: impl FnMut(u64) -> Result<T, Inconclusive>,
) -> T {
    for seed in seed..seed + 5 {
        match run(seed) {
            Ok(value) => return value,
            // Not eprintln!, which is captured.
            Err(Inconclusive(why)) => writeln!(io::stderr(), "\nVOID with seed {seed}: {why}\n"),
        }
        .expect("printed");
    }
    panic!("five runs in a row were void, from seed {seed}");
}

impl Log {
    /// Returns what a client saw that waits for its last replies, for three times the longest
    /// round-trip time at least.
    ///
    /// # Errors
    ///
    /// [`Inconclusive`] if the times are inconclusive.
    pub(crate) fn truth(&self, timeout: Duration) -> Result<Truth, Inconclusive> {
        // In that time, a client that sends once a millisecond fills half of the smallest buffer.
        if self.longest_pause > Duration::from_millis(128) {
            return Err(Inconclusive(format!("the relay stalled for {:?}", self.longest_pause)));
        }
        let last = self.requests.last().ok_or_else(|| Inconclusive("no request arrived".into()))?;
        let mut probes: HashMap<_, _> = self.requests.iter().enumerate().map(Probe::of).collect();
        let mut truth = Truth { sent: self.requests.len() as u64, ..Truth::default() };
        let (mut last_answered, mut last_answer) = (None, last.earliest);
        // As far as the client knew when it began to drain.
        let mut longest_trip = Duration::ZERO;
        for reply in &self.replies {
            let arrival = self.arrival(reply, &mut probes, timeout)?;
            match arrival {
                ReplyKind::Answered { nth, shortest, longest } => {
                    let reordered = last_answered > Some(nth);
                    let seq = seq(&self.requests[nth]);
                    truth.answers.push(Answer { seq, reordered, shortest, longest });
                    last_answered = last_answered.max(Some(nth));
                    last_answer = reply.latest;
                    if reply.latest < last.earliest {
                        longest_trip = longest_trip.max(shortest);
                    }
                    continue;
                }
                ReplyKind::Late => truth.late += 1,
                ReplyKind::Duplicate => truth.duplicate += 1,
                ReplyKind::Corrupt => truth.corrupt += 1,
                ReplyKind::Unsolicited => truth.unsolicited += 1,
            }
            if reply.latest > last.earliest {
                return Err(Inconclusive(format!("{arrival:?} arrived after the last request")));
            }
        }
        if last_answer > last.earliest + 2 * longest_trip {
            return Err(Inconclusive(
                "an answer came when it may have been waited for no more".into(),
            ));
        }
        for request in &self.requests {
            if probes[&(request.client, &*request.name)].fate == ProbeFate::Answered {
                continue;
            } else if request.latest + timeout <= last.earliest {
                truth.lost.push(seq(request));
            } else if self.ended.is_some_and(|ended| ended < request.earliest + timeout) {
                truth.in_flight += 1;
            } else {
                return Err(Inconclusive("a probe was lost at the end, or in flight".into()));
            }
        }
        Ok(truth)
    }

    /// Classifies a reply for its client. It compares names with the requests, so it reaches the
    /// ledger's result by other means.
    fn arrival<'a>(
        &self,
        reply: &'a Sent,
        probes: &mut HashMap<(SocketAddr, &'a [u8]), Probe>,
        timeout: Duration,
    ) -> Result<ReplyKind, Inconclusive> {
        let Ok(decoded) = Reply::decode(&reply.datagram) else { return Ok(ReplyKind::Corrupt) };
        let name = decoded.name();
        let Some(probe) = probes.get_mut(&(reply.client, name)) else {
            return Ok(self.classify_unmatched(name));
        };
        let shortest = reply.earliest.saturating_duration_since(probe.latest);
        let longest = reply.latest - probe.earliest;
        if probe.fate != ProbeFate::Open {
            return Ok(ReplyKind::Duplicate);
        }
        if longest < timeout {
            probe.fate = ProbeFate::Answered;
            return Ok(ReplyKind::Answered { nth: probe.nth, shortest, longest });
        }
        if shortest < timeout {
            return Err(Inconclusive(format!("a reply took between {shortest:?} and {longest:?}")));
        }
        probe.fate = ProbeFate::Late;
        Ok(ReplyKind::Late)
    }

    /// Classifies a well-formed reply that answers no request. If no request had its length, only
    /// one of our tokens can be ours.
    fn classify_unmatched(&self, name: &[u8]) -> ReplyKind {
        let ours = |request: &Received| Token::decode(&request.name);
        let first = self.requests.first().and_then(ours).expect("only tokens are sent");
        let as_long = self.requests.iter().any(|request| request.name.len() == name.len());
        let sent = |token: Token| {
            token.run_id == first.run_id
                && self.requests.iter().filter_map(ours).any(|sent| sent.seq == token.seq)
        };
        match Token::decode(name) {
            Some(token) if sent(token) => ReplyKind::Corrupt,
            None if as_long => ReplyKind::Corrupt,
            _ => ReplyKind::Unsolicited,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Probe {
    nth: usize,
    earliest: Instant,
    latest: Instant,
    fate: ProbeFate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ProbeFate {
    Open,
    Answered,
    Late,
}

fn seq(request: &Received) -> u32 {
    Token::decode(&request.name).expect("only tokens are sent").seq
}

#[derive(Debug)]
enum ReplyKind {
    Answered { nth: usize, shortest: Duration, longest: Duration },
    Late,
    Duplicate,
    Corrupt,
    Unsolicited,
}

impl Probe {
    fn of((nth, request): (usize, &Received)) -> ((SocketAddr, &[u8]), Self) {
        let Received { earliest, latest, .. } = *request;
        ((request.client, &request.name), Self { nth, earliest, latest, fate: ProbeFate::Open })
    }
}
