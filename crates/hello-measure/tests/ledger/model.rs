//! A ledger, and a model that remembers everything and recounts it at each step. The fuzz target
//! uses it too.

use std::num::NonZeroU32;
use std::time::Duration;

use hello_measure::{Attribution, Cause, CauseKind, Fate, Ledger, Lost, ReplyKind};
use hello_proto::Token;

/// A step of a run. `back` selects a probe by its age: 1 is the last one sent, 0 the next.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Send {
        spare: usize,
    },
    Wait {
        millis: u8,
    },
    Poll,
    Reply {
        back: u32,
    },
    AlteredReply {
        back: u32,
        at: usize,
        change: u8,
    },
    ReplyToToken {
        back: u32,
        run_change: u16,
        spare: usize,
    },
    ReplyToName {
        byte: u8,
        len: usize,
    },
    /// An error whose quote of a name is cut or padded to `len` bytes, and has one byte changed, unless
    /// `change` is 0.
    Error {
        back: u32,
        len: usize,
        change: u8,
    },
    /// An error that quotes no name, about the probes with one remainder by `ports`.
    ErrorWithoutQuote {
        ports: u32,
    },
    /// The kernel reports that it sent a probe some time ago.
    Transmitted {
        back: u32,
        millis: u8,
    },
}

impl From<[u8; 4]> for Step {
    fn from([kind, a, b, c]: [u8; 4]) -> Self {
        let (back, small) = (u32::from(a % 32), usize::from(b % 4));
        match kind % 22 {
            0..=4 => Self::Send { spare: small },
            5 => Self::Wait { millis: a },
            6 => Self::Wait { millis: a % 16 },
            7 => Self::Poll,
            8..=10 => Self::Reply { back },
            11 => Self::Reply { back: back % 4 },
            12 => Self::AlteredReply { back, at: b.into(), change: c },
            13 => Self::ReplyToToken { back, run_change: 0, spare: small },
            14 => Self::ReplyToToken { back, run_change: c.into(), spare: small },
            15 => Self::ReplyToName { byte: a, len: usize::from(b % 24) },
            16 | 17 => {
                Self::Error { back, len: usize::from(b % 24), change: c.saturating_sub(127) }
            }
            18 => Self::Error { back: back % 4, len: usize::from(b % 24), change: 0 },
            19 => Self::ErrorWithoutQuote { ports: back % 4 + 1 },
            _ => Self::Transmitted { back: back % 8, millis: b % 8 },
        }
    }
}

#[derive(Debug)]
pub(super) struct Model {
    ledger: Ledger,
    first: Token,
    window: u32,
    now: Duration,
    /// Every probe that was sent.
    probes: Vec<Probe>,
    /// Every datagram that arrived.
    arrivals: Vec<ReplyKind>,
}

#[derive(Debug)]
struct Probe {
    sent: Duration,
    name: Vec<u8>,
    lost: bool,
    /// Whether `poll_lost` reported it.
    named: bool,
    replied: bool,
    /// The last error that was attributed to it.
    cause: Cause,
}

impl Probe {
    fn is_in_flight(&self) -> bool {
        !self.lost && !self.replied
    }

    fn is_open(&self) -> bool {
        self.is_in_flight() || self.lost && !self.named
    }
}

impl Model {
    pub(super) fn new(first: u32, window: NonZeroU32) -> Self {
        let first = Token { run_id: 0xbeef, seq: first };
        Self {
            ledger: Ledger::new(first, window, TIMEOUT),
            first,
            window: window.get().next_power_of_two(),
            now: Duration::ZERO,
            probes: Vec::new(),
            arrivals: Vec::new(),
        }
    }

    /// Takes a step and returns the kind of reply in it. Panics if the ledger disagrees with the
    /// model.
    pub(super) fn step(&mut self, step: Step) -> Option<ReplyKind> {
        match step {
            Step::Send { spare } => self.send(spare),
            Step::Wait { millis } => self.now += Duration::from_millis(millis.into()),
            Step::Poll => self.poll(),
            Step::Error { back, len, change } => self.error(back, len, change),
            Step::ErrorWithoutQuote { ports } => self.error_without_quote(ports),
            Step::Transmitted { back, millis } => self.transmitted(back, millis),
            _ => {}
        }
        let reply = self.datagram(step).map(|datagram| self.receive(&datagram));
        self.check();
        reply
    }

    fn send(&mut self, spare: usize) {
        if let Some(token) = self.ledger.tokens().next() {
            let (name, sent) = (name(token, spare), self.now);
            self.ledger.handle_sent(name.len(), sent);
            let (lost, named, replied) = (false, false, false);
            self.probes.push(Probe { sent, name, lost, named, replied, cause: Cause::SILENT });
        }
    }

    fn poll(&mut self) {
        loop {
            let due = self.first_open().filter(|i| self.now >= self.probes[*i].sent + TIMEOUT);
            let lost = due.map(|i| {
                let Probe { sent, cause, .. } = self.probes[i];
                Lost { seq: self.token(short(i)).seq, sent, cause }
            });
            assert_eq!(self.ledger.poll_lost(self.now), lost);
            let Some(i) = due else { return };
            self.probes[i].lost = true;
            self.probes[i].named = true;
        }
    }

    fn error(&mut self, back: u32, len: usize, change: u8) {
        let mut quote = self.name(back);
        quote.resize(len, 0);
        if let Some(byte) = quote.get_mut(usize::from(change) % 24) {
            *byte ^= change;
        }
        let cause = self.next_cause();
        // A quote is of the name that it starts, or that starts it.
        let sent_before = self.probes.len().saturating_sub(self.window as usize);
        let is_quoted = |probe: &Probe| {
            let shorter = probe.name.len().min(quote.len());
            quote.len() >= Token::MIN_LEN && probe.name[..shorter] == quote[..shorter]
        };
        let about = self.probes[sent_before..].iter().position(is_quoted);
        let expected = self.attribute(about.map(|i| sent_before + i), cause);
        assert_eq!(self.ledger.handle_error(&quote, |_| false, cause), expected);
    }

    fn transmitted(&mut self, back: u32, millis: u8) {
        let (name, i) = (self.name(back), self.sent().wrapping_sub(back) as usize);
        let is_kept = i >= self.probes.len().saturating_sub(self.window as usize);
        let probe = self.probes.get_mut(i).filter(|probe| is_kept && probe.is_in_flight());
        let at = self.now.saturating_sub(Duration::from_millis(millis.into()));
        let expected = probe.is_some();
        if let Some(probe) = probe {
            probe.sent = probe.sent.max(at);
        }
        assert_eq!(self.ledger.handle_transmitted(&name, at), expected);
    }

    fn error_without_quote(&mut self, ports: u32) {
        let cause = self.next_cause();
        let is_candidate = |seq: u32| seq.is_multiple_of(ports);
        let candidates = (0..self.probes.len())
            .filter(|i| is_candidate(self.token(short(*i)).seq) && self.probes[*i].is_in_flight());
        let about = match Vec::from_iter(candidates)[..] {
            [only] => Some(only),
            _ => None,
        };
        let expected = self.attribute(about, cause);
        assert_eq!(self.ledger.handle_error(&[], is_candidate, cause), expected);
    }

    /// Returns a cause that differs from those of times close by. There are sixteen, because a ledger
    /// with a short window tells 24 apart.
    fn next_cause(&self) -> Cause {
        let mtu = u32::try_from(self.now.as_millis() % 16).ok();
        Cause { kind: CauseKind::TooBig { mtu }, reporter: None }
    }

    fn attribute(&mut self, about: Option<usize>, cause: Cause) -> Attribution {
        let Some(i) = about else { return Attribution::Unattributed };
        let seq = self.token(short(i)).seq;
        let probe = &mut self.probes[i];
        let fate = match () {
            () if probe.named => Fate::Lost { before: probe.cause, after: cause },
            () if probe.replied && !probe.lost => Fate::Answered,
            () => Fate::InFlight { is_first: probe.cause == Cause::SILENT },
        };
        probe.cause = cause;
        Attribution::Probe { seq, fate }
    }

    fn receive(&mut self, datagram: &[u8]) -> ReplyKind {
        let reply = self.classify(datagram);
        assert_eq!(self.ledger.handle_datagram(datagram, self.now), reply);
        self.arrivals.push(reply);
        reply
    }

    fn classify(&mut self, datagram: &[u8]) -> ReplyKind {
        let name = datagram.strip_prefix(b"Hello, ").and_then(|rest| rest.strip_suffix(b"!"));
        let Some(name) = name else { return ReplyKind::Corrupt };

        let lengths = || self.probes.iter().map(|probe| probe.name.len());
        let fits = lengths().min() <= Some(name.len()) && lengths().max() >= Some(name.len());
        let Some(token) = Token::decode(name) else {
            return if fits { ReplyKind::Corrupt } else { ReplyKind::Unsolicited };
        };
        let seq = token.seq;
        let i = seq.wrapping_sub(self.first.seq) as usize;
        if token.run_id != self.first.run_id || i >= self.probes.len() {
            return ReplyKind::Unsolicited;
        }
        let sent_later = self.probes.len() - i - 1;
        if sent_later >= self.window as usize {
            return if fits { ReplyKind::OutOfWindow { seq } } else { ReplyKind::Corrupt };
        }
        let answered_later = self.probes[i + 1..].iter().any(|probe| probe.replied && !probe.lost);
        let probe = &mut self.probes[i];
        if probe.name != name {
            return ReplyKind::Corrupt;
        }
        if probe.replied {
            return ReplyKind::Duplicate { seq };
        }
        let rtt = self.now - probe.sent;
        probe.lost |= rtt >= TIMEOUT;
        probe.replied = true;
        if probe.lost {
            return ReplyKind::Late { seq, rtt };
        }
        ReplyKind::Answered { seq, rtt, reordered: answered_later }
    }

    /// The datagram that arrives in a step.
    fn datagram(&self, step: Step) -> Option<Vec<u8>> {
        match step {
            Step::Send { .. }
            | Step::Wait { .. }
            | Step::Poll
            | Step::Error { .. }
            | Step::ErrorWithoutQuote { .. }
            | Step::Transmitted { .. } => None,
            Step::Reply { back } => Some(greeting(&self.name(back))),
            Step::AlteredReply { back, at, change } => {
                let mut datagram = greeting(&self.name(back));
                let at = at % datagram.len();
                datagram[at] ^= change;
                Some(datagram)
            }
            Step::ReplyToToken { back, run_change, spare } => {
                let token = self.token(self.sent().wrapping_sub(back));
                let run_id = token.run_id ^ run_change;
                Some(greeting(&name(Token { run_id, ..token }, spare)))
            }
            Step::ReplyToName { byte, len } => Some(greeting(&vec![byte; len])),
        }
    }

    /// Compares every count of the ledger.
    fn check(&self) {
        let probes = |is: fn(&Probe) -> bool| self.probes.iter().filter(|probe| is(probe)).count();
        let arrivals =
            |is: fn(&ReplyKind) -> bool| self.arrivals.iter().filter(|it| is(it)).count();
        let counts = self.ledger.counts();
        for (counted, expected) in [
            (counts.sent, self.probes.len()),
            (counts.answered, probes(|probe| probe.replied && !probe.lost)),
            (counts.lost, probes(|probe| probe.lost)),
            (counts.in_flight(), probes(Probe::is_in_flight)),
            (counts.late, probes(|probe| probe.replied && probe.lost)),
            (
                counts.reordered,
                arrivals(|it| matches!(it, ReplyKind::Answered { reordered: true, .. })),
            ),
            (counts.duplicate, arrivals(|it| matches!(it, ReplyKind::Duplicate { .. }))),
            (counts.out_of_window, arrivals(|it| matches!(it, ReplyKind::OutOfWindow { .. }))),
            (counts.corrupt, arrivals(|it| matches!(it, ReplyKind::Corrupt))),
            (counts.unsolicited, arrivals(|it| matches!(it, ReplyKind::Unsolicited))),
        ] {
            assert_eq!(counted, expected as u64, "{counts:?}");
        }
        assert_eq!(counts.sent, counts.answered + counts.lost + counts.in_flight());
        let settled = counts.sent - counts.in_flight();
        assert_eq!(counts.loss(), (settled > 0).then(|| counts.lost as f64 / settled as f64));

        let due = self.first_open().map(|i| self.probes[i].sent + TIMEOUT);
        assert_eq!(self.ledger.poll_timeout(), due);
        let end = self.first_open().map_or(self.sent(), short) + self.window;
        assert!(self.ledger.tokens().eq((self.sent()..end).map(|i| self.token(i))));
    }

    fn first_open(&self) -> Option<usize> {
        self.probes.iter().position(Probe::is_open)
    }

    /// The name of a probe that was sent, or that might be.
    fn name(&self, back: u32) -> Vec<u8> {
        let i = self.sent().wrapping_sub(back);
        let sent = self.probes.get(i as usize);
        sent.map_or_else(|| name(self.token(i), 0), |probe| probe.name.clone())
    }

    fn token(&self, i: u32) -> Token {
        Token { seq: self.first.seq.wrapping_add(i), ..self.first }
    }

    fn sent(&self) -> u32 {
        short(self.probes.len())
    }
}

const TIMEOUT: Duration = Duration::from_millis(100);

fn short(i: usize) -> u32 {
    i.try_into().expect("a model sends few probes")
}

fn name(token: Token, spare: usize) -> Vec<u8> {
    let mut name = vec![0xa5; Token::MIN_LEN + spare];
    token.encode(&mut name).expect("long enough");
    name
}

fn greeting(name: &[u8]) -> Vec<u8> {
    [b"Hello, ", name, b"!"].concat()
}
