use std::num::NonZeroU32;
use std::time::Duration;

use hello_proto::Retry;
use proptest::prelude::*;

use super::config;

proptest! {
    #![proptest_config(config())]

    #[test]
    fn waits_double_from_the_first_and_never_exceed_the_longest(
        first in any::<Duration>(),
        attempts in 1..200_u32,
        max in any::<Duration>(),
    ) {
        let attempts = NonZeroU32::new(attempts).expect("at least one");
        let waits: Vec<_> = Retry::new(first, attempts, max).delays().collect();

        prop_assert_eq!(waits.len(), attempts.get() as usize);
        for (k, wait) in waits.iter().enumerate() {
            let doublings = u32::try_from(k).expect("fewer than 200");
            let factor = 2_u128.checked_pow(doublings).unwrap_or(u128::MAX);
            let exact = first.as_nanos().saturating_mul(factor);
            prop_assert_eq!(wait.as_nanos(), exact.min(max.as_nanos()));
        }
    }
}
