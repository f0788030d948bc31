use super::*;
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);

/// A probe of a run in the order in which it was due, one per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Answered,
    Lost,
    NotSent,
    InFlight,
}
use Due::{Answered, InFlight, Lost, NotSent};

/// Sends these probes in turn from the flows. Settles those in flight at times, in the order of
/// `keys`.
fn run(flows: usize, first_seq: u32, probes: &[Due], keys: &[u8]) -> Outages {
    let mut outages = Outages::new(flows);
    let (mut at, mut open, mut sent) = (Duration::ZERO, Vec::new(), 0_u32);
    let settle_open = |outages: &mut Outages, open: &mut Vec<(u8, u32, Due)>| {
        open.sort_by_key(|(key, ..)| *key);
        open.drain(..).for_each(|(_, seq, due)| settle(outages, seq, due));
    };
    for due in probes {
        let (seq, flow) = (first_seq.wrapping_add(sent), sent as usize % flows);
        match due {
            NotSent => outages.not_sent(flow, at),
            _ => {
                outages.sent(flow, seq, at);
                let key = keys.get(sent as usize).copied().unwrap_or(1);
                open.push((key, seq, *due));
                sent += 1;
                if key % 16 == 0 {
                    settle_open(&mut outages, &mut open);
                }
            }
        }
        at += SECOND;
    }
    settle_open(&mut outages, &mut open);
    outages
}

fn settle(outages: &mut Outages, seq: u32, due: Due) {
    match due {
        Answered => outages.answered(seq),
        Lost => outages.lost(seq),
        NotSent | InFlight => {}
    }
}

/// Finds the loss periods of some probes of a run, each with its number.
fn periods(
    flow: Option<usize>,
    probes: impl Iterator<Item = (usize, Due, Option<u32>)>,
) -> Vec<Outage> {
    let mut periods: Vec<Outage> = Vec::new();
    for (number, due, seq) in probes {
        let at = number as f64;
        let open = periods.last_mut().filter(|period| period.ongoing);
        let missed = due != Answered;
        match open {
            Some(open) => {
                open.duration_s = at - open.start_s;
                open.ongoing = missed;
                open.probes += u64::from(missed);
                open.not_sent += u64::from(due == NotSent);
                open.first_seq = open.first_seq.or(seq.filter(|_| missed));
            }
            None if missed => periods.push(Outage {
                flow,
                first_seq: seq,
                start_s: at,
                duration_s: 0.0,
                probes: 1,
                not_sent: u64::from(due == NotSent),
                ongoing: true,
            }),
            None => {}
        }
    }
    periods
}

/// Summarises the probes that are not in flight in the plainest way.
fn model(flows: usize, first_seq: u32, probes: &[Due]) -> OutageSummary {
    let mut sent = 0;
    let all = probes.iter().map(|due| {
        let (seq, flow) = (first_seq.wrapping_add(sent), sent as usize % flows);
        sent += u32::from(*due != NotSent);
        (*due, flow, (*due != NotSent).then_some(seq))
    });
    let all = Vec::from_iter(all.enumerate().filter(|(_, (due, ..))| *due != InFlight));
    let of = |wanted: Option<usize>| {
        let mine = all.iter().filter(|(_, (_, flow, _))| wanted.is_none_or(|one| one == *flow));
        periods(wanted, mine.map(|(number, (due, _, seq))| (*number, *due, *seq)))
    };
    let (mut outages, scattered): (Vec<_>, Vec<_>) =
        (0..flows).flat_map(|flow| of(Some(flow))).partition(|period| period.probes > 1);
    let order = |one: &Outage, other: &Outage| {
        other.duration_s.total_cmp(&one.duration_s).then(one.start_s.total_cmp(&other.start_s))
    };
    let mut target = of(None);
    target.retain(|period| period.probes > 1);
    outages.sort_by(order);
    target.sort_by(order);
    OutageSummary {
        count: outages.len() as u64,
        probes: outages.iter().map(|outage| outage.probes).sum(),
        scattered: scattered.len() as u64,
        max_probes: outages.iter().map(|outage| outage.probes).max().unwrap_or(0),
        without_answer: target.first().copied(),
        unlisted: outages.len().saturating_sub(Outages::LISTED) as u64,
        longest: outages.into_iter().take(Outages::LISTED).collect(),
    }
}

fn dues() -> impl Strategy<Value = Vec<Due>> {
    let due = prop_oneof![
        6 => Just(vec![Answered]),
        4 => (1..5_usize).prop_map(|count| vec![Lost; count]),
        2 => (1..5_usize).prop_map(|count| vec![NotSent; count]),
    ];
    prop::collection::vec(due, 0..80).prop_map(|dues| dues.concat())
}

proptest! {
    #![proptest_config(crate::proptest_config())]

    #[test]
    fn outages_are_those_of_a_plain_model_in_whatever_order_probes_are_settled(
        flows in 1..5_usize,
        first_seq in prop_oneof![Just(1), (u32::MAX - 99..=u32::MAX)],
        probes in dues(),
        keys in prop::collection::vec(any::<u8>(), 400),
    ) {
        let found = run(flows, first_seq, &probes, &keys);
        prop_assert_eq!(found.summary(), model(flows, first_seq, &probes));
        let missed = probes.iter().filter(|due| matches!(due, Lost | NotSent)).count() as u64;
        let summary = found.summary();
        prop_assert_eq!(summary.probes + summary.scattered, missed);
        prop_assert!(found.probes.is_empty() && found.unsent.is_empty());
    }

    #[test]
    fn probe_in_flight_neither_belongs_to_an_outage_nor_ends_it(
        mut probes in dues(),
        open in any::<prop::sample::Index>(),
        keys in prop::collection::vec(any::<u8>(), 400),
        fate in prop_oneof![Just(Answered), Just(Lost)],
    ) {
        let open = open.index(probes.len() + 1);
        probes.insert(open, InFlight);
        let sent = probes[..open].iter().filter(|due| **due != NotSent).count();
        let seq = 1 + u32::try_from(sent).expect("few");
        let mut found = run(1, 1, &probes, &keys);
        prop_assert_eq!(found.summary(), model(1, 1, &probes));
        settle(&mut found, seq, fate);
        probes[open] = fate;
        prop_assert_eq!(found.summary(), model(1, 1, &probes));
    }
}

#[test]
fn outage_lasts_from_its_first_probe_to_the_next_answered_one() {
    let probes = [Answered, Lost, Lost, Lost, Answered, Lost, Answered, NotSent, Lost];
    let summary = run(1, 1, &probes, &[]).summary();
    assert_eq!((summary.count, summary.probes, summary.scattered), (2, 5, 1));
    assert_eq!((summary.max_probes, summary.worst()), (3, Some(summary.longest[0])));
    let first = Outage {
        flow: Some(0),
        first_seq: Some(2),
        start_s: 1.0,
        duration_s: 3.0,
        probes: 3,
        not_sent: 0,
        ongoing: false,
    };
    // Sequence number 8 was sent a second after the probe that was not sent.
    let last = Outage {
        first_seq: Some(8),
        start_s: 7.0,
        duration_s: 1.0,
        probes: 2,
        not_sent: 1,
        ongoing: true,
        ..first
    };
    assert_eq!(summary.longest, [first, last]);
    assert_eq!(summary.without_answer, Some(Outage { flow: None, ..first }));
}

#[test]
fn flow_that_answers_does_not_end_the_outage_of_another() {
    let probes = [Answered, Lost].repeat(5);
    let summary = run(2, 1, &probes, &[]).summary();
    assert_eq!((summary.count, summary.probes, summary.without_answer), (1, 5, None));
    assert_eq!((summary.longest[0].flow, summary.longest[0].duration_s), (Some(1), 8.0));
}

#[test]
fn fate_of_a_probe_is_final() {
    let mut outages = run(1, 1, &[Lost, InFlight, Lost, InFlight], &[]);
    outages.answered(3);
    outages.lost(2);
    assert_eq!(outages.summary().probes, 3);
    // These are settled or were not sent.
    [1, 2, 3, 5, u32::MAX].iter().for_each(|seq| outages.answered(*seq));
    outages.lost(4);
    assert_eq!((outages.summary().probes, outages.summary().count), (4, 1));
}

#[test]
fn longest_outages_are_listed_and_the_others_counted() {
    let probes = (1..=20).flat_map(|length| [vec![Lost; length + 1], vec![Answered]].concat());
    let summary = run(1, 1, &Vec::from_iter(probes), &[]).summary();
    assert_eq!((summary.count, summary.unlisted), (20, 4));
    let listed = summary.longest.iter().map(|outage| outage.probes);
    assert_eq!(Vec::from_iter(listed), Vec::from_iter((6..=21).rev()));
}

#[test]
fn memory_depends_on_the_probes_in_flight_and_not_on_the_run() {
    let mut outages = Outages::new(2);
    let mut at = Duration::ZERO;
    for seq in 1..=if cfg!(miri) { 300 } else { 100_000_u32 } {
        at += SECOND;
        outages.sent(seq as usize % 2, seq, at);
        (0..100).for_each(|_| outages.not_sent(seq as usize % 2, at));
        let settled = seq.saturating_sub(9);
        if settled % 7 > 2 {
            outages.answered(settled);
        } else {
            outages.lost(settled);
        }
        assert!(outages.probes.len() <= 10 && outages.unsent.len() <= 10);
    }
    assert!(outages.probes.capacity() < 64 && outages.unsent.capacity() < 64);
}

#[test]
fn events_of_unknown_flows_and_probes_are_ignored() {
    let mut outages = Outages::new(1);
    outages.sent(0, 7, SECOND);
    outages.sent(0, 9, SECOND);
    outages.not_sent(1, SECOND);
    outages.lost(9);
    outages.lost(7);
    outages.sent(1, 8, SECOND);
    outages.lost(8);
    let summary = outages.summary();
    assert_eq!((summary.probes, summary.scattered, summary.without_answer), (0, 1, None));
}
