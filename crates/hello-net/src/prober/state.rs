use std::io;
use std::ops::Range;
use std::time::Duration;

use hello_measure::{Attribution, Cause, Clock, Clocks, Ledger, Lost, ReplyKind};
use hello_proto::Token;

use super::plan::ProbePlan;
use super::source_port::SourcePort;
use super::tracing::Tracing;
use crate::clock::{ClockSample, TimestampMapper};
use crate::requester::{self, NotSent};
use crate::sys;
use crate::sys::batch::{RecvBatch, RecvMeta};
use crate::sys::queued_error::{MAX_QUOTE, Queued, QueuedError};
use crate::udp::earlier_send::{MAX_QUEUED, send_past_reports};
use crate::udp::socket_error::SocketError;

/// The part of a run that both threads write to.
#[derive(Debug)]
pub(super) struct State {
    pub(super) ledger: Ledger,
    pub(super) timestamps: TimestampMapper,
    /// The sequence number of the next probe.
    pub(super) next: u32,
    /// The traces, if the plan has any.
    pub(super) tracing: Option<Tracing>,
}

/// A datagram of a batch, classified.
#[derive(Debug)]
pub(super) struct Received {
    /// When it arrived.
    pub(super) at: Duration,
    pub(super) reply: ReplyKind,
    pub(super) ttl: Option<u8>,
    pub(super) tos: Option<u8>,
    pub(super) clocks: Clocks,
    /// Where its bytes are in the batch.
    pub(super) range: Range<usize>,
}

/// An ICMP error, attributed.
#[derive(Debug)]
pub(super) struct NetworkError {
    pub(super) cause: Cause,
    pub(super) attribution: Attribution,
}

/// A try to send a probe.
#[derive(Debug)]
pub(super) struct Attempt {
    /// When it left, or would have.
    pub(super) at: Duration,
    /// Its sequence number, or why it has none.
    pub(super) sent: Result<u32, NotSent>,
    /// The network's errors that it met.
    pub(super) errors: Errors,
}

/// Errors from the network.
#[derive(Debug, Default)]
pub(super) struct Errors {
    pub(super) queued: Vec<NetworkError>,
    /// Those that a call returned and that the system did not queue.
    pub(super) others: Vec<SocketError>,
}

impl State {
    pub(super) fn new(ledger: Ledger, tracing: Option<Tracing>) -> Self {
        let next = Token::FIRST_SEQ;
        Self { ledger, timestamps: TimestampMapper::default(), next, tracing }
    }

    /// Sends the next probe from its port, and records it before anybody can see its reply.
    pub(super) fn send(
        &mut self,
        port: &SourcePort,
        plan: &ProbePlan,
        flow: usize,
        name: &mut [u8],
    ) -> Attempt {
        let mut at = sys::monotonic();
        let Some(token) = self.ledger.tokens().next() else {
            let sent = Err(NotSent::TooManyInFlight);
            return Attempt { at, sent, errors: Errors::default() };
        };
        // The length of the name was checked before.
        let _ = token.encode(name);
        let (sent, reports) = send_past_reports(|| {
            at = sys::monotonic();
            port.send(name)
        });
        if sent.is_ok() {
            self.ledger.handle_sent(name.len(), at);
            self.next = token.seq.wrapping_add(1);
        }
        let mut errors = Errors::default();
        if !reports.is_empty() {
            self.take_errors(port, plan, flow, &reports, &mut errors, |_| true);
        }
        let failed = |error| NotSent::Failed(SocketError::of(&error));
        Attempt { at, sent: sent.map(|()| token.seq).map_err(failed), errors }
    }

    /// Classifies each datagram of a batch from a flow's port, but those that answer a trace. Returns
    /// when the last of them arrived; zero, if the system does not report it.
    pub(super) fn classify(
        &mut self,
        flow: usize,
        batch: &RecvBatch,
        received: &mut Vec<Received>,
    ) -> Duration {
        self.timestamps.update(ClockSample::now());
        for (index, meta) in batch.metas().iter().enumerate() {
            let at = self.timestamps.to_monotonic(meta.time);
            let is_known = meta.time.is_some_and(|time| self.timestamps.known(time).is_some());
            let received_by = if is_known { Clock::Kernel } else { Clock::Process };
            for range in batch.datagram_ranges(index) {
                let datagram = batch.bytes(range.clone());
                let tracing = self.tracing.as_mut();
                if tracing.is_some_and(|tracing| tracing.handle_datagram(flow, datagram, at)) {
                    continue;
                }
                let reply = self.ledger.handle_datagram(datagram, at);
                let RecvMeta { ttl, tos, .. } = *meta;
                let clocks = Clocks {
                    sent: match reply {
                        ReplyKind::Answered { seq, .. } => self.ledger.sent_by(seq),
                        _ => Clock::Process,
                    },
                    received: received_by,
                };
                received.push(Received { at, reply, ttl, tos, clocks, range });
            }
        }
        requester::latest(batch, &self.timestamps)
    }

    /// Takes the ICMP errors queued for the port of a flow, up to a bound or until there is no reason to
    /// go on, and attributes each to a probe, but those about a trace. Also takes the times at which the
    /// kernel sent probes. Those that calls `returned` are among them, unless the system did
    /// not queue them.
    pub(super) fn take_errors(
        &mut self,
        port: &SourcePort,
        plan: &ProbePlan,
        flow: usize,
        returned: &[io::Error],
        errors: &mut Errors,
        goes_on: impl Fn(&SourcePort) -> bool,
    ) {
        let (mut buf, mut taken) = ([0; MAX_QUOTE], 0);
        let may_be_echo = port.took_error_lately();
        for _ in 0..MAX_QUEUED {
            if !goes_on(port) {
                break;
            }
            let QueuedError { cause, quoted, .. } = match port.take_queued(&mut buf) {
                Some(Queued::Error(error)) => error,
                Some(Queued::Transmitted { time, len }) => {
                    self.handle_transmitted(plan, &buf[..len], time);
                    continue;
                }
                None => break,
            };
            taken += 1;
            let quote = &buf[..quoted];
            let is_alone = self.ledger.counts().sent == 0;
            let tracing = self.tracing.as_mut();
            if tracing.is_some_and(|it| it.handle_error(flow, quote, cause, is_alone)) {
                continue;
            }
            let is_candidate = |seq| plan.flow_of(seq) == flow;
            let attribution = self.ledger.handle_error(quote, is_candidate, cause);
            errors.queued.push(NetworkError { cause, attribution });
        }
        let known = taken.max(usize::from(may_be_echo));
        errors.others.extend(returned.iter().skip(known).map(SocketError::of));
    }

    /// Corrects when a probe was sent. `packet` ends with its name, unless it is of a trace or was cut.
    fn handle_transmitted(&mut self, plan: &ProbePlan, packet: &[u8], time: Duration) {
        self.timestamps.update(ClockSample::now());
        let name = packet.len().checked_sub(plan.name_len).map(|start| &packet[start..]);
        if let (Some(name), Some(at)) = (name, self.timestamps.known(time)) {
            self.ledger.handle_transmitted(name, at);
        }
    }

    /// Settles each probe whose timeout is over by now as lost, and returns when the next may be.
    pub(super) fn settle(&mut self, now: Duration, lost: &mut Vec<Lost>) -> Option<Duration> {
        lost.extend(std::iter::from_fn(|| self.ledger.poll_lost(now)));
        self.ledger.poll_timeout()
    }
}
