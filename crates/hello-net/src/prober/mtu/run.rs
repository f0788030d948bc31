use std::collections::VecDeque;
use std::thread;
use std::time::{Duration, Instant};

use hello_measure::{Cause, CauseKind, MtuEvidence, MtuOutcome, MtuSearch, quoted_token};
use hello_proto::{MAX_DATAGRAM_LEN, MAX_NAME_LEN, Peer, Token};

use super::MtuProber;
use super::event::{MtuEvent, MtuEventKind};
use crate::prober::plan::ProbeError;
use crate::requester;
use crate::sys;
use crate::sys::error_class::ErrorClass;
use crate::sys::queued_error::{MAX_QUOTE, QueuedError};
use crate::udp::earlier_send::{MAX_QUEUED, is_from_earlier_send, send_past_reports};
use crate::udp::recv_backoff::RecvBackoff;
use crate::udp::socket_error::SocketError;

/// A search that is in progress.
pub(super) struct Run<'a, O> {
    prober: &'a MtuProber,
    search: MtuSearch,
    observe: O,
    start: Duration,
    run_id: u16,
    /// Every probe that left, by its sequence number: no search has more than a few hundred.
    probes: Vec<Probe>,
    /// The tries without a reply, by their deadlines.
    open: VecDeque<Open>,
    /// The longest name.
    name: Vec<u8>,
    buf: Vec<u8>,
    backoff: RecvBackoff,
}

#[derive(Clone, Copy, Debug)]
struct Probe {
    size: u32,
    sent: Duration,
    has_reply: bool,
}

/// The tries of one size.
#[derive(Debug)]
struct Tries {
    size: u32,
    count: u32,
    /// When the next one is due.
    next_at: Duration,
}

/// A try without a reply.
#[derive(Clone, Copy, Debug)]
struct Open {
    size: u32,
    /// Its place among the probes; `None` if it was not sent.
    probe: Option<usize>,
    deadline: Duration,
    /// The last error about it.
    cause: Cause,
}

impl Tries {
    fn new(size: u32, now: Duration) -> Self {
        Self { size, count: 0, next_at: now }
    }
}

impl<'a, O: FnMut(&MtuEvent)> Run<'a, O> {
    pub(super) fn new(prober: &'a MtuProber, observe: O) -> Self {
        Self {
            prober,
            search: MtuSearch::new(prober.plan),
            observe,
            start: sys::monotonic(),
            run_id: requester::run_id(),
            probes: Vec::new(),
            open: VecDeque::new(),
            name: vec![0; MAX_NAME_LEN],
            // One byte more than the longest reply, to recognise a longer datagram.
            buf: vec![0; MAX_DATAGRAM_LEN + 1],
            backoff: RecvBackoff::default(),
        }
    }

    /// Sends probes until the search is over or stopped.
    pub(super) fn search(mut self) -> Result<MtuOutcome, ProbeError> {
        let mut tries = Tries::new(0, self.start);
        while let Some(size) = self.search.next_size() {
            if self.prober.stopper.is_stopped() || self.probes.len() >= MAX_PROBES {
                break;
            }
            let allowed = self.search.tries();
            let now = sys::monotonic();
            let is_over = tries.count >= allowed && self.open.iter().all(|open| open.size != size);
            if tries.size != size || is_over {
                tries = Tries::new(size, now);
            }
            if tries.count < allowed && tries.next_at <= now {
                self.send(&mut tries, now, allowed);
                continue;
            }
            let next_at = (tries.count < allowed).then_some(tries.next_at);
            self.settle(next_at, now)?;
        }
        // Probes whose size is decided on already may be in flight, and each has its outcome.
        while !self.open.is_empty() && !self.prober.stopper.is_stopped() {
            self.settle(None, sys::monotonic())?;
        }
        Ok(self.search.outcome())
    }

    /// Waits for what arrives until the next deadline or `next_at`, and handles it.
    fn settle(&mut self, next_at: Option<Duration>, now: Duration) -> Result<(), ProbeError> {
        let deadline = self.open.front().map(|open| open.deadline);
        let due = [next_at, deadline].into_iter().flatten().min().unwrap_or(now);
        self.wait(due.saturating_sub(now));
        // What arrived before this moment is received before anything is lost at it.
        let now = sys::monotonic();
        self.receive()?;
        self.expire(now);
        Ok(())
    }

    fn notify(&mut self, size: u32, kind: MtuEventKind) {
        let at = sys::monotonic().saturating_sub(self.start);
        (self.observe)(&MtuEvent { at, size, kind });
    }

    /// Makes the next of `allowed` tries of a size.
    fn send(&mut self, tries: &mut Tries, now: Duration, allowed: u32) {
        let MtuProber { plan, options, socket, .. } = self.prober;
        let size = tries.size;
        let seq = Token::FIRST_SEQ.wrapping_add(u32::try_from(self.probes.len()).unwrap_or(0));
        let token = Token { run_id: self.run_id, seq };
        let len = usize::try_from(plan.name_len(size)).unwrap_or(MAX_NAME_LEN).min(MAX_NAME_LEN);
        let name = &mut self.name[..len];
        let encoded = token.encode(name);
        debug_assert!(encoded.is_ok(), "the plan has no shorter names");
        // Reports about earlier probes are in the queue, too.
        let (sent, _) = send_past_reports(|| sys::try_send(socket, name));
        let result = sent.map_err(|error| SocketError::of(&error));
        let kind = match result {
            Ok(()) => MtuEventKind::Sent,
            Err(error) if error.class == ErrorClass::TooLong => MtuEventKind::TooLongForLink,
            Err(error) => MtuEventKind::NotSent(error),
        };
        self.notify(size, kind);
        if kind == MtuEventKind::TooLongForLink {
            self.search.handle(size, MtuEvidence::TooLongForLink);
            return;
        }
        let probe = (kind == MtuEventKind::Sent).then_some(self.probes.len());
        if probe.is_some() {
            self.probes.push(Probe { size, sent: now, has_reply: false });
        }
        // Each has its whole time, and together they take less than one after the other.
        let deadline = now.saturating_add(options.timeout);
        self.open.push_back(Open { size, probe, deadline, cause: Cause::SILENT });
        tries.count += 1;
        tries.next_at = now.saturating_add(options.timeout / allowed);
    }

    /// Waits until something arrives or a try is due.
    fn wait(&self, timeout: Duration) {
        let MtuProber { socket, stopper, .. } = self.prober;
        let timeout = timeout.min(LONGEST_WAIT);
        if sys::wait_readable(socket, Some(stopper.abort_latch()), timeout).is_err() {
            // If the system cannot wait, at least do not spin.
            thread::sleep(timeout.min(Duration::from_millis(1)));
        }
    }

    /// Receives replies and ICMP errors, up to a bound: a flood of them may never end.
    fn receive(&mut self) -> Result<(), ProbeError> {
        let MtuProber { socket, server, stopper, .. } = self.prober;
        self.take_errors();
        for _ in 0..MAX_DATAGRAMS {
            let mut buf = std::mem::take(&mut self.buf);
            let received = socket.recv(&mut buf);
            if let Ok(len) = received {
                self.backoff = RecvBackoff::default();
                self.handle_datagram(buf.get(..len).unwrap_or_default());
            }
            self.buf = buf;
            let Err(error) = received else { continue };
            match ErrorClass::of(&error) {
                ErrorClass::WouldBlock => break,
                ErrorClass::Interrupted => {}
                _ if is_from_earlier_send(&error) => self.take_errors(),
                class => {
                    let wait = self.backoff.wait(class, Instant::now());
                    let broken = ProbeError::Receive { server: *server, source: error };
                    stopper.abort_latch().sleep(wait.ok_or(broken)?);
                }
            }
        }
        Ok(())
    }

    /// Hands a reply to the search. Shows that of the other kind of server; anything else is ignored.
    fn handle_datagram(&mut self, datagram: &[u8]) {
        let MtuProber { plan, options, .. } = self.prober;
        let other = match options.peer {
            Peer::Hello => Peer::Echo,
            Peer::Echo => Peer::Hello,
        };
        let Some((place, name_len)) = self.decode(options.peer, datagram) else {
            if let Some((place, _)) = self.decode(other, datagram) {
                self.notify(self.probes[place].size, MtuEventKind::OtherPeer);
            }
            return;
        };
        let probe = &mut self.probes[place];
        let sent_len = plan.name_len(probe.size);
        if name_len > sent_len {
            return;
        }
        if std::mem::replace(&mut probe.has_reply, true) {
            return;
        }
        let Probe { size, sent, .. } = *probe;
        self.open.retain(|open| open.probe != Some(place));
        let rtt = sys::monotonic().saturating_sub(sent);
        let (kind, evidence) = if name_len == sent_len {
            (MtuEventKind::Answered { rtt }, MtuEvidence::Answered)
        } else {
            (MtuEventKind::Cut { name_len, rtt }, MtuEvidence::Cut { name_len })
        };
        self.notify(size, kind);
        self.search.handle(size, evidence);
    }

    /// Returns the place of the probe that a server of this kind answers with a datagram, and the length of
    /// the name in it.
    fn decode(&self, peer: Peer, datagram: &[u8]) -> Option<(usize, u32)> {
        let name = peer.decode_name(datagram).ok()?;
        Some((self.place_of(Token::decode(name)?)?, u32::try_from(name.len()).ok()?))
    }

    /// Hands the queued ICMP errors about probes to the search.
    fn take_errors(&mut self) {
        let mut quote = [0; MAX_QUOTE];
        for _ in 0..MAX_QUEUED {
            let taken = sys::take_error(sys::borrow(&self.prober.socket), &mut quote);
            let Some(QueuedError { cause, quoted, .. }) = taken else { return };
            let quote = quote.get(..quoted).unwrap_or_default();
            let Some(place) = self.quoted_place(quote, sys::monotonic()) else { continue };
            let size = self.probes[place].size;
            let Some(open) = self.open.iter().position(|open| open.probe == Some(place)) else {
                continue;
            };
            if matches!(cause.kind, CauseKind::TooBig { .. }) {
                self.open.remove(open);
                self.notify(size, MtuEventKind::NetworkError(cause));
                self.search.handle(size, MtuEvidence::Reported(cause));
            } else {
                // Its reply may still arrive.
                self.open[open].cause = cause;
            }
        }
    }

    /// Hands the tries whose time is over to the search.
    fn expire(&mut self, now: Duration) {
        while self.open.front().is_some_and(|open| open.deadline <= now) {
            let Some(Open { size, probe, cause, .. }) = self.open.pop_front() else { return };
            if probe.is_some() {
                self.notify(size, MtuEventKind::Lost { cause });
            }
            let evidence = match cause {
                Cause::SILENT => MtuEvidence::Silent,
                cause => MtuEvidence::Reported(cause),
            };
            self.search.handle(size, evidence);
        }
    }

    /// Returns the place of the probe that an error quotes. One that quotes the ports only is about the
    /// last open probe, if all of them have one size.
    fn quoted_place(&self, quote: &[u8], now: Duration) -> Option<usize> {
        let MtuProber { plan, options, .. } = self.prober;
        if let Some(token) = quoted_token(quote, Token::MIN_LEN) {
            let place = self.place_of(token)?;
            let name_len = usize::try_from(plan.name_len(self.probes[place].size)).ok()?;
            return (quoted_token(quote, name_len) == Some(token)).then_some(place);
        }
        if quote.len() >= Token::MIN_LEN {
            return None;
        }
        let is_open =
            |probe: &Probe| !probe.has_reply && now < probe.sent.saturating_add(options.timeout);
        let mut open = self.probes.iter().enumerate().rev().filter(|(_, probe)| is_open(probe));
        let (place, last) = open.next()?;
        open.all(|(_, probe)| probe.size == last.size).then_some(place)
    }

    /// Returns the place of the probe with a token.
    fn place_of(&self, token: Token) -> Option<usize> {
        let place = usize::try_from(token.seq.wrapping_sub(Token::FIRST_SEQ)).ok();
        place.filter(|place| token.run_id == self.run_id && *place < self.probes.len())
    }
}

/// More probes than any search needs that is not disturbed.
const MAX_PROBES: usize = 1000;

/// The most datagrams received between two checks of what is due.
const MAX_DATAGRAMS: usize = 256;

/// The longest wait before a stop is noticed.
const LONGEST_WAIT: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests;
