use std::num::NonZeroU32;
use std::ops::Range;
use std::time::Duration;

use hello_measure::{Cause, Ledger, Lost, ReplyKind};
use hello_proto::{Peer, Token};

use super::event::LoadEventKind;

/// The requests of one thread: a ledger, and when each request was due and which source sent it.
#[derive(Debug)]
pub(super) struct RequestTracker {
    run_id: u16,
    peer: Peer,
    ledger: Ledger,
    /// The last requests, each at the place of its sequence number: all of them, as long as there
    /// is room.
    requests: Vec<Request>,
    /// The number of requests that there is room for.
    len: usize,
    /// When the warm-up ends. What was due before that is not reported.
    epoch: Duration,
    /// Whether a reply may arrive at another source than the one that sent the request.
    has_several_sources: bool,
    /// The first source.
    first: u32,
    /// For each source, the last sent of the answered requests. The order of replies to different
    /// sources is unknown.
    last_answered: Vec<Option<u32>>,
    /// Whether a datagram was no reply to any request, or none at the source that sent it.
    has_unrelated: bool,
}

#[derive(Clone, Copy, Debug)]
struct Request {
    due: Duration,
    source: u32,
    seq: u32,
}

impl RequestTracker {
    pub(super) fn new(
        run_id: u16,
        window: NonZeroU32,
        timeout: Duration,
        sources: &Range<u32>,
        has_several_sources: bool,
    ) -> Self {
        let first = Token { run_id, seq: Token::FIRST_SEQ };
        // A power of two, so that places wrap around where sequence numbers do.
        let len = window.get().next_power_of_two() as usize;
        Self {
            run_id: first.run_id,
            peer: Peer::Hello,
            ledger: Ledger::new(first, window, timeout),
            requests: Vec::with_capacity(len),
            len,
            epoch: Duration::ZERO,
            has_several_sources,
            first: sources.start,
            last_answered: vec![None; sources.len()],
            has_unrelated: false,
        }
    }

    /// Sets the kind of the server.
    pub(super) fn with_peer(self, peer: Peer) -> Self {
        Self { peer, ledger: self.ledger.with_peer(peer), ..self }
    }

    /// Sets when the warm-up ends, before anything is sent.
    pub(super) fn measure_from(&mut self, epoch: Duration) {
        self.epoch = epoch;
    }

    /// Records that the next request was sent at `now`, in a name of this length.
    pub(super) fn note_sent(&mut self, name_len: usize, now: Duration, due: Duration, source: u32) {
        if let Some(Token { seq, .. }) = self.tokens().next() {
            self.ledger.handle_sent(name_len, now);
            let place = self.place(seq);
            let request = Request { due, source, seq };
            match self.requests.get_mut(place) {
                Some(out_of_window) => *out_of_window = request,
                None => self.requests.push(request),
            }
        }
    }

    /// Classifies a datagram that arrived at `now` and at `source`, `None` if that is not ours.
    /// Returns what to report.
    pub(super) fn classify<'a>(
        &mut self,
        datagram: &'a [u8],
        source: Option<u32>,
        now: Duration,
    ) -> Option<LoadEventKind<'a>> {
        let unsolicited = LoadEventKind::Other { reply: ReplyKind::Unsolicited, datagram };
        let Some(source) = source else {
            self.has_unrelated = true;
            return (now >= self.epoch).then_some(unsolicited);
        };
        if self.has_several_sources
            && let Some(request) = self.answered_by(datagram)
            && request.source != source
        {
            let due = request.due;
            self.has_unrelated = true;
            return (due >= self.epoch).then_some(LoadEventKind::Misdirected);
        }
        let reply = self.ledger.handle_datagram(datagram, now);
        self.has_unrelated |= matches!(reply, ReplyKind::Corrupt | ReplyKind::Unsolicited);
        let due = match reply {
            ReplyKind::Answered { seq, .. }
            | ReplyKind::Late { seq, .. }
            | ReplyKind::Duplicate { seq } => self.requests[self.place(seq)].due,
            ReplyKind::OutOfWindow { .. } | ReplyKind::Corrupt | ReplyKind::Unsolicited => now,
        };
        let kind = match reply {
            ReplyKind::Answered { seq, rtt, .. } => {
                let reordered = self.is_reordered(source, seq);
                LoadEventKind::Answered { due: due.saturating_sub(self.epoch), rtt, reordered }
            }
            reply => LoadEventKind::Other { reply, datagram },
        };
        (due >= self.epoch).then_some(kind)
    }

    /// Settles the oldest request in flight as lost if its timeout is over, and returns what to
    /// report: nothing for a request of the warm-up. `None` if there is no such request.
    pub(super) fn poll_lost(&mut self, now: Duration) -> Option<Option<LoadEventKind<'static>>> {
        let Lost { seq, cause, .. } = self.ledger.poll_lost(now)?;
        let due = self.requests[self.place(seq)].due.checked_sub(self.epoch);
        Some(due.map(|due| LoadEventKind::Lost { due, cause }))
    }

    /// Attributes an ICMP error that arrived at `now` and at `source`, `None` if that is unknown.
    /// Returns what to report: nothing about a request of the warm-up.
    pub(super) fn handle_error(
        &mut self,
        quote: &[u8],
        source: Option<u32>,
        cause: Cause,
        now: Duration,
    ) -> Option<LoadEventKind<'static>> {
        let (requests, len) = (&self.requests, self.len);
        let is_candidate = |seq: u32| {
            source.is_some() && requests.get(place(seq, len)).map(|one| one.source) == source
        };
        let attribution = self.ledger.handle_error(quote, is_candidate, cause);
        let due = attribution.seq().map_or(now, |seq| self.requests[self.place(seq)].due);
        (due >= self.epoch).then_some(LoadEventKind::NetworkError { cause, attribution })
    }

    /// Returns when the next request may be lost.
    pub(super) fn poll_timeout(&self) -> Option<Duration> {
        self.ledger.poll_timeout()
    }

    /// Yields the tokens of the next requests, as many as may be sent now.
    pub(super) fn tokens(&self) -> impl ExactSizeIterator<Item = Token> + use<> {
        self.ledger.tokens()
    }

    pub(super) fn in_flight(&self) -> u64 {
        self.ledger.counts().in_flight()
    }

    /// Returns whether any request was answered, in time or late.
    pub(super) fn has_answer(&self) -> bool {
        let counts = self.ledger.counts();
        counts.answered + counts.late > 0
    }

    /// Returns whether any datagram was no reply to a request, or none at the source that sent it.
    pub(super) fn has_unrelated(&self) -> bool {
        self.has_unrelated
    }

    /// Returns whether each request is answered, or lost and reported. A request whose reply was
    /// late is not in flight, and still to be reported.
    pub(super) fn is_settled(&self) -> bool {
        self.poll_timeout().is_none()
    }

    /// Returns whether nothing was ever sent.
    pub(super) fn is_empty(&self) -> bool {
        self.ledger.counts().sent == 0
    }

    /// Records that a request is answered, and returns whether a request that the same source sent
    /// later was answered before.
    fn is_reordered(&mut self, source: u32, seq: u32) -> bool {
        let place = source.checked_sub(self.first).and_then(|place| usize::try_from(place).ok());
        let Some(last_answered) = place.and_then(|place| self.last_answered.get_mut(place)) else {
            return false;
        };
        // Sequence numbers wrap around, and half of them are before any (RFC 1982 section 3.2).
        let overtaken = last_answered
            .is_some_and(|last_answered| seq.wrapping_sub(last_answered) > u32::MAX / 2);
        if !overtaken {
            *last_answered = Some(seq);
        }
        overtaken
    }

    /// Returns which of the last requests a datagram is a reply to.
    fn answered_by(&self, datagram: &[u8]) -> Option<&Request> {
        let Token { run_id, seq } = Token::decode(self.peer.decode_name(datagram).ok()?)?;
        let request = self.requests.get(self.place(seq))?;
        (run_id == self.run_id && seq == request.seq).then_some(request)
    }

    fn place(&self, seq: u32) -> usize {
        place(seq, self.len)
    }
}

/// Returns the place of a request among the last `len`.
fn place(seq: u32, len: usize) -> usize {
    seq.wrapping_sub(Token::FIRST_SEQ) as usize % len
}

#[cfg(test)]
mod tests {
    use hello_proto::Request;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Makes a tracker of three seconds, the first of which is warm-up, and the replies. One
    /// request is due in each second from a source of that number, and sent half a second late.
    fn tracker() -> (RequestTracker, [Vec<u8>; 3]) {
        let window = NonZeroU32::new(3).expect("not epoch");
        let mut tracker = RequestTracker::new(7, window, 10 * SECOND, &(0..3), true);
        tracker.measure_from(SECOND);
        let replies = [0, 1, 2].map(|number| {
            let mut name = [0; 16];
            let token = tracker.tokens().next().expect("room");
            token.encode(&mut name).expect("room");
            let due = number * SECOND;
            tracker.note_sent(16, due + SECOND / 2, due, number);
            Request::new(&name).expect("short").reply().parts().concat()
        });
        (tracker, replies)
    }

    #[test]
    fn requests_due_in_the_warm_up_are_not_reported() {
        let (mut tracker, replies) = tracker();
        for _ in 0..2 {
            assert!(tracker.classify(&replies[0], Some(0), 3 * SECOND).is_none());
        }
        let answered = tracker.classify(&replies[1], Some(1), 3 * SECOND);
        let Some(LoadEventKind::Answered { due, rtt, reordered: false }) = answered else {
            panic!("{answered:?}");
        };
        assert_eq!((due, rtt), (Duration::ZERO, SECOND + SECOND / 2));
        let again = tracker.classify(&replies[1], Some(1), 3 * SECOND);
        let duplicate = ReplyKind::Duplicate { seq: 2 };
        assert!(
            matches!(again, Some(LoadEventKind::Other { reply, .. }) if reply == duplicate),
            "{again:?}"
        );
        assert_eq!(tracker.in_flight(), 1);

        let (mut tracker, _) = self::tracker();
        let lost = Vec::from_iter(std::iter::from_fn(|| tracker.poll_lost(20 * SECOND)));
        assert!(matches!(
            lost[..],
            [
                None,
                Some(LoadEventKind::Lost { due: Duration::ZERO, .. }),
                Some(LoadEventKind::Lost { due: SECOND, .. })
            ]
        ));
    }

    #[test]
    fn what_is_no_reply_is_noted_in_the_warm_up_too() {
        for (place, source, datagram) in [
            (0, Some(1), None),
            (0, None, None),
            (0, Some(0), Some(&b"echo"[..])),
            (0, Some(0), Some(b"Hello, echo!")),
        ] {
            let (mut tracker, replies) = tracker();
            let datagram = datagram.unwrap_or(&replies[place]);
            assert!(!tracker.has_unrelated());
            let kind = tracker.classify(datagram, source, Duration::ZERO);
            assert!(kind.is_none() && tracker.has_unrelated(), "{kind:?}");
        }
        let (mut tracker, replies) = tracker();
        for _ in 0..2 {
            tracker.classify(&replies[0], Some(0), SECOND);
        }
        assert!(!tracker.has_unrelated(), "an answer and its duplicate");
    }

    #[test]
    fn a_reply_is_reordered_if_one_to_a_later_request_of_its_source_came_before() {
        let mut tracker = RequestTracker::new(7, NonZeroU32::MIN, SECOND, &(5..7), true);
        for (source, seq, reordered) in [
            (5, 7, false),
            (5, 6, true),
            (6, 3, false),
            (5, 8, false),
            (6, 4, false),
            (5, 7, true),
            // Where the numbers wrap around.
            (6, u32::MAX, true),
            (6, 5, false),
        ] {
            assert_eq!(tracker.is_reordered(source, seq), reordered, "{source} {seq}");
        }
        tracker.last_answered[0] = Some(u32::MAX);
        assert!(!tracker.is_reordered(5, 0));
        assert!(tracker.is_reordered(5, u32::MAX));
    }

    #[test]
    fn a_reply_at_another_source_is_no_answer() {
        let (mut tracker, replies) = tracker();
        let misdirected = tracker.classify(&replies[2], Some(1), 3 * SECOND);
        assert!(matches!(misdirected, Some(LoadEventKind::Misdirected)), "{misdirected:?}");
        assert_eq!(tracker.in_flight(), 3);
        let answered = tracker.classify(&replies[2], Some(2), 3 * SECOND);
        assert!(matches!(answered, Some(LoadEventKind::Answered { .. })), "{answered:?}");
        assert!(tracker.has_unrelated());
        let unsolicited = tracker.classify(&replies[1], None, 3 * SECOND);
        assert!(matches!(
            unsolicited,
            Some(LoadEventKind::Other { reply: ReplyKind::Unsolicited, .. })
        ));
        assert_eq!(tracker.in_flight(), 2);
    }
}
