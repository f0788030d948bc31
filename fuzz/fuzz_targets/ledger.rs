#![no_main]

#[path = "../../crates/hello-measure/tests/ledger/model.rs"]
mod model;

use std::num::NonZeroU8;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u32, NonZeroU8, &[u8])| {
    let (first, window, steps) = input;
    let mut model = model::Model::new(first, window.into());
    for step in steps.as_chunks().0 {
        model.step(model::Step::from(*step));
    }
});
