use std::io;
use std::ops::Range;
use std::time::Duration;

use hello_measure::{Ledger, ReplyKind};
use hello_proto::Token;

use super::source_port::SourcePort;
use crate::clock::{ClockSample, TimestampMapper};
use crate::requester::{self, NotSent};
use crate::sys;
use crate::udp::batch::RecvBatch;
use crate::udp::earlier_send::send_past_reports;
use crate::udp::socket_error::SocketError;

/// The part of a run that both threads write to.
#[derive(Debug)]
pub(super) struct State {
    pub(super) ledger: Ledger,
    pub(super) timestamps: TimestampMapper,
    /// The sequence number of the next probe.
    pub(super) next: u32,
}

/// A datagram of a batch, classified.
#[derive(Debug)]
pub(super) struct Received {
    /// When it arrived.
    pub(super) at: Duration,
    pub(super) reply: ReplyKind,
    pub(super) ttl: Option<u8>,
    /// Where its bytes are in the batch.
    pub(super) range: Range<usize>,
}

/// A try to send a probe.
#[derive(Debug)]
pub(super) struct Attempt {
    /// When it left, or would have.
    pub(super) at: Duration,
    /// Its sequence number, or why it has none.
    pub(super) sent: Result<u32, NotSent>,
    /// The system's reports about earlier probes.
    pub(super) reports: Vec<io::Error>,
}

impl State {
    pub(super) fn new(ledger: Ledger) -> Self {
        let next = Token::FIRST_SEQ;
        Self { ledger, timestamps: TimestampMapper::default(), next }
    }

    /// Sends the next probe from its port, and records it before anybody can see its reply.
    pub(super) fn send(&mut self, port: &SourcePort, name: &mut [u8]) -> Attempt {
        let mut at = sys::monotonic();
        let Some(token) = self.ledger.tokens().next() else {
            return Attempt { at, sent: Err(NotSent::TooManyInFlight), reports: Vec::new() };
        };
        // The length of the name was checked before.
        let _ = token.encode(name);
        let (sent, reports) = send_past_reports(|| {
            at = sys::monotonic();
            port.send(name)
        });
        let reports = if port.queues_reports() { Vec::new() } else { reports };
        if sent.is_ok() {
            self.ledger.handle_sent(name.len(), at);
            self.next = token.seq.wrapping_add(1);
        }
        let failed = |error| NotSent::Failed(SocketError::of(&error));
        Attempt { at, sent: sent.map(|()| token.seq).map_err(failed), reports }
    }

    /// Classifies each datagram of a batch, and returns when the last of them arrived; zero, if the
    /// system does not report it.
    pub(super) fn classify(&mut self, batch: &RecvBatch, received: &mut Vec<Received>) -> Duration {
        self.timestamps.update(ClockSample::now());
        for (index, meta) in batch.metas().iter().enumerate() {
            let at = self.timestamps.to_monotonic(meta.time);
            for range in batch.datagram_ranges(index) {
                let reply = self.ledger.handle_datagram(batch.bytes(range.clone()), at);
                received.push(Received { at, reply, ttl: meta.ttl, range });
            }
        }
        requester::latest(batch, &self.timestamps)
    }

    /// Settles each probe whose timeout is over by now as lost, notes when it left, and returns when
    /// the next may be.
    pub(super) fn settle(
        &mut self,
        now: Duration,
        timeout: Duration,
        lost: &mut Vec<(u32, Duration)>,
    ) -> Option<Duration> {
        lost.extend(std::iter::from_fn(|| {
            let expired = self.ledger.poll_timeout()?;
            Some((self.ledger.poll_lost(now)?, expired.saturating_sub(timeout)))
        }));
        self.ledger.poll_timeout()
    }
}
