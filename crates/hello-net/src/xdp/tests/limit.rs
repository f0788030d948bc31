//! The limit of each network, in the driver.

use std::cell::Cell;
use std::hash::RandomState;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;
use std::time::Instant;

use hello_proto::{Decision, Limiter, Rate};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::packet::Packet;
use super::*;

/// Loads the program with a limit of one request an hour, so that time does not matter.
fn lab(limit: impl Into<Option<DriverLimit>>) -> Option<Lab> {
    Lab::new(Options { limit: limit.into(), ..Options::default() })
}

/// Returns a request of this source.
fn request(source: IpAddr) -> Vec<u8> {
    let local = if source.is_ipv4() { "192.0.2.1:9999" } else { "[2001:db8::1]:9999" };
    Packet::new((source, 40_001).into(), address(local), b"Tracy").bytes()
}

fn is_answered(lab: &Lab, source: IpAddr) -> bool {
    match lab.state.program.run(&request(source)) {
        Run::Sent(_) => true,
        Run::Dropped => false,
        Run::Passed(_) => panic!("passed"),
    }
}

#[test]
fn of_requests_over_the_limit_about_one_in_four_is_answered_and_all_are_counted() {
    let Some(lab) = lab(limit(5, &[], false)) else { return };
    for source in ["203.0.113.7", "2001:db8:9::7"].map(ip) {
        let before = lab.counters();
        assert!((0..5).all(|_| is_answered(&lab, source)), "a burst");
        assert_eq!(lab.counters().over_limit_answered(), before.over_limit_answered());
        let answered = (0..2000).filter(|_| is_answered(&lab, source)).count();
        // Seven standard deviations.
        assert!((360..640).contains(&answered), "{answered}");
        let after = lab.counters();
        let answered = u64::try_from(answered).expect("few");
        assert_eq!(after.over_limit_answered() - before.over_limit_answered(), answered);
        assert_eq!(after.over_limit() - before.over_limit(), 2000 - answered);
        assert_eq!(after.answered() - before.answered(), 5 + answered);
        assert_eq!(after.received() - before.received(), 2005);
    }
    assert!(Passed::ALL.iter().all(|why| lab.counters().passed(*why) == 0));
}

#[test]
fn a_dry_run_answers_all_and_counts_what_a_limit_would_do() {
    let Some(lab) = lab(limit(5, &[], true)) else { return };
    assert!((0..100).all(|_| is_answered(&lab, ip("203.0.113.7"))));
    let counters = lab.counters();
    assert_eq!((counters.answered(), counters.received()), (100, 100));
    assert_eq!((counters.over_limit(), counters.over_limit_answered()), (0, 95));
}

#[test]
fn nothing_is_over_a_limit_that_is_off_or_that_the_network_is_exempt_from() {
    let exempt = limit(1, &["203.0.113.0/25", "2001:db8:9::/48"], false);
    for limit in [None, Some(exempt)] {
        let Some(lab) = lab(limit.clone()) else { return };
        for source in ["203.0.113.7", "2001:db8:9::7"].map(ip) {
            assert!((0..100).all(|_| is_answered(&lab, source)));
        }
        let over_limit = || lab.counters().over_limit() + lab.counters().over_limit_answered();
        assert_eq!(over_limit(), 0);
        // Its neighbours are not.
        for source in ["203.0.113.200", "2001:db8:a::7"].map(ip) {
            (0..100).for_each(|_| _ = is_answered(&lab, source));
        }
        assert_eq!(over_limit(), if limit.is_some() { 198 } else { 0 });
    }
}

#[test]
fn exempt_ipv6_exempts_no_ipv4() {
    let Some(lab) = lab(limit(1, &["::/0"], true)) else { return };
    assert!((0..10).all(|_| is_answered(&lab, ip("2001:db8:9::7"))));
    assert_eq!(lab.counters().over_limit_answered(), 0);
    assert!((0..10).all(|_| is_answered(&lab, ip("203.0.113.7"))));
    assert_eq!(lab.counters().over_limit_answered(), 9);
}

#[test]
fn what_is_passed_is_not_charged() {
    let Some(lab) = lab(limit(1, &[], false)) else { return };
    for request in requests(b"Hello, Hello, Tracy") {
        for _ in 0..10 {
            let run = lab.state.program.run(&request.bytes());
            assert!(matches!(run, Run::Passed(_)), "{run:?}");
        }
        assert!(is_answered(&lab, request.source.ip()));
    }
    assert_eq!(lab.counters().received(), 2);
}

#[test]
fn what_is_passed_for_lack_of_room_is_not_counted_as_over_the_limit() {
    let Some(lab) = lab(limit(1, &[], true)) else { return };
    for request in requests(b"Tracy") {
        assert!(is_answered(&lab, request.source.ip()));
        let (packet, before) = (request.bytes(), lab.counters());
        // All room, but for that of a `struct xdp_frame`.
        let Some(run) = lab.state.program.run_behind(216, &packet) else {
            return skip(&"this kernel takes less metadata");
        };
        assert_eq!(run, Run::Passed(packet));
        let after = lab.counters();
        assert_eq!(after.passed(Passed::Room), before.passed(Passed::Room) + 1);
        assert_eq!(after.over_limit_answered(), before.over_limit_answered());
        assert_eq!(after.received(), before.received());
    }
}

#[test]
fn a_long_burst_refills_at_the_rate() {
    let (emission_interval, burst_tolerance) = (Duration::from_millis(5), Duration::from_secs(1));
    let limit = DriverLimit { emission_interval, burst_tolerance, ..limit(1, &[], true) };
    let Some(lab) = lab(limit) else { return };
    let refills = |source| {
        let exhaust = || {
            let before = lab.counters().over_limit_answered();
            while lab.counters().over_limit_answered() == before {
                assert!(is_answered(&lab, source));
            }
        };
        let (earliest, before) = (Instant::now(), conforming(&lab));
        assert!(is_answered(&lab, source));
        let latest = Instant::now();
        exhaust();
        thread::sleep(Duration::from_millis(300));
        let least = latest.elapsed();
        exhaust();
        let most = earliest.elapsed();
        let found = u128::from(conforming(&lab) - before);
        // A bucket starts full.
        let [least, most] = [least, most]
            .map(|time| (burst_tolerance + time).as_nanos() / emission_interval.as_nanos());
        (least - 20..=most + 20).contains(&found)
    };
    // Ticks are late while the processor that counts them does something else.
    for networks in [
        ["203.0.113.7", "198.18.0.7", "198.18.1.7"],
        ["2001:db8:9::7", "2001:db8:a::7", "2001:db8:b::7"],
    ] {
        assert!(networks.map(ip).into_iter().any(refills), "{networks:?}");
    }
}

#[test]
fn a_short_burst_refills_between_ticks() {
    let time = Duration::from_micros(100);
    let limit =
        DriverLimit { emission_interval: time, burst_tolerance: time, ..limit(1, &[], true) };
    let Some(lab) = lab(limit) else { return };
    let source = ip("203.0.113.7");
    // A tick is a millisecond at least. Other processes may have the processor meanwhile.
    let refills = (0..20).any(|_| {
        let (start, before) = (Instant::now(), conforming(&lab));
        while start.elapsed() < Duration::from_millis(20) {
            is_answered(&lab, source);
        }
        conforming(&lab) - before > 60
    });
    assert!(refills);
}

#[test]
fn a_bucket_fills_again() {
    let time = Duration::from_millis(2);
    let limit =
        DriverLimit { emission_interval: time, burst_tolerance: time, ..limit(1, &[], false) };
    let Some(lab) = lab(limit) else { return };
    for source in ["203.0.113.7", "2001:db8:9::7"].map(ip) {
        let before = conforming(&lab);
        // A run takes a microsecond at least.
        let refilled = (0..1_000_000).any(|_| {
            is_answered(&lab, source);
            conforming(&lab) == before + 3
        });
        assert!(refilled);
    }
}

/// Returns how many requests were answered within the limit.
fn conforming(lab: &Lab) -> u64 {
    let counters = lab.counters();
    counters.answered() - counters.over_limit_answered()
}

/// The sources of a case: in networks that no other case has, some of them in the same.
fn source(case: u32, number: u8) -> IpAddr {
    let [_, _, high, low] = case.to_be_bytes();
    let case = u16::from_be_bytes([high, low]);
    let (network, host) = (u16::from(number % 2), number / 8);
    let host_of = u16::from(host);
    let ipv6 = |segments: [u16; 5]| -> IpAddr {
        let [a, b, c, d, e] = segments;
        Ipv6Addr::new(a, b, c, d, e, 0, case, 0x100 + host_of).into()
    };
    match number / 2 % 4 {
        0 => Ipv4Addr::new(20 + number % 2, high, low, host).into(),
        1 => ipv6([0x2001, 0xdb8, case, network, host_of]),
        // Strangers share these prefixes.
        2 => ipv6([[0xfe80, 0x2001][usize::from(network)], 0, 0, 0, 0]),
        _ => ipv6([0x64, 0xff9b, network, 0, 0]),
    }
}

#[test]
fn the_same_requests_conform_as_by_the_limiter_of_the_server() {
    let Some(lab) = lab(limit(3, &[], true)) else { return };
    let cases = Cell::new(0);
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) };
    let numbers = vec(0..32_u8, 0..40);
    let result = TestRunner::new(config).run(&numbers, |numbers| {
        cases.set(cases.get() + 1);
        // Its clock stands still.
        let rate = Rate::new(NonZeroU32::MIN, 3.try_into().expect("not zero")).expect("low");
        let mut limiter = Limiter::new(rate, RandomState::new());
        for number in numbers {
            let source = source(cases.get(), number);
            let before = lab.counters().over_limit_answered();
            prop_assert!(is_answered(&lab, source));
            let conforms = lab.counters().over_limit_answered() == before;
            let decision = limiter.bucket(source, Duration::ZERO).check();
            prop_assert_eq!(conforms, decision == Decision::Conforming, "{}", source);
        }
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}
