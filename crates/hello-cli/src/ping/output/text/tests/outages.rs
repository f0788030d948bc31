//! Outages in the summary.

use hello_measure::Outages;

use super::*;
use crate::ping::output::text::outages::{details, table_of};
use crate::ping::summary::Summary;

/// Summarises probes due a second apart: `o` is answered, `x` lost, `-` not sent.
fn summary_of(flows: usize, probes: &str) -> Summary {
    let target = Target { flows, ..target() };
    let (mut outages, mut seq, mut at) = (Outages::new(flows), 1, Duration::ZERO);
    for probe in probes.chars() {
        let flow = (seq as usize - 1) % flows;
        if probe == '-' {
            outages.not_sent(flow, at);
        } else {
            outages.sent(flow, seq, at);
            if probe == 'x' {
                outages.lost(seq);
            } else {
                outages.answered(seq);
            }
            seq += 1;
        }
        at += SECOND;
    }
    Summary { outages: Some(outages.summary()), ..Recorder::new(target).summary(at) }
}

#[test]
fn outages_and_scattered_losses_have_a_detail_each_in_words() {
    for (flows, probes, expected) in [
        (1, "ooo", &[][..]),
        (1, "oxoxo", &["no outage; 2 scattered losses"]),
        (1, "oxxo", &["outages 1, longest 2 probes in 2.000 s at 1.000 s"]),
        (1, "oxo-xxoxx", &["outages 2, longest 3 probes in 3.000 s at 3.000 s; 1 scattered loss"]),
        (1, "oxx", &["outages 1, longest 2 probes in 1.000 s at 1.000 s (ongoing)"]),
        (
            3,
            "oxxxooo",
            &[
                "no outage of a single flow; 3 scattered losses",
                "longest without an answer: 3 probes in 3.000 s at 1.000 s in all flows",
            ],
        ),
        (
            2,
            "oxoxxooo",
            &[
                "outages 1, longest 2 probes in 4.000 s at 1.000 s in flow 1; 1 scattered loss",
                "longest without an answer: 2 probes in 2.000 s at 3.000 s in all flows",
            ],
        ),
    ] {
        assert_eq!(details(&summary_of(flows, probes)), expected, "{probes}");
    }
    let text = summary(Layout::PLAIN, &plan(), &summary_of(1, "oxxo"), &[]);
    assert!(text.contains("\n  outages 1, longest 2 probes "), "{text}");
}

#[test]
fn several_outages_have_a_table_of_the_longest() {
    let table = |flows, probes: &str| table_of(Layout::PLAIN, &summary_of(flows, probes));
    assert_eq!(table(1, "oxxo"), None);
    let expected = "\
outage at s  lasted s  probes  icmp_seq
      4.000     3.000       3         5
      1.000     2.000       2         2";
    assert_eq!(table(1, "oxxoxxxo").as_deref(), Some(expected));
    let several = table(1, &"oxx".repeat(7)).expect("seven outages");
    assert_eq!(several.lines().count(), 7, "{several}");
    assert!(several.ends_with("\n(and 2 more outages)"), "{several}");
}

#[test]
fn table_names_the_flow_and_the_probes_not_sent_where_there_are_any() {
    let table = table_of(Layout::PLAIN, &summary_of(2, "oxox---")).expect("two outages");
    let expected = "\
outage at s  lasted s  probes  icmp_seq  not sent  flow
      1.000    2.000+       2         2         0     1
      4.000    2.000+       3         -         3     0";
    assert_eq!(table, expected);
}
