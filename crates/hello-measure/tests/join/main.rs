//! Properties of the join, over random runs and random captures: no verdict contradicts what was
//! simulated, and a complete capture gives them all.

mod simulation;

use hello_measure::{Doubt, JoinVerdict, Place};
use proptest::collection::vec;
use proptest::prelude::*;

use self::simulation::{Fate, Flaw, Run};

/// 256 cases or `PROPTEST_CASES`, and regressions kept beside this file.
///
/// Under Miri, which is slow and has no files, a few cases and no regressions.
fn config() -> ProptestConfig {
    use proptest::test_runner::FileFailurePersistence::WithSource;
    if cfg!(miri) {
        return ProptestConfig { cases: 2, failure_persistence: None, ..ProptestConfig::default() };
    }
    ProptestConfig {
        failure_persistence: Some(Box::new(WithSource("regressions"))),
        ..ProptestConfig::default()
    }
}

fn run() -> impl Strategy<Value = Run> {
    let probe = (0..100_u8, any::<u16>(), any::<u16>());
    (vec(probe, 1..80), 1..4_usize, any::<bool>(), any::<bool>(), any::<i32>()).prop_map(
        |(probes, flows, is_echo, has_nat, offset)| {
            let probes = probes
                .into_iter()
                .map(|(fate, there, back)| (Fate::from_percent(fate), there.into(), back.into()));
            Run::new(probes, flows, is_echo, has_nat, offset)
        },
    )
}

/// Returns whether a verdict is what happened.
fn is_true(run: &Run, verdict: &JoinVerdict) -> bool {
    match (run.fate(verdict.seq), verdict.place) {
        (Fate::LostThere, Place::There)
        | (Fate::Unanswered, Place::Server)
        | (Fate::LostBack, Place::Back)
        | (Fate::LateThere, Place::There)
        | (Fate::LateServer, Place::Server)
        | (Fate::LateBack, Place::Back) => true,
        (Fate::Answered, _) => false,
        // It arrived after the timeout, and so was lost on the way there in any case.
        (Fate::UnansweredAfterTimeout, Place::There | Place::Server) => true,
        _ => false,
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn complete_capture_gives_every_verdict_and_all_are_true(run in run()) {
        let joined = run.join(&[Flaw::Reordered(3), Flaw::Duplicated, Flaw::Foreign]);
        prop_assert_eq!(joined.verdicts.len(), run.losses());
        prop_assert_eq!(joined.summary.missing, 0);
        let answered = run.count(|fate| fate == Fate::Answered);
        for verdict in &joined.verdicts {
            let is_known = !matches!(verdict.place, Place::Unknown(_));
            let needs_typical = verdict.is_late && answered < 2;
            let is_silent = !verdict.is_late && run.is_silent(verdict.flow);
            // A reply in the capture is a proof whatever else is known.
            let has_reply = run.fate(verdict.seq) == Fate::LostBack;
            prop_assert!(is_known || needs_typical || (is_silent && !has_reply), "{verdict:?}");
            prop_assert!(!is_known || is_true(&run, verdict), "{verdict:?}");
        }
        let arrived = run.count(|fate| fate != Fate::LostThere) as u64;
        prop_assert_eq!(joined.summary.requests_seen, arrived);
    }

    #[test]
    fn no_verdict_from_a_flawed_capture_is_false(
        run in run(),
        flaws in vec(any::<[u8; 3]>().prop_map(Flaw::from), 0..5),
    ) {
        let joined = run.join(&flaws);
        prop_assert_eq!(joined.verdicts.len(), run.losses());
        for verdict in &joined.verdicts {
            let is_known = !matches!(verdict.place, Place::Unknown(_));
            prop_assert!(!is_known || is_true(&run, verdict), "{verdict:?} {flaws:?}");
        }
        let unknown: u64 = joined.summary.doubts.values().sum();
        let (lost, late) = (joined.summary.lost, joined.summary.late);
        prop_assert_eq!(unknown, lost.not_known + late.not_known);
        prop_assert_eq!(lost.total() + late.total(), run.losses() as u64);
    }

    #[test]
    fn half_a_capture_proves_nothing_by_absence(run in run()) {
        let joined = run.join(&[Flaw::Missing(2)]);
        if joined.summary.missing > 0 {
            prop_assert_eq!(joined.summary.lost.there + joined.summary.lost.server, 0);
        }
        for verdict in &joined.verdicts {
            let is_known = !matches!(verdict.place, Place::Unknown(_));
            prop_assert!(!is_known || is_true(&run, verdict), "{verdict:?}");
        }
    }
}

#[test]
fn reply_of_which_all_copies_are_missing_is_missing() {
    let probes = [Fate::Answered, Fate::LostBack].into_iter().map(|fate| (fate, 9, 0));
    let run = Run::new(probes, 1, false, false, 0);
    // Both copies of the second reply are gone, and both of its request remain.
    let joined = run.join(&[Flaw::Duplicated, Flaw::Missing(3)]);
    let summary = &joined.summary;
    assert_eq!((summary.requests_seen, summary.replies_seen, summary.missing), (2, 1, 0));
    assert_eq!(joined.verdicts[0].place, Place::Unknown(Doubt::PacketsMissing));
}
