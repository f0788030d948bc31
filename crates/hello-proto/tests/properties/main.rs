//! Properties of the protocol, in isolation: no sockets, no clocks.

mod codec;
mod frame;
mod guard;
mod loops;
#[cfg(feature = "alloc")]
mod rate_limit;
mod retry;
mod token;

use hello_proto::{MAX_NAME_LEN, PREFIX, Request};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// At least 1,000 cases each, and regressions kept beside these files.
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

/// The longest names by chance. Miri needs seconds for those that fill a datagram.
const LONG: usize = if cfg!(miri) { 1024 } else { MAX_NAME_LEN };

/// Names that have a reply: short ones of any bytes, greeted ones, long ones.
fn name() -> impl Strategy<Value = Vec<u8>> + Clone {
    let short = vec(any::<u8>(), 0..=40);
    let greeted = (1..=3_usize, vec(any::<u8>(), 0..=20))
        .prop_map(|(times, rest)| [PREFIX.repeat(times), rest].concat());
    prop_oneof![6 => short, 2 => greeted, 2 => pattern(0..=LONG)]
}

/// Arbitrary datagrams, most of them almost replies.
fn datagram() -> impl Strategy<Value = Vec<u8>> {
    let greetings = name().prop_map(|name| greeting(&name));
    let mutated = (greetings.clone(), any::<Index>(), any::<u8>());
    let mutated = mutated.prop_map(|(mut greeting, at, byte)| {
        *at.get_mut(&mut greeting) = byte;
        greeting
    });
    let cut = (greetings.clone(), any::<Index>()).prop_map(|(mut greeting, at)| {
        greeting.truncate(at.index(greeting.len()));
        greeting
    });
    prop_oneof![name(), greetings, mutated, cut, pattern(MAX_NAME_LEN..=MAX_NAME_LEN + 40)]
}

/// Long byte strings that take one number to generate, and shrink by their length.
fn pattern(len: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = Vec<u8>> + Clone {
    (len, any::<u8>()).prop_map(|(len, seed)| {
        let period: Vec<u8> = (0..=u8::MAX).map(|i| i.wrapping_mul(31) ^ seed).collect();
        let mut bytes = period.repeat(len.div_ceil(period.len()));
        bytes.truncate(len);
        bytes
    })
}

/// The reply to `name`, built by hand.
fn greeting(name: &[u8]) -> Vec<u8> {
    [b"Hello, ", name, b"!"].concat()
}

fn request(name: &[u8]) -> Request<'_> {
    Request::new(name).expect("the strategies generate no longer names")
}
