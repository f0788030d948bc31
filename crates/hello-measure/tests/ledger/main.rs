//! Properties of the ledger, in isolation: no sockets, no clocks.

mod model;

use std::collections::HashSet;
use std::mem::{Discriminant, discriminant};
use std::num::NonZeroU32;

use hello_measure::ReplyKind;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use self::model::{Model, Step};

/// At least 1,000 cases, and regressions kept beside this file.
///
/// Under Miri, which is slow and has no files, a few cases and no regressions.
fn config() -> ProptestConfig {
    use proptest::test_runner::FileFailurePersistence::WithSource;
    if cfg!(miri) {
        return ProptestConfig { cases: 2, failure_persistence: None, ..ProptestConfig::default() };
    }
    ProptestConfig {
        cases: 1024,
        failure_persistence: Some(Box::new(WithSource("regressions"))),
        ..ProptestConfig::default()
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    vec(any::<[u8; 4]>().prop_map(Step::from), 0..200)
}

/// Windows that fill up, and sequence numbers that soon wrap around, or do not.
fn model() -> impl Strategy<Value = Model> {
    let first = prop_oneof![Just(0), any::<u32>(), u32::MAX - 30..=u32::MAX];
    let window = (1..=16_u32).prop_map(|window| NonZeroU32::new(window).expect("not zero"));
    (first, window).prop_map(|(first, window)| Model::new(first, window))
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn ledger_agrees_with_a_model_of_unlimited_memory(
        mut model in model(),
        steps in steps(),
    ) {
        for step in steps {
            model.step(step);
        }
    }
}

/// The random runs of the property above contain every kind of reply.
#[test]
#[cfg_attr(miri, ignore = "256 runs")]
fn every_kind_of_reply_occurs_in_the_random_runs() {
    let mut runner = TestRunner::deterministic();
    let mut seen = HashSet::<(Discriminant<ReplyKind>, bool)>::new();
    for _ in 0..256 {
        let run = (model(), steps()).new_tree(&mut runner).expect("nothing is filtered");
        let (mut model, steps) = run.current();
        seen.extend(steps.into_iter().filter_map(|step| model.step(step)).map(|reply| {
            let reordered = matches!(reply, ReplyKind::Answered { reordered: true, .. });
            (discriminant(&reply), reordered)
        }));
    }
    assert_eq!(seen.len(), 7, "six kinds, one of them in two forms");
}
