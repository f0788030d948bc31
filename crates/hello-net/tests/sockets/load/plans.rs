//! Invalid plans, and servers that cannot be reached.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use hello_net::{ArrivalProcess, ErrorClass, LoadBuilder, LoadError, LoadPlan, Pacing};

use super::{Heard, addresses, closed, number, open, ports, run};
use crate::network::peer;

const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9);

/// Returns what is wrong with a plan, whether sockets are opened or not.
fn error(server: SocketAddr, plan: LoadBuilder) -> LoadError {
    let error = plan.check(server).expect_err("no sense");
    let same = plan.connect(server).expect_err("no sense");
    assert_eq!(error.to_string(), same.to_string());
    error
}

fn is_ok(plan: LoadBuilder) -> bool {
    plan.check(SERVER).is_ok() && plan.connect(SERVER).is_ok()
}

#[test]
#[expect(clippy::reversed_empty_ranges, reason = "it is what is refused")]
fn names_too_short_for_a_token_or_too_long_are_an_error() {
    for name_len in [7..=16, 16..=65_500, 17..=16] {
        let error = error(SERVER, closed(1, 1).name_len(name_len));
        assert!(matches!(error, LoadError::NameLength { min: 8, max: 65_499, .. }), "{error:?}");
    }
    assert!(is_ok(closed(1, 1).name_len(8..=65_499)));
    // A range that was iterated over has ends, and nothing in between.
    let mut name_len = 16..=16;
    name_len.next();
    let error = error(SERVER, closed(1, 1).name_len(name_len));
    assert!(matches!(error, LoadError::NameLength { .. }), "{error:?}");
}

#[test]
fn train_longer_than_a_message_is_an_error() {
    for (train, longest, expected) in [(65, 8, 64), (64, 1024, 63), (2, 32_754, 1)] {
        let plan = closed(64, 1).train(number(train)).name_len(8..=longest);
        let error = error(SERVER, plan);
        assert!(matches!(error, LoadError::Train { most, .. } if most == expected), "{error:?}");
    }
    let plan = closed(64, 1).train(number(64)).name_len(8..=1023);
    assert!(is_ok(plan));
}

#[test]
fn zero_timeout_is_an_error() {
    let error = error(SERVER, closed(1, 1).timeout(Duration::ZERO));
    assert!(matches!(error, LoadError::Timeout), "{error:?}");
}

#[test]
fn rate_above_one_per_nanosecond_is_an_error() {
    let most = LoadPlan::MAX_RATE;
    let error = error(SERVER, open(most + 1, ArrivalProcess::Constant, 1));
    assert!(matches!(error, LoadError::Rate { rate, .. } if rate == most + 1), "{error:?}");
    assert!(is_ok(open(most, ArrivalProcess::Constant, 1)));
}

#[test]
fn source_addresses_require_a_loopback_server_and_have_a_maximum() {
    for server in [(Ipv4Addr::new(192, 0, 2, 1), 9).into(), (Ipv6Addr::LOCALHOST, 9).into()] {
        let error = error(server, closed(1, 1).sources(addresses(1)));
        assert!(matches!(error, LoadError::NotLoopback { .. }), "{error:?}");
    }
    let all = (1 << 24) - 2;
    let error = error(SERVER, closed(1, 1).sources(addresses(all + 1)));
    let LoadError::TooManyAddresses { most } = error else { panic!("{error:?}") };
    assert_eq!(most.get(), all);
    assert!(is_ok(closed(1, 1).sources(addresses(all))));
}

#[test]
fn thread_without_work_is_an_error() {
    let two = closed(2, 1).threads(number(2));
    let one_outstanding = Pacing::Closed { outstanding: NonZeroU32::MIN };
    for plan in
        [two.clone().sources(ports(1)), two.clone().sources(ports(2)).pacing(one_outstanding)]
    {
        let error = error(SERVER, plan);
        assert!(matches!(error, LoadError::Threads { threads } if threads == number(2)));
    }
    assert!(is_ok(two.sources(ports(2))));
}

#[test]
fn unreachable_server_is_an_error() {
    // Broadcasting needs an option (SO_BROADCAST, socket(7)).
    let server = (Ipv4Addr::BROADCAST, 9).into();
    let error = closed(1, 1).connect(server).expect_err("no sense");
    assert!(matches!(error, LoadError::Connect { server: told, .. } if told == server));
}

#[test]
#[cfg_attr(windows, ignore = "Wine sends no trains")]
fn unsendable_first_message_is_an_error() {
    let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    for plan in [closed(8, 8), open(1000, ArrivalProcess::Constant, 8)] {
        let plan = plan.sources(addresses(2)).train(number(4));
        let (usage, heard) = run(plan.connect(nowhere).expect("a port"), Heard::add);
        let error = usage.expect_err("nobody is there");
        let LoadError::Send { server, train: 4, len: 16, source } = error else {
            panic!("{error:?}");
        };
        assert_eq!((server, ErrorClass::of(&source)), (nowhere, ErrorClass::Invalid));
        assert_eq!(heard[0].sent(), 0);
    }
}

#[test]
fn plan_errors_state_the_allowed_range() {
    let server = peer().local_addr().expect("bound");
    let train = closed(65, 1).train(number(65));
    assert_eq!(
        error(server, train).to_string(),
        "a train of 65 names of 16 bytes: a message holds up to 64"
    );
    let lengths = closed(1, 1).name_len(7..=9);
    assert_eq!(
        error(server, lengths).to_string(),
        "names of 7 to 9 bytes: they need 8 to 65499, the shorter first"
    );
}
