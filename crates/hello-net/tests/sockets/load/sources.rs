//! The sources of requests, and trains of requests.

use std::collections::HashSet;
use std::io::IoSliceMut;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::thread;

use hello_measure::ReplyKind;
use hello_net::Server;
use quinn_udp::{RecvMeta, UdpSocketState};

use super::{
    Heard, Offered, Told, addresses, closed, greeting, number, offer, ports, run, run_one,
};
use crate::network::{any_port, peer};
use crate::server::BACK_ENDS;

#[test]
fn source_ports_alternate_and_accept_only_the_server() {
    let mut sources = Vec::new();
    let stranger = peer();
    let Offered { all, .. } = offer(closed(1, 40).sources(ports(4)), |asked| {
        sources.push(asked.source);
        stranger.send_to(&greeting(&asked.name), asked.source).expect("sent");
        asked.greet();
    });
    assert!(sources.iter().zip(&sources[4..]).all(|(one, same)| one == same), "{sources:?}");
    assert_eq!(HashSet::<SocketAddr>::from_iter(sources).len(), 4);
    assert_eq!((all.answered(), all.0.len()), (40, 80), "nobody else is heard: {all:?}");
}

#[test]
#[cfg_attr(windows, ignore = "Wine sends from the address it chooses")]
fn source_addresses_alternate_on_one_port() {
    let mut sources = Vec::new();
    let plan = closed(1, 25).sources(addresses(5));
    let Offered { all, .. } = offer(plan, |asked| {
        sources.push(asked.source);
        asked.greet();
    });
    let port = sources[0].port();
    let expected = (1..=5).cycle().map(|last| (Ipv4Addr::new(127, 0, 0, last), port).into());
    assert_eq!(sources, Vec::from_iter(expected.take(25)));
    assert_eq!((all.answered(), all.0.len()), (25, 50));
}

#[test]
#[cfg_attr(windows, ignore = "Wine sends from the address it chooses")]
fn threads_share_the_sources() {
    for (sources, all_ports) in [(ports(5), 5), (addresses(5), 2)] {
        let mut asked_from = HashSet::new();
        let plan = closed(4, 60).sources(sources).threads(number(2));
        let Offered { threads, seen, .. } = offer(plan, |asked| {
            asked_from.insert(asked.source);
            asked.greet();
        });
        assert_eq!(asked_from.len(), 5, "{asked_from:?}");
        let ports = HashSet::<u16>::from_iter(asked_from.iter().map(SocketAddr::port));
        assert_eq!(ports.len(), all_ports, "{asked_from:?}");
        assert_eq!(seen, 60);
        assert!(threads.iter().all(|heard| (heard.sent(), heard.answered()) == (30, 30)));
    }
}

#[test]
#[cfg_attr(windows, ignore = "Wine sends from the address it chooses")]
fn unconnected_sources_accept_only_the_server() {
    let stranger = peer();
    let plan = closed(1, 9).sources(addresses(3));
    let Offered { all, .. } = offer(plan, |asked| {
        stranger.send_to(&greeting(&asked.name), asked.source).expect("sent");
        asked.greet();
    });
    assert_eq!(all.count(|told| told == Told::Other(ReplyKind::Unsolicited)), 9);
    assert_eq!((all.answered(), all.0.len()), (9, 27));
}

#[test]
fn reply_at_another_source_address_is_not_an_answer() {
    for (number, misdirected_to) in [(3, 2), (3, 77), (1, 2)] {
        let plan = closed(1, 1).sources(addresses(number));
        let Offered { all, .. } = offer(plan, |asked| {
            let wrong = (Ipv4Addr::new(127, 0, 0, misdirected_to), asked.source.port());
            asked.socket.send_to(&greeting(&asked.name), wrong).expect("sent");
            asked.greet();
        });
        let [(_, Told::Sent { .. }), (_, Told::Misdirected), (_, Told::Answered { .. })] =
            all.0[..]
        else {
            panic!("{number} {misdirected_to}: {all:?}");
        };
    }
}

/// Receives messages in one piece until an empty one, and answers each datagram. Returns the number
/// of datagrams in each message, and their length.
fn serve_trains(socket: &UdpSocket, state: &UdpSocketState) -> Vec<(usize, usize)> {
    socket.set_nonblocking(false).expect("possible");
    let (mut trains, mut memory) = (Vec::new(), vec![0; 1 << 16]);
    loop {
        let mut meta = [RecvMeta::default()];
        let mut buffers = [IoSliceMut::new(&mut memory)];
        state.recv(socket.into(), &mut buffers, &mut meta).expect("within 20 seconds");
        let [RecvMeta { addr, len, stride, .. }] = meta;
        if len == 0 {
            return trains;
        }
        trains.push((len / stride, stride));
        for name in memory[..len].chunks(stride) {
            socket.send_to(&greeting(name), addr).expect("sent");
        }
    }
}

#[test]
#[cfg_attr(windows, ignore = "Wine sends from the address it chooses")]
fn train_is_one_message_of_equal_lengths_from_one_source() {
    for (train, len, sources) in [(8, 8..=40, ports(2)), (64, 16..=16, addresses(2))] {
        let server = peer();
        // From now on, trains are delivered in one piece.
        let state = UdpSocketState::new((&server).into()).expect("a UDP socket");
        let count = 4 * u64::from(train);
        let plan = closed(train.into(), count).train(number(train)).name_len(len.clone());
        let address = server.local_addr().expect("bound");
        let generator = plan.sources(sources).connect(address).expect("ports");
        let (heard, trains) = thread::scope(|scope| {
            let serving = scope.spawn(|| serve_trains(&server, &state));
            let (_, heard) = run_one(generator);
            peer().send_to(&[], address).expect("sent");
            (heard, serving.join().expect("no panic"))
        });
        assert_eq!(trains.len(), 4, "{trains:?}");
        for (count, stride) in trains {
            assert_eq!(count, usize::from(train));
            assert!(len.contains(&stride));
        }
        assert_eq!((heard.sent(), heard.answered()), (count, count));
        let sent = heard.count(|told| matches!(told, Told::Sent { .. }));
        assert_eq!(sent, 4, "each message is one event");
    }
}

#[test]
#[cfg_attr(windows, ignore = "Wine sends no trains")]
fn own_server_answers_every_kind_of_load() {
    for &backend in BACK_ENDS {
        for (train, sources) in [
            (1, ports(1)),
            (1, ports(70)),
            (16, ports(2)),
            (64, addresses(64)),
            (7, addresses(300)),
        ] {
            let server = Server::builder().bind([any_port()]).expect("a free port");
            let local = server.local_addrs().next().expect("one");
            let threads = number(if sources.count() > 1 { 2 } else { 1 });
            let plan = closed(130, 3000).train(number(train)).name_len(8..=64).sources(sources);
            let generator = plan.backend(backend).threads(threads).connect(local).expect("ports");
            let run = || run(generator, Heard::add);
            let (usage, heard) = server.serve_while(|_| (), run).expect("no broken socket");
            assert_eq!(usage.expect("no broken socket").dropped, dropped());
            let events = heard.into_iter().flat_map(|heard| heard.0).collect();
            let heard = Heard(events);
            assert_eq!(
                (heard.sent(), heard.answered()),
                (3000, 3000),
                "{backend:?} {train} {sources:?}"
            );
            assert_eq!(server.counters().answered(), 3000);
        }
    }
}

/// The count of drops if nothing was dropped, where the system reports it.
fn dropped() -> Option<u64> {
    cfg!(target_os = "linux").then_some(0)
}
