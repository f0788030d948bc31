//! Invalid plans, and servers that cannot be reached.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Mutex;
use std::time::Duration;

use hello_net::{ArrivalProcess, ErrorClass, LoadError, LoadGenerator, LoadPlan};

use super::{Recorded, addresses, closed, number, open, ports};
use crate::network::peer;

const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9);

fn error(server: SocketAddr, plan: LoadPlan) -> LoadError {
    LoadGenerator::new(server, plan).expect_err("invalid")
}

#[test]
#[expect(clippy::reversed_empty_ranges, reason = "the request is refused")]
fn names_too_short_for_a_token_or_too_long_are_an_error() {
    for name_len in [7..=16, 16..=65_500, 17..=16] {
        let error = error(SERVER, LoadPlan { name_len, ..closed(1, 1) });
        assert!(matches!(error, LoadError::NameLength { min: 8, max: 65_499, .. }), "{error:?}");
    }
    assert!(LoadGenerator::new(SERVER, LoadPlan { name_len: 8..=65_499, ..closed(1, 1) }).is_ok());
    // A range that was iterated to its end keeps its bounds but is empty.
    let mut name_len = 16..=16;
    name_len.next();
    let error = error(SERVER, LoadPlan { name_len, ..closed(1, 1) });
    assert!(matches!(error, LoadError::NameLength { .. }), "{error:?}");
}

#[test]
fn train_longer_than_a_message_is_an_error() {
    for (train, longest, expected) in [(65, 8, 64), (64, 1024, 63), (2, 32_754, 1)] {
        let plan = LoadPlan { train: number(train), name_len: 8..=longest, ..closed(64, 1) };
        let error = error(SERVER, plan);
        assert!(matches!(error, LoadError::Train { most, .. } if most == expected), "{error:?}");
    }
    let plan = LoadPlan { train: number(64), name_len: 8..=1023, ..closed(64, 1) };
    assert!(LoadGenerator::new(SERVER, plan).is_ok());
}

#[test]
fn zero_timeout_is_an_error() {
    let error = error(SERVER, LoadPlan { timeout: Duration::ZERO, ..closed(1, 1) });
    assert!(matches!(error, LoadError::Timeout), "{error:?}");
}

#[test]
fn rate_above_one_per_nanosecond_is_an_error() {
    let most = LoadPlan::MAX_RATE;
    let error = error(SERVER, open(most + 1, ArrivalProcess::Constant, 1));
    assert!(matches!(error, LoadError::Rate { rate, .. } if rate == most + 1), "{error:?}");
    assert!(LoadGenerator::new(SERVER, open(most, ArrivalProcess::Constant, 1)).is_ok());
}

#[test]
fn source_addresses_require_a_loopback_server_and_have_a_maximum() {
    for server in [(Ipv4Addr::new(192, 0, 2, 1), 9).into(), (Ipv6Addr::LOCALHOST, 9).into()] {
        let error = error(server, LoadPlan { sources: addresses(1), ..closed(1, 1) });
        assert!(matches!(error, LoadError::NotLoopback { .. }), "{error:?}");
    }
    let all = (1 << 24) - 2;
    let error = error(SERVER, LoadPlan { sources: addresses(all + 1), ..closed(1, 1) });
    let LoadError::TooManyAddresses { most } = error else { panic!("{error:?}") };
    assert_eq!(most.get(), all);
    assert!(
        LoadGenerator::new(SERVER, LoadPlan { sources: addresses(all), ..closed(1, 1) }).is_ok()
    );
}

#[test]
fn thread_without_work_is_an_error() {
    let two = LoadPlan { threads: number(2), ..closed(2, 1) };
    for plan in [
        LoadPlan { sources: ports(1), ..two.clone() },
        LoadPlan { sources: ports(2), offer: closed(1, 1).offer, ..two.clone() },
    ] {
        let error = error(SERVER, plan);
        assert!(matches!(error, LoadError::Threads { threads } if threads == number(2)));
    }
    assert!(LoadGenerator::new(SERVER, LoadPlan { sources: ports(2), ..two }).is_ok());
}

#[test]
fn unreachable_server_is_an_error() {
    // Sending to a broadcast address needs permission (socket(7)).
    let server = (Ipv4Addr::BROADCAST, 9).into();
    let error = error(server, closed(1, 1));
    assert!(matches!(error, LoadError::Connect { server: event, .. } if event == server));
}

#[test]
fn unsendable_first_message_is_an_error() {
    let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    for plan in [closed(8, 8), open(1000, ArrivalProcess::Constant, 8)] {
        let plan = LoadPlan { sources: addresses(2), train: number(4), ..plan };
        let generator = LoadGenerator::new(nowhere, plan).expect("a port");
        let recorded = [Mutex::<Recorded>::default()];
        let error = generator.run(&recorded).expect_err("no server");
        let LoadError::Send { server, train: 4, len: 16, source } = error else {
            panic!("{error:?}");
        };
        assert_eq!((server, ErrorClass::of(&source)), (nowhere, ErrorClass::Invalid));
        let [recorded] = recorded.map(|recorded| recorded.into_inner().expect("no panic"));
        assert_eq!(recorded.sent(), 0);
    }
}

#[test]
fn plan_errors_state_the_allowed_range() {
    let server = peer().local_addr().expect("bound");
    let train = LoadPlan { train: number(65), ..closed(65, 1) };
    assert_eq!(
        error(server, train).to_string(),
        "a train of 65 names of 16 bytes: it takes up to 64 of them"
    );
    let lengths = LoadPlan { name_len: 7..=9, ..closed(1, 1) };
    assert_eq!(
        error(server, lengths).to_string(),
        "names of 7 to 9 bytes: they take 8 to 65499, the shorter first"
    );
}
