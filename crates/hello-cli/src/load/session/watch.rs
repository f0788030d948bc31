//! The main thread during a run: signals, progress, and a server that does not answer.

use std::num::NonZeroU64;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use hello_measure::{Counts, Interval};
use hello_net::{Contact, LoadPlan, Pacing, SocketError, Stopper};

use super::{Command, Session, status_room};
use crate::load::no_contact::{self, Greeted, is_refusal};
use crate::load::output::{json, text::progress};
use crate::load::progress::{Phase, Progress, Trial};
use crate::load::recorder::Recorder;
use crate::output::Format;
use crate::output::console::Status;
use crate::output::format::at_most;
use crate::process::lock;
use crate::process::ticker::next_tick;

/// A run in another thread.
pub(super) struct Watched<'a> {
    pub(super) plan: &'a LoadPlan,
    pub(super) stopper: &'a Stopper,
    pub(super) contact: &'a Contact,
    pub(super) recorders: &'a [Mutex<Recorder>],
    pub(super) trial: Option<Trial>,
}

impl Session<'_> {
    /// Shows the progress of a run and handles signals, until it ends. Ends it if the server does
    /// not answer, and returns whether it did.
    pub(super) fn watch(&mut self, run: &Watched<'_>) -> bool {
        let (start, plan) = (Instant::now(), run.plan);
        let rate = match plan.pacing {
            Pacing::Open { rate, .. } => Some(NonZeroU64::get(rate)),
            Pacing::Closed { .. } => None,
        };
        let seen = || {
            let mut counts = Counts::default();
            for recorder in run.recorders {
                counts.merge(&lock(recorder).counts());
            }
            (start.elapsed().saturating_sub(plan.warm_up), counts)
        };
        let (mut shown, mut printed) = (seen(), seen());
        // A time that the clock cannot represent is never due.
        let first = self.args.every.and_then(|every| plan.warm_up.checked_add(every));
        let mut interval = first.and_then(|after| start.checked_add(after));
        let (mut stopped, mut is_ended) = (None, false);
        loop {
            let tick = Instant::now() + TICK;
            let message = self.signals.wait_until(interval.map_or(tick, |at| at.min(tick)));
            // Every run has an end, and its verdict then, even if nobody reads the rest of its lines.
            let message = message
                .filter(|message| *message != Command::OutputFailed || !self.out.is_reader_gone());
            match message {
                Some(Command::Stop | Command::OutputFailed) => run.stopper.stop(),
                Some(Command::Abort) => run.stopper.abort(),
                Some(Command::End) | None => {}
            }
            let (is_over, now) = (message == Some(Command::End), Instant::now());
            if let Some(Command::Stop | Command::OutputFailed | Command::Abort) = message {
                self.stopped = true;
                stopped.get_or_insert(now - start);
            }
            let is_reached = self.is_reached || run.contact.has_answer();
            if !is_reached && is_unreachable(plan, run.contact.error(), now - start) {
                run.stopper.abort();
                is_ended = true;
            }
            if let (Some(at), Some(every)) = (interval, self.args.every)
                && (is_over || now >= at)
            {
                let by_now = seen();
                let due = due_share(plan, stopped, printed, by_now.0);
                let part = Interval::between(printed, by_now, rate);
                // The generator's clock started a moment later than this one.
                let is_waiting = due == 0.0 && part.sent == 0;
                let is_short = part.duration_s < every.as_secs_f64() || due < MOST;
                let is_cut = is_waiting || is_over && is_short;
                let part = Interval { rate: rate.filter(|_| !is_waiting), ..part };
                // The last interval may be empty.
                if !(is_over && part.is_empty()) {
                    self.print_interval(&if is_cut { part.cut_short() } else { part });
                }
                (printed, interval) = (by_now, next_tick(at, every, now));
            }
            if is_over {
                return is_ended;
            }
            self.out.status(|| {
                let (by_now, elapsed) = (seen(), now - start);
                let progress = Progress {
                    trial: run.trial.map(|trial| trial.after(elapsed)),
                    phase: Phase::at(plan, elapsed, &by_now.1, stopped),
                    interval: Interval::between(shown, by_now, rate),
                };
                shown = by_now;
                let room = status_room(self.layout);
                let bar = Phase::bar(plan, elapsed, &by_now.1);
                Status { message: progress::status(&progress, room), progress: Some(bar) }
            });
        }
    }

    /// Sends one greeting, and waits `wait` for its reply or until a signal: it is not a part of the run,
    /// so the first one ends the wait.
    pub(super) fn greet(&mut self, wait: Duration) -> Greeted {
        let Ok(client) = no_contact::greeter(self.address, wait) else { return Greeted::Silent };
        let (stopper, ended) = (client.stopper(), self.signals.send_on_drop(Command::End));
        let at_most = at_most(wait);
        self.out.status(|| format!("no reply; waiting {at_most} at most for a last one").into());
        let greeted = thread::scope(|scope| {
            let greeting = scope.spawn(move || {
                let _ended = ended;
                no_contact::greet(client)
            });
            loop {
                match self.signals.wait_until(Instant::now() + TICK) {
                    Some(Command::End) => break,
                    Some(Command::OutputFailed) if self.out.is_reader_gone() => {}
                    Some(Command::Stop | Command::Abort | Command::OutputFailed) => {
                        self.stopped = true;
                        stopper.abort();
                    }
                    None => {}
                }
            }
            greeting.join().unwrap_or_else(|cause| std::panic::resume_unwind(cause))
        });
        self.out.status(Status::default);
        greeted
    }

    fn print_interval(&self, interval: &Interval) {
        if self.args.quiet {
            return;
        }
        self.out.line(match self.args.common.format() {
            Format::Text => progress::interval(self.layout, interval),
            Format::Json => json::interval(interval),
        });
    }
}

/// Returns whether a server that has not answered yet would have, if it answered anything.
fn is_unreachable(plan: &LoadPlan, error: Option<SocketError>, elapsed: Duration) -> bool {
    let rounds = elapsed.as_secs_f64() / plan.timeout.as_secs_f64();
    let sent = match plan.pacing {
        Pacing::Open { rate, .. } => rate.get() as f64 * elapsed.as_secs_f64(),
        Pacing::Closed { outstanding } => f64::from(outstanding.get()) * (1.0 + rounds.floor()),
    };
    let is_silent = elapsed >= silence(plan) && sent >= MIN_SENT;
    is_silent || elapsed >= REFUSAL && is_refusal(error)
}

/// Returns the share of the time from a point of a run, after the warm-up, in which requests were due: until
/// its end, or it was stopped, or all were sent.
fn due_share(
    plan: &LoadPlan,
    stopped: Option<Duration>,
    (from, counts): (Duration, Counts),
    to: Duration,
) -> f64 {
    let stopped = stopped.map(|stopped| stopped.saturating_sub(plan.warm_up));
    let end = stopped.unwrap_or(plan.duration).min(plan.duration);
    let has_sent_all = plan.count.is_some_and(|count| counts.sent >= count);
    let due = if has_sent_all { Duration::ZERO } else { end.min(to).saturating_sub(from) };
    due.as_secs_f64() / to.saturating_sub(from).as_secs_f64()
}

/// The share of the last interval in which requests are due, if it is no partial one. The rest is for
/// rounding.
const MOST: f64 = 0.9;

/// Returns the time after which a server that has not answered is silent.
pub(super) fn silence(plan: &LoadPlan) -> Duration {
    plan.timeout.max(SILENCE)
}

/// The shortest such time.
const SILENCE: Duration = Duration::from_secs(1);

/// The time after which a refused run ends.
const REFUSAL: Duration = Duration::from_millis(300);

/// The smallest number of requests without a reply that means silence: a server that loses three in
/// four, as `hello-server` does beyond its limit, leaves all of them without one once in 10,000 runs.
const MIN_SENT: f64 = 32.0;

/// The period of the status line.
const TICK: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use hello_net::ErrorClass;

    use super::*;
    use crate::load::fixtures::plan;

    #[test]
    fn requests_are_due_until_the_end_a_stop_or_the_last_one() {
        let mut plan = plan();
        let millis = Duration::from_millis;
        (plan.warm_up, plan.duration, plan.count) = (millis(100), millis(1000), Some(9));
        let mut counts = Counts::default();
        counts.sent = 8;
        for (stopped, from, to, share) in [
            (None, 0, 500, 1.0),
            (None, 750, 1250, 0.5),
            (None, 1000, 1500, 0.0),
            (Some(600), 250, 750, 0.5),
            (Some(50), 0, 100, 0.0),
            (Some(1200), 500, 1000, 1.0),
        ] {
            let found = due_share(&plan, stopped.map(millis), (millis(from), counts), millis(to));
            assert_eq!(found, share, "{stopped:?} {from} {to}");
        }
        counts.sent = 9;
        assert_eq!(due_share(&plan, None, (millis(500), counts), millis(750)), 0.0);
    }

    #[test]
    fn silence_needs_the_timeout_a_second_and_enough_requests() {
        let millis = Duration::from_millis;
        let mut plan = plan();
        for (timeout, elapsed, expected) in
            [(10, 999, false), (10, 1000, true), (2500, 2499, false), (2500, 2500, true)]
        {
            plan.timeout = millis(timeout);
            let found = is_unreachable(&plan, None, millis(elapsed));
            assert_eq!(found, expected, "{timeout} {elapsed}");
        }
        plan.timeout = millis(1000);
        plan.pacing = Pacing::Closed { outstanding: NonZeroU32::new(4).expect("not zero") };
        assert!(!is_unreachable(&plan, None, millis(6999)));
        assert!(is_unreachable(&plan, None, millis(7000)));
        let refused = Some(ErrorClass::ConnectionRefused.into());
        assert!(is_unreachable(&plan, refused, millis(300)));
        assert!(!is_unreachable(&plan, refused, millis(299)));
        assert!(!is_unreachable(&plan, Some(ErrorClass::Denied.into()), millis(300)));
    }
}
