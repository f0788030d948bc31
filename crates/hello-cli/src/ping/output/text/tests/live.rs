//! Tests of the status line.

use super::super::status::{status, waiting};
use super::*;

#[test]
fn status_has_the_end_of_the_run_and_what_fits() {
    let mut recorder = Recorder::new(target());
    events(&mut recorder, (0..12).map(sent));
    events(&mut recorder, [answered(ms(1)); 11]);
    let (now, hundred) = (11 * SECOND, Plan { count: NonZeroU64::new(100), ..plan() });
    let status = |plan, layout| {
        let text = status(layout, plan, &[recorder.summary(now)], now);
        strip_str(&text).to_string()
    };
    let all = "12 of 100 sent, 0% lost, 1 in flight, p50 1.00 ms, 1m28s left";
    for (width, expected) in [
        (61, all),
        (60, "12 of 100 sent, 0% lost, 1 in flight, 1m28s left"),
        (47, "12 of 100 sent, 0% lost, 1m28s left"),
        (34, "12 of 100 sent, 0% lost"),
        (20, "12 of 100 sent"),
        (1, "12 of 100 sent"),
    ] {
        assert_eq!(status(&hundred, terminal(width)), expected, "{width}");
    }
    let endless = "12 sent, 0% lost, 1 in flight, p50 1.00 ms";
    assert_eq!(status(&plan(), Layout::PLAIN), endless);
}

#[test]
fn status_never_hides_that_probes_are_not_sent() {
    let mut recorder = Recorder::new(target());
    events(&mut recorder, [sent(0), answered(ms(1))]);
    events(&mut recorder, [ProbeEventKind::NotSent(NotSent::Late); 20]);
    let summary = recorder.summary(SECOND);
    for summaries in [&[summary.clone()][..], &[summary.clone(), summary]] {
        for width in [1, 40, 80] {
            let text = status(terminal(width), &plan(), summaries, SECOND);
            assert!(text.contains("20 not sent"), "{width}: {text}");
        }
    }
}

#[test]
fn status_of_several_targets_is_brief() {
    let summaries = [eventful().summary(ms(4005)), Recorder::new(target()).summary(ms(0))];
    let text = status(Layout::PLAIN, &plan(), &summaries, SECOND);
    let expected = "192.0.2.1:9999 25% lost, 1 not sent, p50 0.050 ms | 192.0.2.1:9999 - lost";
    assert_eq!(strip_str(&text).to_string(), expected);
    for (width, expected) in [
        (60, "192.0.2.1:9999 25% lost, 1 not sent | 192.0.2.1:9999 - lost"),
        (40, "2 targets, worst 25% lost, 1 not known yet, 1 not sent"),
    ] {
        let text = status(terminal(width), &plan(), &summaries, SECOND);
        assert_eq!(strip_str(&text).to_string(), expected);
    }
}

#[test]
fn status_after_a_stop_says_what_is_awaited() {
    let mut recorder = Recorder::new(target());
    events(&mut recorder, (0..4).map(sent));
    let summaries = [recorder.summary(SECOND)];
    let all = "waiting for 4 in flight, for up to 1s, Ctrl-C again ends at once";
    assert_eq!(waiting(terminal(80), &summaries, ms(900)), all);
    let short = "waiting for 4 in flight, Ctrl-C again ends at once";
    assert_eq!(waiting(terminal(60), &summaries, ms(900)), short);
    assert_eq!(waiting(terminal(80), &summaries, ms(0)), short);
    assert_eq!(waiting(terminal(40), &summaries, ms(900)), "waiting for 4 in flight");
}

#[test]
fn status_does_not_take_an_unknown_loss_for_none() {
    let unsettled = Recorder::new(target()).summary(SECOND);
    let mut recorder = Recorder::new(target());
    events(&mut recorder, [sent(0), answered(ms(1))]);
    let settled = recorder.summary(SECOND);
    for (summaries, expected) in [
        ([&settled, &unsettled, &unsettled], "3 targets, worst 0% lost, 2 not known yet"),
        ([&settled, &settled, &settled], "3 targets, worst 0% lost"),
        ([&unsettled, &unsettled, &unsettled], "3 targets, loss not known yet"),
    ] {
        let text = status(terminal(45), &plan(), &summaries.map(Clone::clone), SECOND);
        assert_eq!(strip_str(&text).to_string(), expected);
    }
}
