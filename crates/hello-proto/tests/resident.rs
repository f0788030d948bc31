//! Constant memory, measured from outside. The only test of its program, because others would
//! disturb it.
#![cfg(all(feature = "alloc", target_os = "linux"))]

use std::fs;
use std::hash::RandomState;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;
use std::time::Duration;

use hello_proto::{Limiter, Rate};

/// Returns the anonymous resident memory of this process, in KiB. It sums the pages, because the
/// system's total (VmRSS) lags behind (proc_pid_smaps(5)).
fn resident() -> u64 {
    let sums = fs::read_to_string("/proc/self/smaps_rollup").expect("Linux provides it");
    let line = sums.lines().find_map(|line| line.strip_prefix("Anonymous:")).expect("its size");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// An address in a network that is unique to the number, of either family.
fn source(number: u32) -> IpAddr {
    match number % 2 {
        0 => Ipv4Addr::from_bits(number << 7).into(),
        _ => Ipv6Addr::from_bits(0x2001_0db8 << 96 | u128::from(number) << 64).into(),
    }
}

#[test]
#[cfg_attr(miri, ignore = "ten million requests, and files of the host")]
fn ten_million_sources_use_no_more_memory_than_none() {
    let limit = Rate::new(NonZeroU32::MIN, NonZeroU32::MIN).expect("a low rate");
    // Excludes what the program itself allocates on the first pass.
    let mut other = Limiter::new(limit, RandomState::new());
    for number in 0..100_000 {
        let _ = other.bucket(source(number), Duration::ZERO).check();
        let _ = other.bucket(source(number), Duration::ZERO).check();
    }
    drop(other);
    let mut limiter = Limiter::new(limit, RandomState::new());
    let before = resident();
    for number in 0..10_000_000 {
        let now = Duration::from_micros(number.into());
        let _ = limiter.bucket(source(number), now).check();
    }
    let after = resident();
    assert!(after.saturating_sub(before) <= 64, "{before} KiB before, {after} KiB after");
}
