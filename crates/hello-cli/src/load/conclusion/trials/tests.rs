use std::time::Duration;

use hello_measure::{Bound, SearchOutcome};

use super::*;
use crate::load::conclusion::tests::{
    assert_concludes, busily, dropped, interrupted, open, refused, rising, short, suspected,
};
use crate::load::throughput::SearchEnd;

#[test]
fn each_end_of_a_search_has_its_headline() {
    use LimitedBy::{Generator, Plan, RateLimit, Server};
    use Outcome::{Carried, Lost, NotOffered, Unknown};
    use SearchEnd::{Found, Open};
    let load = |load| std::num::NonZeroU64::new(load).expect("not zero");
    let trial = |summary, verdict| Summary { verdict: Some(verdict), ..summary };
    let lost = trial(open(71_000, 700_000, 10_000), TrialVerdict::Lost);
    let late = trial(busily(short(open(71_000, 700_000, 0), 10_000)), TrialVerdict::NotOffered);
    for (carried, bound, end, tolerance, last, headline, outcome, limited_by) in [
        (
            Some(70_000),
            Bound::Lost(load(71_000)),
            Found,
            0.001,
            &lost,
            "x:1 answers 70,000 requests/s with at most 0.1% loss",
            Carried,
            Some(Server),
        ),
        (
            Some(70_000),
            Bound::Lost(load(71_000)),
            Found,
            0.0,
            &suspected(lost.clone()),
            "x:1 answers 70,000 requests/s without loss for as long as a burst lasts; the losses \
             look like a rate limit: next, try hello-server --limit off",
            Carried,
            Some(RateLimit),
        ),
        (
            Some(1000),
            Bound::Lost(load(1020)),
            Found,
            0.0,
            &suspected(lost.clone()),
            "x:1 answers 1,000 requests/s without loss; the losses look like a rate limit: next, \
             try hello-server --limit off",
            Carried,
            Some(RateLimit),
        ),
        (
            Some(70_000),
            Bound::NotOffered(load(71_000)),
            Found,
            0.0,
            &late,
            "x:1 answers at least 70,000 requests/s without loss; the generator was the limit: \
             next, try --train 64",
            Carried,
            Some(Generator),
        ),
        (
            Some(70_000),
            Bound::Max,
            Found,
            0.0,
            &lost,
            "x:1 answers at least 70,000 requests/s without loss; no higher rate was tried: next, \
             try a higher --max-rate",
            Carried,
            Some(Plan),
        ),
        (
            Some(70_000),
            Bound::Lost(load(99_000)),
            Open,
            0.0,
            &lost,
            "x:1 answers at least 70,000 requests/s without loss; the search was interrupted",
            Carried,
            None,
        ),
        (
            None,
            Bound::Open,
            Open,
            0.0,
            &lost,
            "interrupted before any rate had a verdict",
            Unknown,
            None,
        ),
        (
            None,
            Bound::Lost(load(1)),
            Found,
            0.0,
            &lost,
            "x:1 answers no rate without loss, not even 1/s",
            Lost,
            Some(Server),
        ),
        (
            None,
            Bound::NotOffered(load(1)),
            Found,
            0.0,
            &late,
            "1/s could not be offered; the generator was the limit: next, try --train 64",
            NotOffered,
            Some(Generator),
        ),
    ] {
        let outcome_of = SearchOutcome { carried: carried.map(load), bound };
        let goal = (tolerance, 0.02, 3);
        let found = Throughput::new(outcome_of, end, goal, Duration::from_secs(2));
        let found = Conclusion::of_search("x:1", &found, std::slice::from_ref(last));
        assert_concludes(&found, headline, outcome, limited_by);
    }
}

#[test]
fn each_sweep_has_its_headline() {
    use LimitedBy::{Generator, Plan, RateLimit, Server};
    use Outcome::{Carried, Lost, NotOffered, Unknown};
    let clean = open(1000, 10_000, 0);
    let lossy = open(2000, 15_000, 5000);
    let late = busily(short(open(3000, 10_000, 0), 20_000));
    for (trials, all, headline, outcome, limited_by) in [
        (
            vec![clean.clone(), lossy.clone()],
            2,
            "x:1 answers 1,000 requests/s without loss, and loses 25% at 2,000/s",
            Carried,
            Some(Server),
        ),
        (
            vec![clean.clone(), suspected(lossy.clone())],
            2,
            "x:1 answers 1,000 requests/s without loss, and loses 25% at 2,000/s; the losses look \
             like a rate limit: next, try hello-server --limit off",
            Carried,
            Some(RateLimit),
        ),
        (
            vec![open(1500, 15_000, 0), suspected(lossy.clone())],
            2,
            "x:1 answers 1,500 requests/s without loss for as long as a burst lasts, and loses 25% \
             at 2,000/s; the losses look like a rate limit: next, try hello-server --limit off",
            Carried,
            Some(RateLimit),
        ),
        (
            vec![clean.clone(), dropped(lossy.clone())],
            2,
            "x:1 answers 1,000 requests/s without loss, and loses 25% at 2,000/s; the generator \
             was the limit: next, try a larger net.core.rmem_max",
            Carried,
            Some(Generator),
        ),
        (
            vec![clean.clone()],
            1,
            "x:1 answers at least 1,000 requests/s without loss: next, try a --sweep to higher \
             rates",
            Carried,
            Some(Plan),
        ),
        (
            vec![clean.clone(), late.clone()],
            2,
            "x:1 answers at least 1,000 requests/s without loss; the generator was the limit: \
             next, try --train 64",
            Carried,
            Some(Generator),
        ),
        (vec![lossy], 1, "x:1 loses 25% at 2,000/s", Lost, Some(Server)),
        (
            vec![clean.clone(), rising(open(2000, 20_000, 0)), open(3000, 9, 0)],
            3,
            "x:1 answers 1,000 requests/s without loss, and falls behind at 2,000/s: latencies rose \
             from 80.0 to 858 ms, without loss: next, try a longer --duration",
            Carried,
            Some(Server),
        ),
        (
            vec![rising(open(2000, 20_000, 0))],
            1,
            "x:1 falls behind at 2,000/s: latencies rose from 80.0 to 858 ms, without loss: next, try \
             a longer --duration",
            Carried,
            Some(Server),
        ),
        (
            vec![late],
            1,
            "3,000/s could not be offered; the generator was the limit: next, try --train 64",
            NotOffered,
            Some(Generator),
        ),
        (
            vec![clean.clone(), interrupted(clean.clone(), 0)],
            3,
            "x:1 answers at least 1,000 requests/s without loss: next, try a --sweep to higher \
             rates; interrupted after 1 of 3 rates",
            Carried,
            Some(Plan),
        ),
        (
            vec![interrupted(clean, 0)],
            3,
            "interrupted before the first rate was finished",
            Unknown,
            None,
        ),
    ] {
        let found = Conclusion::of_sweep("x:1", &trials, all);
        assert_concludes(&found, headline, outcome, limited_by);
    }
}

#[test]
fn load_that_was_carried_with_a_growing_queue_is_no_rate_of_answers() {
    let load = |load| std::num::NonZeroU64::new(load).expect("not zero");
    let trial = |rate, summary, verdict| {
        let mut trial = Summary { verdict: Some(verdict), ..summary };
        trial.plan.rate = Some(rate);
        trial
    };
    let trials = [
        trial(593, rising(open(593, 1186, 0)), TrialVerdict::Carried),
        trial(600, open(600, 1000, 200), TrialVerdict::Lost),
    ];
    let outcome = SearchOutcome { carried: Some(load(593)), bound: Bound::Lost(load(600)) };
    let goal = (0.0, 0.02, 1);
    let found = Throughput::new(outcome, SearchEnd::Found, goal, Duration::from_secs(2));
    let headline = "x:1 answers 593 requests/s without loss; it fell behind in a trial, whose \
                    latencies rose from 80.0 to 858 ms: next, try a longer --duration";
    let found = Conclusion::of_search("x:1", &found, &trials);
    assert_concludes(&found, headline, Outcome::Carried, Some(LimitedBy::Server));
}

#[test]
fn server_that_ended_is_no_limit_of_the_rate() {
    let load = |load| std::num::NonZeroU64::new(load).expect("not zero");
    let gone = refused(open(4000, 0, 4000));
    for (carried, headline, expected) in [
        (
            Some(load(2000)),
            "x:1 answers at least 2,000 requests/s without loss; the search ended because \
             requests were refused (no server on that port, or a firewall)",
            Outcome::Carried,
        ),
        (
            None,
            "x:1 answered no rate, and then requests were refused (no server on that port, or a \
             firewall)",
            Outcome::Unknown,
        ),
    ] {
        let outcome = SearchOutcome { carried, bound: Bound::Lost(load(4000)) };
        let goal = (0.0, 0.02, 1);
        let found = Throughput::new(outcome, SearchEnd::Silent, goal, Duration::from_secs(2));
        let found = Conclusion::of_search("x:1", &found, std::slice::from_ref(&gone));
        assert_concludes(&found, headline, expected, None);
    }
    let trials =
        [open(1000, 10_000, 0), refused(open(2000, 5000, 5000)), refused(open(3000, 0, 9))];
    let headline = "x:1 answers 1,000 requests/s without loss, and loses 50% at 2,000/s; at rate 3 of 9, \
                    requests were refused (no server on that port, or a firewall)";
    let found = Conclusion::of_sweep("x:1", &trials, 9);
    assert_concludes(&found, headline, Outcome::Carried, Some(LimitedBy::Server));
}
