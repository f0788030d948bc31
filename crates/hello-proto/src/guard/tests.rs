use super::*;

const SOURCE: SocketAddr = SocketAddr::new(IpAddr::V4(core::net::Ipv4Addr::LOCALHOST), 40_001);
const LOCAL: SocketAddr = SocketAddr::new(IpAddr::V4(core::net::Ipv4Addr::LOCALHOST), 9999);

#[test]
fn all_lists_every_refusal_once_in_the_order_of_its_bits() {
    for (i, refusal) in Refusal::ALL.into_iter().enumerate() {
        assert_eq!(refusal as usize, i);
        assert_eq!(refusal.bit(), 1 << i);
    }
    // A variant missing from `ALL` would have a higher discriminant than its last one.
    assert_eq!(Refusal::GreetedTwice as usize, Refusal::ALL.len() - 1);
}

#[test]
fn labels_differ() {
    for (i, refusal) in Refusal::ALL.into_iter().enumerate() {
        assert!(Refusal::ALL[..i].iter().all(|other| other.label() != refusal.label()));
    }
}

#[test]
fn a_human_may_be_called_hello_world() {
    let guard = Guard::new();
    for name in [&b"Hello, World!"[..], b"Hello, ", b"Hello, Hello,", b"hello, Hello, you"] {
        assert_eq!(guard.check(SOURCE, LOCAL, name).map(Request::name), Ok(name));
    }
    let greeted_twice = guard.check(SOURCE, LOCAL, b"Hello, Hello, World!!");
    assert_eq!(greeted_twice, Err(Refusal::GreetedTwice));
}

#[test]
fn the_limit_is_the_longest_name_answered_and_never_above_the_protocols() {
    let bytes = [b'x'; MAX_NAME_LEN + 1];
    for (guard, max) in [
        (Guard::new(), 1024),
        (Guard::new().with_max_name_len(0), 0),
        (Guard::new().with_max_name_len(MAX_NAME_LEN), MAX_NAME_LEN),
        (Guard::new().with_max_name_len(usize::MAX), MAX_NAME_LEN),
        (Guard::new().allow(Refusal::NameTooLong), MAX_NAME_LEN),
    ] {
        assert_eq!(guard.max_name_len(), max);
        assert!(guard.check(SOURCE, LOCAL, &bytes[..max]).is_ok());
        let refused = guard.check(SOURCE, LOCAL, &bytes[..max + 1]);
        assert_eq!(refused, Err(Refusal::NameTooLong));
    }
}

#[test]
fn of_several_refusals_the_first_that_is_not_allowed_counts() {
    let source = SocketAddr::new(SOURCE.ip(), 0);
    let mut guard = Guard::new().with_max_name_len(8);
    let datagram = b"Hello, Hello, World!!";
    for expected in [Refusal::SourcePortZero, Refusal::NameTooLong, Refusal::GreetedTwice] {
        assert_eq!(guard.check(source, LOCAL, datagram), Err(expected));
        guard = guard.allow(expected);
    }
    assert!(guard.check(source, LOCAL, datagram).is_ok());
}
