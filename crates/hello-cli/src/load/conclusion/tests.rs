use super::*;
use crate::load::fixtures;
use crate::load::no_contact::{NoContact, Reason};
use crate::load::saturation::SuspectedLimit;

const LIMIT: SuspectedLimit = SuspectedLimit { rate: 1000, burst: 2000 };

/// A run of ten seconds in an open loop of this rate.
pub(super) fn open(rate: u64, answered: u64, lost: u64) -> Summary {
    let mut summary = fixtures::summary();
    summary.target = "x:1".into();
    summary.plan.rate = Some(rate);
    summary.common.duration_s = 10.0;
    (summary.common.sent, summary.common.answered) = (answered + lost, answered);
    (summary.common.lost, summary.common.in_flight) = (lost, 0);
    summary.sent_per_s = Some((answered + lost) as f64 / 10.0);
    summary.answered_per_s = Some(answered as f64 / 10.0);
    summary
}

/// The same in a closed loop with 64 outstanding.
pub(super) fn closed(answered: u64, lost: u64) -> Summary {
    let mut summary = open(0, answered, lost);
    (summary.plan.rate, summary.plan.outstanding) = (None, Some(64));
    summary
}

pub(super) fn limited(mut summary: Summary, limit: GeneratorLimit) -> Summary {
    summary.generator.limits = vec![limit];
    summary
}

pub(super) fn short(mut summary: Summary, late: u64) -> Summary {
    summary.common.not_sent = [("late", late)].into();
    limited(summary, GeneratorLimit::Late { requests: late })
}

/// The same by a generator that was too slow.
pub(super) fn busily(mut summary: Summary) -> Summary {
    summary.generator.busy = Some(0.5);
    summary
}

pub(super) fn suspected(mut summary: Summary) -> Summary {
    summary.suspected_limit = Some(LIMIT);
    summary
}

pub(super) fn dropped(mut summary: Summary) -> Summary {
    summary.generator.dropped = Some(7);
    limited(summary, GeneratorLimit::Dropped { datagrams: 7 })
}

fn late(mut summary: Summary) -> Summary {
    summary.common.late = 7;
    summary
}

fn silent(mut summary: Summary) -> Summary {
    summary.trend.silent_after = Some(Duration::from_millis(2340));
    summary
}

pub(super) fn refused(mut summary: Summary) -> Summary {
    summary.common.errors = [(REFUSED, 330)].into();
    summary
}

pub(super) fn rising(mut summary: Summary) -> Summary {
    summary.trend.rise = Some((Duration::from_millis(80), Duration::from_millis(858)));
    summary
}

pub(super) fn interrupted(mut summary: Summary, in_flight: u64) -> Summary {
    (summary.interrupted, summary.common.in_flight) = (true, in_flight);
    summary.common.sent += in_flight;
    summary
}

pub(super) fn assert_concludes(
    found: &Conclusion,
    headline: &str,
    outcome: Outcome,
    limited_by: Option<LimitedBy>,
) {
    assert_eq!(found.headline, headline);
    let facts = &found.conclusion;
    assert_eq!((facts.outcome, facts.limited_by), (outcome, limited_by), "{headline}");
    // What is said to be a lower bound is one, and the advice is the headline's.
    assert!(!headline.contains("at least") || facts.is_lower_bound, "{headline}");
    let advice = headline.split_once(": next, try ").map(|(_, advice)| advice);
    let advice = advice.map(|advice| advice.split(';').next().unwrap_or_default().to_owned());
    assert_eq!(advice, facts.next, "{headline}");
}

#[test]
fn each_run_has_its_headline() {
    use GeneratorLimit::{Busy, NotTaken, Stalled, Timer, TooManyInFlight};
    use LimitedBy::{Generator, Plan, RateLimit, Server};
    use Outcome::{Carried, Lost, NotOffered, Unknown};
    let busy = Busy { share: 0.99 };
    let trains = |train, outstanding| {
        let mut summary = limited(closed(3_400_000, 0), busy);
        (summary.plan.train, summary.plan.outstanding) = (train, Some(outstanding));
        summary
    };
    let mut wide = trains(1, 64);
    wide.plan.name_bytes = [40_000, 40_000];
    let mut nothing_due = open(1, 0, 0);
    nothing_due.common.not_sent.clear();
    let mut warm_up = interrupted(nothing_due.clone(), 0);
    (warm_up.common.duration_s, warm_up.plan.warm_up_s) = (0.0, 1.0);
    let mut first = interrupted(nothing_due.clone(), 0);
    first.common.duration_s = 0.0;
    let mut warm = nothing_due.clone();
    warm.plan.warm_up_s = 1.0;
    let mut unsent = warm.clone();
    unsent.plan.outstanding = Some(4);
    let awaited = interrupted(unsent.clone(), 0);
    for (summary, headline, outcome, limited_by) in [
        (
            closed(3_400_000, 0),
            "x:1 answers at least 340,000 requests/s; round trips with 64 outstanding set the \
             pace: next, try --outstanding 128",
            Carried,
            Some(Plan),
        ),
        (
            trains(1, 64),
            "x:1 answers at least 340,000 requests/s; the generator was the limit: next, try \
             --train 64",
            Carried,
            Some(Generator),
        ),
        (
            trains(2, 100),
            "x:1 answers at least 340,000 requests/s; the generator was the limit: next, try \
             --train 64 --outstanding 3200",
            Carried,
            Some(Generator),
        ),
        (
            trains(64, 4096),
            "x:1 answers at least 340,000 requests/s; the generator was the limit: next, try \
             --threads 2",
            Carried,
            Some(Generator),
        ),
        (
            wide,
            "x:1 answers at least 340,000 requests/s; the generator was the limit: next, try \
             --threads 2",
            Carried,
            Some(Generator),
        ),
        (
            limited(closed(54_850, 560), Stalled { share: 0.9 }),
            "x:1 answers at least 5,485 requests/s with 1.011% loss; lost requests held their \
             places until the timeout: next, try a shorter --timeout",
            Lost,
            Some(Generator),
        ),
        (
            closed(99_999, 1),
            "x:1 answers at least 10,000 requests/s with 0.001% loss; round trips with 64 \
             outstanding set the pace: next, try --outstanding 128",
            Lost,
            Some(Plan),
        ),
        (
            suspected(limited(closed(10_000, 600), Stalled { share: 0.9 })),
            "x:1 answers at least 1,000 requests/s with 5.66% loss; the losses look like a rate \
             limit: next, try hello-server --limit off",
            Lost,
            Some(RateLimit),
        ),
        (
            closed(20, 0),
            "x:1 answered 20 of 20 requests; too few for a rate with 64 outstanding",
            Carried,
            None,
        ),
        (closed(0, 64), "x:1 answered none of 64 requests", Lost, None),
        (
            interrupted(closed(6, 0), 4),
            "x:1 answered 6 of 6 requests; too few for a rate with 64 outstanding; interrupted; \
             up to 40% lost if all in flight are",
            Carried,
            None,
        ),
        (
            open(10_000, 100_000, 0),
            "x:1 answers 10,000 requests/s without loss",
            Carried,
            Some(Plan),
        ),
        (
            interrupted(open(10_000, 100_000, 0), 0),
            "x:1 answers 10,000 requests/s without loss; interrupted",
            Carried,
            Some(Plan),
        ),
        (
            limited(open(10_000, 100_000, 0), Timer { p99_ms: 2.0 }),
            "x:1 answers 10,000 requests/s without loss; the generator was at its limit, so \
             latencies are upper bounds",
            Carried,
            Some(Plan),
        ),
        (
            open(10_000, 75_000, 25_000),
            "x:1 loses 25% at 10,000 requests/s, and answers 7,500/s",
            Lost,
            Some(Server),
        ),
        (
            suspected(open(2000, 14_000, 6000)),
            "x:1 loses 30% at 2,000 requests/s, and answers 1,400/s; the losses look like a rate \
             limit: next, try hello-server --limit off",
            Lost,
            Some(RateLimit),
        ),
        (
            dropped(open(10_000, 75_000, 25_000)),
            "x:1 loses 25% at 10,000 requests/s, and answers 7,500/s; the generator was the \
             limit: next, try a larger net.core.rmem_max",
            Lost,
            Some(Generator),
        ),
        (
            busily(short(open(20_000, 100_000, 0), 100_000)),
            "x:1 answers 10,000 requests/s without loss; 20,000/s could not be offered; the \
             generator was the limit: next, try --train 64",
            Carried,
            Some(Generator),
        ),
        (
            short(open(20_000, 0, 0), 9),
            "none of 9 requests was sent; the generator was the limit: next, try a machine without \
             other load",
            NotOffered,
            Some(Generator),
        ),
        (
            limited(short(open(9, 0, 0), 9), NotTaken { requests: 9 }),
            "none of 9 requests was sent; this system rejected what was not sent",
            NotOffered,
            Some(Generator),
        ),
        (
            limited(short(open(9, 0, 0), 9), TooManyInFlight { requests: 9 }),
            "none of 9 requests was sent; the generator was the limit: next, try a shorter \
             --timeout",
            NotOffered,
            Some(Generator),
        ),
        (
            interrupted(open(1000, 7010, 0), 2990),
            "x:1 answers at least 701 requests/s without loss; interrupted; up to 29.9% lost if \
             all in flight are",
            Carried,
            Some(Plan),
        ),
        (
            silent(open(1000, 2340, 7660)),
            "x:1 loses 76.6% at 1,000 requests/s, and answers 234/s; after 2.34 s, it answered \
             nothing",
            Lost,
            Some(Server),
        ),
        (
            late(silent(open(1000, 2340, 7660))),
            "x:1 loses 76.6% at 1,000 requests/s, and answers 234/s; after 2.34 s, it answered \
             nothing in time",
            Lost,
            Some(Server),
        ),
        (
            silent(limited(closed(319_360, 640), Stalled { share: 0.77 })),
            "x:1 answers at least 31,936 requests/s with 0.2% loss; after 2.34 s, it answered \
             nothing",
            Lost,
            Some(Server),
        ),
        (
            rising(open(600, 6000, 0)),
            "x:1 falls behind at 600 requests/s: latencies rose from 80.0 to 858 ms, without loss: \
             next, try a longer --duration",
            Carried,
            Some(Server),
        ),
        (
            rising(open(600, 5616, 384)),
            "x:1 loses 6.4% at 600 requests/s, and answers 562/s; latencies rose from 80.0 to \
             858 ms: next, try a longer --duration",
            Lost,
            Some(Server),
        ),
        (
            refused(open(500, 4670, 330)),
            "x:1 loses 6.6% at 500 requests/s, and answers 467/s; at times, requests were refused \
             (no server on that port, or a firewall)",
            Lost,
            Some(Server),
        ),
        (
            unsent,
            "no request was due after the warm-up; all outstanding ones were still waited for",
            Unknown,
            None,
        ),
        (open(10, 0, 100), "x:1 answered none of 100 requests", Lost, None),
        (nothing_due, "no request was due", Unknown, None),
        (warm, "no request was due after the warm-up", Unknown, None),
        (first, "interrupted before any request was due", Unknown, None),
        (warm_up, "interrupted during the warm-up: nothing was measured", Unknown, None),
        (
            awaited,
            "interrupted while replies to the warm-up were awaited: nothing was measured",
            Unknown,
            None,
        ),
        (
            interrupted(open(10, 0, 0), 5),
            "5 requests sent, of which no end is known; interrupted; up to 100% lost if all in \
             flight are",
            Unknown,
            None,
        ),
    ] {
        assert_concludes(&Conclusion::of_run(&summary), headline, outcome, limited_by);
    }
}

#[test]
fn missing_answer_is_the_headline() {
    let reason = NoContact {
        target: "x:1".into(),
        address: hello_net::ZonedAddr(([127, 0, 0, 1], 9999).into()),
        peer: crate::args::peer::PeerArg::Hello,
        reason: Reason::Refused,
        waited_s: None,
        name_bytes: [16, 16],
        error: None,
        refused_by: None,
        greeting_answered: None,
    };
    let headline = "x:1 refused the requests: no server is listening on that port, or a firewall rejects it. \
                    Start a server with: hello-server";
    let found = Conclusion::no_answer(reason);
    assert_concludes(&found, headline, Outcome::NoAnswer, None);
    assert!(found.no_answer.is_some());
}

#[test]
fn open_loop_that_ends_before_its_second_message_is_due_has_no_rate() {
    let mut summary = open(100, 1, 0);
    (summary.common.duration_s, summary.sent_per_s, summary.answered_per_s) = (25e-5, None, None);
    let headline = "x:1 answered 1 of 1 request; too short for a rate";
    assert_concludes(&Conclusion::of_run(&summary), headline, Outcome::Carried, None);
}

#[test]
fn one_request_per_second_is_singular() {
    let headline = "x:1 answers 1 request/s without loss";
    assert_eq!(Conclusion::of_run(&open(1, 10, 0)).headline, headline);
}
