#![no_main]

use hello_measure::CauseKind;
use hello_net::fuzzing::read_error;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some((_code, cause)) = read_error(bytes) {
        assert!(cause.kind != CauseKind::Silent);
        assert!(cause.mtu() != Some(0));
    }
});
