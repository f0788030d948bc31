use std::num::NonZeroU16;
use std::time::Duration;

use hello_measure::{Ledger, ReplyKind};

use super::SourcePort;
use super::plan::{NotSent, ProbeEvent, ProbeEventKind};
use crate::clock::{ClockSample, TimestampMapper};
use crate::requester::{self, send_past_reports};
use crate::sys;
use crate::udp::batch::RecvBatch;
use crate::udp::error_class::ErrorClass;

/// What both threads write to.
pub(super) struct State<O> {
    pub(super) start: Duration,
    pub(super) ledger: Ledger,
    pub(super) largest_rtt: Option<Duration>,
    pub(super) timestamps: TimestampMapper,
    /// The number of the next probe.
    pub(super) next: u32,
    pub(super) flows: NonZeroU16,
    pub(super) observe: O,
}

impl<O: FnMut(&ProbeEvent<'_>)> State<O> {
    /// Sends the probe that is due, unless it is too late.
    pub(super) fn send_due(
        &mut self,
        due: Duration,
        too_late: Duration,
        flows: &[SourcePort],
        name: &mut [u8],
    ) {
        let (now, number) = (sys::monotonic(), self.flow_of(self.next));
        let sent = if now > too_late {
            Err(NotSent::Late)
        } else {
            self.send(&flows[number], number, name)
        };
        let (at, kind) = match sent {
            Ok((seq, at)) => (at, ProbeEventKind::Sent { seq, late: at.saturating_sub(due) }),
            Err(reason) => (now, ProbeEventKind::NotSent(reason)),
        };
        self.notify(at, number, kind);
    }

    /// Sends a probe, and returns its number and when it left.
    fn send(
        &mut self,
        flow: &SourcePort,
        number: usize,
        name: &mut [u8],
    ) -> Result<(u32, Duration), NotSent> {
        let token = self.ledger.tokens().next().ok_or(NotSent::TooManyInFlight)?;
        // The length of the name was looked at before.
        let _ = token.encode(name);
        let mut at = Duration::ZERO;
        let send = || {
            at = sys::monotonic();
            flow.send(name)
        };
        let (sent, earlier) = send_past_reports(send);
        for error in earlier {
            self.notify(at, number, ProbeEventKind::SocketError(ErrorClass::of(&error)));
        }
        sent.map_err(|error| NotSent::Failed(ErrorClass::of(&error)))?;
        self.ledger.handle_sent(name.len(), at);
        self.next = token.seq.wrapping_add(1);
        Ok((token.seq, at))
    }

    /// Decides what each datagram of a batch is, and returns when the last of them came; zero, if the
    /// system does not say.
    pub(super) fn handle(&mut self, batch: &RecvBatch, flow: usize) -> Duration {
        self.timestamps.update(ClockSample::now());
        for (index, arrival) in batch.metas().iter().enumerate() {
            let at = self.timestamps.to_monotonic(arrival.time);
            for place in batch.datagram_ranges(index) {
                let datagram = batch.bytes(place);
                let arrival = self.ledger.handle_datagram(datagram, at);
                if let ReplyKind::Answered { rtt, .. } = arrival {
                    self.largest_rtt = self.largest_rtt.max(Some(rtt));
                }
                self.notify(at, flow, ProbeEventKind::Received { arrival, datagram });
            }
        }
        requester::latest(batch, &self.timestamps)
    }

    /// Tells of datagrams that the system could not keep for us, if there are any.
    pub(super) fn report_dropped(&mut self, flow: usize, count: u32) {
        if count > 0 {
            self.notify(sys::monotonic(), flow, ProbeEventKind::Dropped { count });
        }
    }

    /// Tells of each probe that is lost by now, and returns when the next one may be.
    pub(super) fn settle(&mut self, now: Duration) -> Option<Duration> {
        while let Some(seq) = self.ledger.poll_lost(now) {
            self.notify(now, self.flow_of(seq), ProbeEventKind::Lost { seq });
        }
        self.ledger.poll_timeout()
    }

    /// Returns from which flow a probe is sent.
    fn flow_of(&self, seq: u32) -> usize {
        usize::from(u16::try_from(seq % u32::from(self.flows.get())).unwrap_or(0))
    }

    pub(super) fn notify(&mut self, at: Duration, flow: usize, kind: ProbeEventKind<'_>) {
        (self.observe)(&ProbeEvent { at: at.saturating_sub(self.start), flow, kind });
    }
}
