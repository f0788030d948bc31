use std::collections::BTreeSet;

use hello_measure::CauseKind;
use hello_proto::Request;
use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn address(host: u8) -> SocketAddr {
    ([192, 0, 2, host], 9999).into()
}

fn refused(host: u8) -> Cause {
    Cause { kind: CauseKind::Refused, reporter: Some([192, 0, 2, host].into()) }
}

/// A fleet that was started at second 100, with its targets at 192.0.2.1 and up.
fn fleet(plan: &FleetPlan, targets: u8) -> (State, Vec<TargetId>) {
    let mut state = State::new(plan, 7);
    let add = |host| state.add(Duration::ZERO, Some(address(host)), draw()).expect("room");
    let ids = (1..=targets).map(add).collect();
    state.start(100 * SECOND);
    (state, ids)
}

/// Draws run ids, the same one several times.
fn draw() -> impl FnMut() -> u16 {
    let mut drawn = 0;
    move || {
        drawn += 1;
        0xbeef + drawn / 3
    }
}

fn name(token: Token) -> [u8; 16] {
    let mut name = [0; 16];
    token.encode(&mut name).expect("long enough");
    name
}

fn reply(token: Token) -> Vec<u8> {
    Request::new(&name(token)).expect("short").reply().parts().concat()
}

/// Sends all that is due.
fn send(state: &mut State, now: Duration) -> Vec<Probe> {
    let mut sent = vec![];
    while let Some(probe) = state.poll_due(now) {
        state.handle_sent(probe, now);
        sent.push(probe);
    }
    sent
}

fn counts(state: &State, id: TargetId) -> hello_measure::Counts {
    state.record(id).expect("it was added").counts()
}

#[test]
fn probes_of_an_interval_are_spread_over_it() {
    let (mut state, _) = fleet(&FleetPlan::DEFAULT, 100);
    let tenths = (1..=10).map(|tenth| send(&mut state, 100 * SECOND + SECOND * tenth / 10).len());
    let tenths = Vec::from_iter(tenths);
    assert_eq!(tenths.iter().sum::<usize>(), 100);
    assert!(tenths.iter().all(|sent| (8..=12).contains(sent)), "{tenths:?}");
}

#[test]
fn run_ids_are_unique_whatever_is_drawn() {
    let (mut state, _) = fleet(&FleetPlan::DEFAULT, 200);
    let sent = send(&mut state, 101 * SECOND);
    let run_ids = BTreeSet::from_iter(sent.iter().map(|probe| probe.token.run_id));
    assert_eq!((sent.len(), run_ids.len()), (200, 200));
}

#[test]
fn reply_counts_only_from_the_address_that_the_probe_was_sent_to() {
    let (mut state, ids) = fleet(&FleetPlan::DEFAULT, 2);
    let now = 101 * SECOND;
    let sent = send(&mut state, now);
    let (first, second) = (sent[0], sent[1]);
    let later = now + SECOND / 10;
    for stranger in [second.to, address(77), ([192, 0, 2, 1], 1).into()] {
        state.handle_datagram(stranger, &reply(first.token), later);
    }
    assert_eq!(state.counts.unsolicited, 3);
    assert!(ids.iter().all(|id| counts(&state, *id).answered == 0));
    state.handle_datagram(first.to, &reply(first.token), later);
    state.handle_datagram(first.to, &reply(first.token), later);
    let record = state.record(first.target).expect("it was added");
    assert_eq!((record.counts().answered, record.counts().duplicate), (1, 1));
    assert_eq!(record.rtt().max(), Some(SECOND / 10));
    // Of another run, or never sent.
    for token in [Token { run_id: 1, ..first.token }, Token { seq: 99, ..first.token }] {
        state.handle_datagram(first.to, &reply(token), later);
    }
    assert_eq!((state.counts.unsolicited, counts(&state, first.target).unsolicited), (5, 0));
    // What is no reply at all counts for the target that it is from.
    state.handle_datagram(second.to, b"nonsense", later);
    assert_eq!(counts(&state, second.target).corrupt, 1);
    state.settle(later + SECOND);
    assert_eq!(counts(&state, second.target).lost, 1);
}

#[test]
fn error_is_the_cause_only_for_the_target_that_it_quotes() {
    let (mut state, _) = fleet(&FleetPlan::DEFAULT, 3);
    let now = 101 * SECOND;
    let sent = send(&mut state, now);
    let [first, second, third] = sent[..] else { panic!("three") };
    state.handle_error(&name(first.token), Some(first.to), refused(1), now);
    // A router that quotes the ports only: the address is known from them.
    state.handle_error(b"", Some(second.to), refused(2), now);
    // Forged: another destination, a name that was not sent, and nothing at all.
    state.handle_error(&name(third.token), Some(address(77)), refused(3), now);
    state.handle_error(b"somebody's", Some(third.to), refused(3), now);
    state.handle_error(b"", None, refused(3), now);
    assert_eq!(state.counts.unattributed, 3);
    state.settle(now + SECOND);
    let cause = |probe: Probe| state.record(probe.target).expect("added").lost_causes()[0].cause;
    assert_eq!([first, second, third].map(cause), [refused(1), refused(2), Cause::SILENT]);
}

#[test]
fn target_that_cannot_be_sent_to_is_counted_alone() {
    let (mut state, ids) = fleet(&FleetPlan { count: Some(2), ..FleetPlan::DEFAULT }, 2);
    let unresolved = state.add(100 * SECOND, None, draw()).expect("room");
    for second in 101..=102 {
        while let Some(probe) = state.poll_due(second * SECOND) {
            match probe.target == ids[0] {
                true => state.handle_failed(probe, NotSent::Late, second * SECOND),
                false => state.handle_sent(probe, second * SECOND),
            }
        }
    }
    let not_sent = |id| state.record(id).expect("added").not_sent_by_reason().clone();
    assert_eq!(not_sent(ids[0]), [("late", 2)].into());
    assert_eq!(not_sent(unresolved), [("unresolved", 2)].into());
    assert_eq!((counts(&state, ids[1]).sent, not_sent(ids[1]).len()), (2, 0));
    let events = Vec::from_iter(std::iter::from_fn(|| state.poll_event()));
    let unreachable = Vec::from_iter(events.iter().map(|event| (event.target, event.kind)));
    let kind = FleetEventKind::Unreachable { cause: None };
    assert_eq!(
        BTreeSet::from_iter(unreachable.iter().map(|(id, _)| *id)),
        [ids[0], unresolved].into()
    );
    assert!(unreachable.iter().all(|(_, found)| *found == kind));
    assert!(!state.is_over(true), "a probe is in flight");
    state.settle(110 * SECOND);
    assert!(state.is_over(true));
}

#[test]
fn target_that_answers_again_is_an_event_and_the_first_answer_is_none() {
    let (mut state, _) = fleet(&FleetPlan::DEFAULT, 1);
    let mut events = vec![];
    for second in 101..=106 {
        let now = second * SECOND;
        state.settle(now);
        let sent = send(&mut state, now)[0];
        if ![102, 103].contains(&second) {
            state.handle_datagram(sent.to, &reply(sent.token), now);
        }
        events
            .extend(std::iter::from_fn(|| state.poll_event()).map(|event| (event.at, event.kind)));
    }
    let cause = Some(Cause::SILENT);
    let unreachable = (4 * SECOND, FleetEventKind::Unreachable { cause });
    assert_eq!(events, [unreachable, (4 * SECOND, FleetEventKind::Answering)]);
}

#[test]
fn removed_target_ends_with_its_probes_in_flight() {
    let (mut state, ids) = fleet(&FleetPlan { count: Some(1), ..FleetPlan::DEFAULT }, 2);
    let now = 101 * SECOND;
    let sent = send(&mut state, now);
    let removed = state.remove(ids[0]).expect("it was added");
    assert_eq!((removed.counts().in_flight(), state.remove(ids[0]).is_none()), (1, true));
    for probe in sent {
        state.handle_datagram(probe.to, &reply(probe.token), now);
    }
    assert_eq!((state.counts.unsolicited, counts(&state, ids[1]).answered), (1, 1));
    assert!(state.is_over(true) && state.poll_timeout(true).is_none());
}

#[test]
fn unspecified_and_mapped_addresses_are_those_that_answer() {
    for (given, expected) in [
        ("0.0.0.0:7", "127.0.0.1:7"),
        ("[::]:7", "[::1]:7"),
        ("[::ffff:192.0.2.1]:7", "192.0.2.1:7"),
        ("[fe80::1%3]:7", "[fe80::1%3]:7"),
    ] {
        let [given, expected] = [given, expected].map(|text| text.parse().expect("an address"));
        assert_eq!(reachable(given), expected);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Add(u8),
    Remove(usize),
    Move(usize, Option<u8>),
    Wait(u16),
    Send(bool),
    Reply(usize, u8),
    Error(usize, u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1..5_u8).prop_map(Step::Add),
        any::<usize>().prop_map(Step::Remove),
        (any::<usize>(), prop::option::of(1..5_u8)).prop_map(|(id, host)| Step::Move(id, host)),
        (0..3000_u16).prop_map(Step::Wait),
        prop::bool::weighted(0.8).prop_map(Step::Send),
        (any::<usize>(), 1..5_u8).prop_map(|(probe, host)| Step::Reply(probe, host)),
        (any::<usize>(), 1..5_u8).prop_map(|(probe, host)| Step::Error(probe, host)),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_every_probe_has_one_fate_and_no_stranger_is_believed(
        steps in prop::collection::vec(step(), 0..120),
    ) {
        let (mut state, mut ids) = fleet(&FleetPlan::DEFAULT, 2);
        let mut now = 100 * SECOND;
        let mut sent: Vec<Probe> = vec![];
        for step in steps {
            match step {
                Step::Add(host) => ids.push(state.add(now, Some(address(host)), draw()).expect("room")),
                Step::Remove(id) if !ids.is_empty() => {
                    let id = ids.remove(id % ids.len());
                    prop_assert!(state.remove(id).is_some());
                    sent.retain(|probe| probe.target != id);
                }
                Step::Move(id, host) if !ids.is_empty() => {
                    state.set_address(ids[id % ids.len()], host.map(address));
                }
                Step::Wait(millis) => now += Duration::from_millis(millis.into()),
                Step::Send(succeeds) => {
                    state.settle(now);
                    while let Some(probe) = state.poll_due(now) {
                        match succeeds {
                            true => state.handle_sent(probe, now),
                            false => state.handle_failed(probe, NotSent::Late, now),
                        }
                        sent.extend(Some(probe).filter(|_| succeeds));
                    }
                }
                Step::Reply(probe, host) if !sent.is_empty() => {
                    let probe = sent[probe % sent.len()];
                    let before = (counts(&state, probe.target), state.counts.unsolicited);
                    state.handle_datagram(address(host), &reply(probe.token), now);
                    if address(host) != probe.to {
                        let after = (counts(&state, probe.target), state.counts.unsolicited);
                        prop_assert!(after.0 == before.0 && after.1 == before.1 + 1);
                    }
                }
                Step::Error(probe, host) if !sent.is_empty() => {
                    let probe = sent[probe % sent.len()];
                    state.handle_error(&name(probe.token), Some(address(host)), refused(host), now);
                }
                _ => {}
            }
            let all = Vec::from_iter(ids.iter().map(|id| counts(&state, *id)));
            let in_flight: u64 = all.iter().map(|counts| counts.sent - counts.answered - counts.lost).sum();
            prop_assert_eq!(state.in_flight, in_flight);
            for id in &ids {
                let causes = state.record(*id).expect("added").lost_causes();
                let lost: u64 = causes.iter().map(|cause| cause.lost).sum();
                prop_assert_eq!(lost, counts(&state, *id).lost);
            }
            prop_assert_eq!(state.records().count(), ids.len());
        }
        let end = now + 2 * SECOND;
        state.settle(end);
        prop_assert_eq!(state.in_flight, 0);
        prop_assert_eq!(state.poll_timeout(false), None);
    }
}

#[test]
fn memory_does_not_grow_with_the_timeout() {
    let plan = FleetPlan { timeout: 3600 * SECOND, ..FleetPlan::DEFAULT };
    let (mut state, ids) = fleet(&plan, 2);
    for second in 101..=200 {
        for probe in send(&mut state, second * SECOND) {
            // The other one is silent.
            if probe.target == ids[0] {
                state.handle_datagram(probe.to, &reply(probe.token), second * SECOND);
            }
        }
        state.settle(second * SECOND);
        assert!(state.timeouts.len() <= 2, "{}", state.timeouts.len());
    }
    assert_eq!(counts(&state, ids[0]).answered, 100);
    assert_eq!(state.poll_timeout(false).map(|at| at.as_secs()), Some(3600 + 101));
    state.settle((3600 + 200) * SECOND);
    assert_eq!((counts(&state, ids[1]).lost, state.poll_timeout(false)), (100, None));
    assert!(state.is_over(false));
}
