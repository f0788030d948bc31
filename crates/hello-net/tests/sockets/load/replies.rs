//! Datagrams that come back.

use std::time::Duration;

use hello_measure::ReplyKind;
use hello_proto::{Peer, Token};

use super::{Offered, Told, addresses, closed, greeting, number, offer, ports};
use crate::server::BACK_ENDS;

#[test]
fn every_kind_of_reply_is_distinguished() {
    let Offered { all, seen, .. } = offer(closed(1, 6), |asked| {
        let reply = greeting(&asked.name);
        match asked.number {
            0 => asked.greet(),
            1 => asked.reply(&asked.name),
            2 => {
                let mut changed = reply.clone();
                changed[12] ^= 1;
                asked.reply(&changed);
            }
            3 => asked.reply(&greeting(b"Mallory")),
            4 => {
                // The token of another run.
                let Token { run_id, seq } = Token::decode(&asked.name).expect("a token");
                let mut name = asked.name.clone();
                Token { run_id: !run_id, seq }.encode(&mut name).expect("room");
                asked.reply(&greeting(&name));
            }
            _ => {}
        }
        asked.greet();
    });
    let expected = [
        ReplyKind::Duplicate { seq: 1 },
        ReplyKind::Corrupt,
        ReplyKind::Corrupt,
        ReplyKind::Unsolicited,
        ReplyKind::Unsolicited,
    ];
    assert_eq!(Vec::from_iter(all.others()), expected);
    assert_eq!((seen, all.answered(), all.0.len()), (6, 6, 17));
}

#[test]
fn every_kind_of_reply_of_an_echo_server_is_distinguished() {
    let Offered { all, seen, .. } = offer(closed(1, 5).peer(Peer::Echo), |asked| {
        let echo = &asked.name;
        match asked.number {
            0 => asked.reply(echo),
            1 => {
                let mut changed = echo.clone();
                changed[12] ^= 1;
                asked.reply(&changed);
            }
            2 => asked.reply(&echo[1..]),
            3 => asked.greet(),
            _ => asked.reply(b""),
        }
        asked.reply(echo);
    });
    let expected = [
        ReplyKind::Duplicate { seq: 1 },
        ReplyKind::Corrupt,
        // Of another length than all requests.
        ReplyKind::Unsolicited,
        ReplyKind::Unsolicited,
        ReplyKind::Unsolicited,
    ];
    assert_eq!(Vec::from_iter(all.others()), expected);
    assert_eq!((seen, all.answered()), (5, 5));
}

#[test]
#[cfg_attr(windows, ignore = "Wine sends no trains")]
fn echo_server_is_loaded_with_trains_of_every_length_and_from_many_sources() {
    for &backend in BACK_ENDS {
        let plan = closed(64, 2000).peer(Peer::Echo).backend(backend).name_len(8..=64);
        for plan in [
            plan.clone(),
            plan.clone().train(number(8)),
            plan.clone().train(number(8)).gro(false),
            plan.sources(addresses(5)).train(number(3)).threads(number(2)),
        ] {
            let Offered { all, seen, .. } = offer(plan, |asked| asked.reply(&asked.name));
            assert_eq!((seen, all.answered(), all.lost()), (2000, 2000, 0));
            assert_eq!(all.count(|told| matches!(told, Told::Other(_) | Told::Misdirected)), 0);
        }
    }
}

#[test]
fn every_byte_of_a_reply_is_compared() {
    let (mut place, mut bit) = (0, 0);
    let Offered { all, .. } = offer(closed(1, 24), |asked| {
        let mut changed = greeting(&asked.name);
        changed[place] ^= 1 << bit;
        asked.reply(&changed);
        asked.greet();
        (place, bit) = (place + 1, (bit + 3) % 8);
    });
    assert_eq!(all.count(|told| told == Told::Other(ReplyKind::Corrupt)), 24);
    assert_eq!(all.answered(), 24);
}

#[test]
fn late_reply_is_reported_and_its_request_stays_lost() {
    let mut first = None;
    let plan = closed(1, 4).timeout(Duration::from_millis(50));
    let Offered { all, .. } = offer(plan, |asked| match asked.number {
        0 => first = Some(greeting(&asked.name)),
        // It is sent only once the first is lost.
        1 => {
            asked.reply(first.as_deref().expect("asked before"));
            asked.greet();
        }
        _ => asked.greet(),
    });
    let late = |told| matches!(told, Told::Other(ReplyKind::Late { seq: 1, .. }));
    assert_eq!(all.count(late), 1, "{all:?}");
    assert_eq!((all.sent(), all.answered() + all.lost()), (4, 4));
    assert!(all.lost() >= 1);
}

#[test]
fn last_request_is_reported_lost_even_if_its_late_reply_is_received_first() {
    let timeout = Duration::from_millis(20);
    let Offered { all, .. } = offer(closed(1, 1).timeout(timeout), |asked| {
        std::thread::sleep(timeout + timeout / 4);
        asked.greet();
    });
    assert_eq!((all.sent(), all.answered(), all.lost()), (1, 0, 1), "{all:?}");
}

#[test]
fn overtaken_reply_is_reported_as_reordered() {
    let mut first = Vec::new();
    let Offered { all, .. } = offer(closed(2, 2), |asked| {
        let reply = greeting(&asked.name);
        if asked.number == 0 {
            first = reply;
        } else {
            asked.reply(&reply);
            asked.reply(&first);
        }
    });
    let reordered = all.told().filter_map(|told| match told {
        Told::Answered { reordered, .. } => Some(reordered),
        _ => None,
    });
    assert!(reordered.eq([false, true]), "{all:?}");
}

#[test]
fn reply_at_another_source_port_is_not_an_answer() {
    for answered in [true, false] {
        let mut first = None;
        let timeout = Duration::from_millis(if answered { 20_000 } else { 50 });
        let plan = closed(2, 2).sources(ports(2)).timeout(timeout);
        let Offered { all, .. } = offer(plan, |asked| match first.take() {
            None => first = Some((asked.name.clone(), asked.source)),
            Some((name, source)) => {
                assert_ne!(source, asked.source);
                asked.reply(&greeting(&name));
                asked.greet();
                if answered {
                    asked.socket.send_to(&greeting(&name), source).expect("sent");
                }
            }
        });
        assert_eq!(all.count(|told| told == Told::Misdirected), 1, "{all:?}");
        assert_eq!(all.answered() + all.lost(), 2, "{all:?}");
        if answered {
            assert_eq!(all.answered(), 2);
        } else {
            assert!(all.lost() > 0, "{all:?}");
        }
    }
}

#[test]
fn reply_from_another_server_port_is_ignored() {
    let elsewhere = crate::network::peer();
    let plan = closed(1, 3).timeout(Duration::from_millis(20));
    let Offered { all, .. } = offer(plan, |asked| {
        elsewhere.send_to(&greeting(&asked.name), asked.source).expect("sent");
    });
    assert_eq!((all.sent(), all.lost(), all.0.len()), (3, 3, 6), "{all:?}");
}
