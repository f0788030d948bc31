//! What a relay did, and what whoever sent the requests should therefore have seen.

use std::collections::HashMap;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hello_proto::{Reply, Token};

use super::plan::Fate;

/// Every request that came, and every datagram that went back.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) requests: Vec<Received>,
    pub(crate) replies: Vec<Sent>,
    /// For how long, at most, the relay looked after no request.
    pub(crate) longest_pause: Duration,
    /// When the relay ended, behind its clients.
    pub(crate) ended: Option<Instant>,
}

/// A request as it came.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) client: SocketAddr,
    pub(crate) name: Vec<u8>,
    /// It came no earlier: then there was none.
    pub(crate) earliest: Instant,
    /// It came no later: then it was there.
    pub(crate) latest: Instant,
    /// What was done to it.
    pub(crate) there: Fate,
    /// What was done to each reply to it.
    pub(crate) back: Vec<Fate>,
}

/// A datagram as it went back.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) client: SocketAddr,
    pub(crate) datagram: Vec<u8>,
    /// It was sent no earlier and no later.
    pub(crate) earliest: Instant,
    pub(crate) latest: Instant,
}

/// What is to be counted for a log.
#[derive(Clone, Debug, Default)]
pub(crate) struct Truth {
    pub(crate) sent: u64,
    /// In the order in which the relay sent, whatever the flow.
    pub(crate) answers: Vec<Answer>,
    /// The sequence numbers, in the order in which the relay received.
    pub(crate) lost: Vec<u32>,
    pub(crate) in_flight: u64,
    pub(crate) late: u64,
    pub(crate) duplicate: u64,
    pub(crate) corrupt: u64,
    pub(crate) unsolicited: u64,
}

/// An answer in time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(crate) seq: u32,
    /// It came behind one to a later request.
    pub(crate) reordered: bool,
    /// It took no less, and no more.
    pub(crate) shortest: Duration,
    pub(crate) longest: Duration,
}

impl Truth {
    pub(crate) fn reordered(&self) -> u64 {
        self.answers.iter().filter(|answer| answer.reordered).count() as u64
    }
}

/// Why a log leaves open what is to be counted: the machine stood still at a bad moment.
#[derive(Debug)]
pub(crate) struct Void(pub(crate) String);

/// Runs something with one seed after another until its log tells, five times at most.
pub(crate) fn until_told<T>(seed: u64, mut run: impl FnMut(u64) -> Result<T, Void>) -> T {
    for seed in seed..seed + 5 {
        match run(seed) {
            Ok(told) => return told,
            // Not eprintln!, which is captured.
            Err(Void(why)) => writeln!(io::stderr(), "\nVOID with seed {seed}: {why}\n"),
        }
        .expect("printed");
    }
    panic!("five runs in a row were void, from seed {seed}");
}

impl Log {
    /// Tells what a client saw that waits for answers for three times the longest round trip after
    /// its last request.
    ///
    /// # Errors
    ///
    /// [`Void`] if the times do not tell.
    pub(crate) fn truth(&self, timeout: Duration) -> Result<Truth, Void> {
        // In that time, a client that asks once a millisecond fills half of the smallest buffer.
        if self.longest_pause > Duration::from_millis(128) {
            return Err(Void(format!("the relay was held up for {:?}", self.longest_pause)));
        }
        let last = self.requests.last().ok_or_else(|| Void("no request came".into()))?;
        let mut probes: HashMap<_, _> = self.requests.iter().enumerate().map(Probe::of).collect();
        let mut truth = Truth { sent: self.requests.len() as u64, ..Truth::default() };
        let (mut last_answered, mut last_answer) = (None, last.earliest);
        // As far as the client knew it when it began to wait.
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
                return Err(Void(format!("{arrival:?} came behind the last request")));
            }
        }
        if last_answer > last.earliest + 2 * longest_trip {
            return Err(Void("an answer came when it may have been waited for no more".into()));
        }
        for request in &self.requests {
            if probes[&(request.client, &*request.name)].fate == ProbeFate::Answered {
                continue;
            } else if request.latest + timeout <= last.earliest {
                truth.lost.push(seq(request));
            } else if self.ended.is_some_and(|ended| ended < request.earliest + timeout) {
                truth.in_flight += 1;
            } else {
                return Err(Void("a probe was lost at the end, or in flight".into()));
            }
        }
        Ok(truth)
    }

    /// Decides what a reply was to its client. Names are compared with what was asked, so this says
    /// the same as a ledger for another reason.
    fn arrival<'a>(
        &self,
        reply: &'a Sent,
        probes: &mut HashMap<(SocketAddr, &'a [u8]), Probe>,
        timeout: Duration,
    ) -> Result<ReplyKind, Void> {
        let Ok(decoded) = Reply::decode(&reply.datagram) else { return Ok(ReplyKind::Corrupt) };
        let name = decoded.name();
        let Some(probe) = probes.get_mut(&(reply.client, name)) else {
            return Ok(self.not_asked_for(name));
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
            return Err(Void(format!("a reply took between {shortest:?} and {longest:?}")));
        }
        probe.fate = ProbeFate::Late;
        Ok(ReplyKind::Late)
    }

    /// Decides what a well-formed reply is that answers no request: if none of its length was sent,
    /// only a token of ours can have been ours.
    fn not_asked_for(&self, name: &[u8]) -> ReplyKind {
        let ours = |request: &Received| Token::decode(&request.name);
        let first = self.requests.first().and_then(ours).expect("only tokens are asked for");
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
    Token::decode(&request.name).expect("only tokens are asked for").seq
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
