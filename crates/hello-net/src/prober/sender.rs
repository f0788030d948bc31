//! The loop of a run's sending thread; what it shares with the other is in [`run`](super::run).

use std::thread::Thread;
use std::time::Duration;

use super::event::{ProbeEvent, ProbeEventKind};
use super::run::Run;
use super::state::{Attempt, Errors};
use crate::clock::from_nanos;
use crate::requester::NotSent;
use crate::sys;

impl<O: Fn(&ProbeEvent<'_>)> Run<'_, O> {
    /// Sends each probe when it is due, until a stop.
    pub(super) fn send_all(&self, receiver: &Thread) {
        let _punctual = sys::set_timer_slack();
        let mut name = vec![0; self.prober.plan.name_len];
        // The number of probes sent, or passed over, without a wait in between.
        let mut at_once = 0_u64;
        for k in 0..self.prober.plan.count.unwrap_or(u64::MAX) {
            let due = self.start + from_nanos(self.prober.plan.interval.as_nanos() * u128::from(k));
            at_once = if sys::monotonic() < due { 0 } else { at_once + 1 };
            if !self.sleep_until(due) {
                return;
            }
            let lateness = if at_once < MAX_BURST { MAX_LATENESS } else { Duration::ZERO };
            let too_late = due.saturating_add(self.prober.plan.interval.max(lateness));
            self.send_due(due, too_late, &mut name, receiver);
        }
    }

    /// Sends the probe that is due, unless it is too late, and reports that.
    fn send_due(&self, due: Duration, too_late: Duration, name: &mut [u8], receiver: &Thread) {
        let (flow, Attempt { at, sent, errors }) = {
            let now = sys::monotonic();
            let mut state = self.state();
            let flow = self.prober.plan.flow_of(state.next);
            (
                flow,
                match now > too_late {
                    true => {
                        Attempt { at: now, sent: Err(NotSent::Late), errors: Errors::default() }
                    }
                    false => state.send(&self.prober.ports[flow], &self.prober.plan, flow, name),
                },
            )
        };
        match sent {
            Ok(seq) => {
                let late = at.saturating_sub(due);
                self.notify(at, flow, ProbeEventKind::Sent { seq, late });
                self.announce(seq, receiver);
            }
            Err(reason) => self.notify(due, flow, ProbeEventKind::NotSent(reason)),
        }
        // They may be about this probe.
        self.report_errors(at, flow, errors);
    }

    /// Sleeps until a probe is due; returns whether it is still to be sent.
    fn sleep_until(&self, due: Duration) -> bool {
        loop {
            if self.prober.stopper.is_stopped() {
                return false;
            }
            let now = sys::monotonic();
            if now >= due {
                return true;
            }
            // A stop ends a sleep of the first kind; one of the second kind is punctual.
            let left = due - now;
            if left > PRECISE_WAKE_UP {
                self.prober.stopper.stop_latch().sleep(left - PRECISE_WAKE_UP);
            } else {
                sys::sleep_until(due);
            }
        }
    }
}

/// The time before a probe is due in which a stop may go unnoticed.
const PRECISE_WAKE_UP: Duration = Duration::from_millis(10);

/// A probe that is later than this, and than an interval, is not sent any more.
const MAX_LATENESS: Duration = Duration::from_secs(1);

/// The most probes that make up for lost time at once. More would cause losses and longer
/// round-trip times of their own.
const MAX_BURST: u64 = 64;
