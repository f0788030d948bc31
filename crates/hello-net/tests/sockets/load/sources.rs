//! The sources of requests, and trains.

use std::collections::HashSet;
use std::io::IoSliceMut;
use std::iter;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Mutex;
use std::thread;

use hello_measure::ReplyKind;
use hello_net::{LoadGenerator, LoadPlan, Server};
use quinn_udp::{RecvMeta, UdpSocketState};

use super::{Event, Offered, Recorded, addresses, closed, greeting, number, offer, ports};
use crate::network::{any_port, peer};

#[test]
fn source_ports_alternate_and_accept_only_the_server() {
    let mut sources = Vec::new();
    let stranger = peer();
    let Offered { all, .. } = offer(LoadPlan { sources: ports(4), ..closed(1, 40) }, |asked| {
        sources.push(asked.source);
        stranger.send_to(&greeting(&asked.name), asked.source).expect("sent");
        asked.greet();
    });
    assert!(sources.iter().zip(&sources[4..]).all(|(one, same)| one == same), "{sources:?}");
    assert_eq!(HashSet::<SocketAddr>::from_iter(sources).len(), 4);
    assert_eq!((all.answered(), all.0.len()), (40, 80), "no other sender is accepted: {all:?}");
}

#[test]
fn source_addresses_alternate_on_one_port() {
    let mut sources = Vec::new();
    let plan = LoadPlan { sources: addresses(5), ..closed(1, 25) };
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
fn threads_share_the_sources() {
    for (sources, all_ports) in [(ports(5), 5), (addresses(5), 2)] {
        let mut asked_from = HashSet::new();
        let plan = LoadPlan { sources, threads: number(2), ..closed(4, 60) };
        let Offered { threads, seen, .. } = offer(plan, |asked| {
            asked_from.insert(asked.source);
            asked.greet();
        });
        assert_eq!(asked_from.len(), 5, "{asked_from:?}");
        let ports = HashSet::<u16>::from_iter(asked_from.iter().map(SocketAddr::port));
        assert_eq!(ports.len(), all_ports, "{asked_from:?}");
        assert_eq!(seen, 60);
        assert!(threads.iter().all(|recorded| (recorded.sent(), recorded.answered()) == (30, 30)));
    }
}

#[test]
fn unconnected_sources_accept_only_the_server() {
    let stranger = peer();
    let plan = LoadPlan { sources: addresses(3), ..closed(1, 9) };
    let Offered { all, .. } = offer(plan, |asked| {
        stranger.send_to(&greeting(&asked.name), asked.source).expect("sent");
        asked.greet();
    });
    assert_eq!(all.count(|event| event == Event::Other(ReplyKind::Unsolicited)), 9);
    assert_eq!((all.answered(), all.0.len()), (9, 27));
}

#[test]
fn reply_at_another_source_address_is_not_an_answer() {
    for (number, misdirected_to) in [(3, 2), (3, 77), (1, 2)] {
        let plan = LoadPlan { sources: addresses(number), ..closed(1, 1) };
        let Offered { all, .. } = offer(plan, |asked| {
            let wrong = (Ipv4Addr::new(127, 0, 0, misdirected_to), asked.source.port());
            asked.socket.send_to(&greeting(&asked.name), wrong).expect("sent");
            asked.greet();
        });
        let [(_, Event::Sent { .. }), (_, Event::Misdirected), (_, Event::Answered { .. })] =
            all.0[..]
        else {
            panic!("{number} {misdirected_to}: {all:?}");
        };
    }
}

/// Receives coalesced messages until an empty one, answers each datagram, and returns the number of
/// datagrams in each message and their length.
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
fn train_is_one_message_of_equal_lengths_from_one_source() {
    for (train, len, sources) in [(8, 8..=40, ports(2)), (64, 16..=16, addresses(2))] {
        let server = peer();
        // From now on, trains are delivered as one buffer.
        let state = UdpSocketState::new((&server).into()).expect("a UDP socket");
        let count = 4 * u64::from(train);
        let plan = LoadPlan {
            train: number(train),
            name_len: len.clone(),
            sources,
            ..closed(train.into(), count)
        };
        let recorded = [Mutex::<Recorded>::default()];
        let generator =
            LoadGenerator::new(server.local_addr().expect("bound"), plan).expect("ports");
        let trains = thread::scope(|scope| {
            let serving = scope.spawn(|| serve_trains(&server, &state));
            let run = generator.run(&recorded);
            peer().send_to(&[], generator.server()).expect("sent");
            let trains = serving.join().expect("no panic");
            run.expect("no broken socket");
            trains
        });
        assert_eq!(trains.len(), 4, "{trains:?}");
        for (count, stride) in trains {
            assert_eq!(count, usize::from(train));
            assert!(len.contains(&stride));
        }
        let [recorded] = recorded.map(|recorded| recorded.into_inner().expect("no panic"));
        assert_eq!((recorded.sent(), recorded.answered()), (count, count));
        let sent = recorded.count(|event| matches!(event, Event::Sent { .. }));
        assert_eq!(sent, 4, "each message is one event");
    }
}

#[test]
fn own_server_answers_every_kind_of_load() {
    for (train, sources) in
        [(1, ports(1)), (1, ports(70)), (16, ports(2)), (64, addresses(64)), (7, addresses(300))]
    {
        let server = Server::builder().bind([any_port()]).expect("a free port");
        let local = server.local_addrs().next().expect("one");
        let plan = LoadPlan {
            train: number(train),
            name_len: 8..=64,
            sources,
            threads: number(if sources.count() > 1 { 2 } else { 1 }),
            ..closed(130, 3000)
        };
        let recorded = iter::repeat_with(Mutex::<Recorded>::default);
        let recorded = Vec::from_iter(recorded.take(plan.threads.get().into()));
        let generator = LoadGenerator::new(local, plan).expect("ports");
        let run =
            server.serve_while(|_| (), || generator.run(&recorded)).expect("no broken socket");
        assert_eq!(run.expect("no broken socket").dropped, dropped());
        let recorded =
            recorded.into_iter().map(|recorded| recorded.into_inner().expect("no panic"));
        let events = recorded.flat_map(|recorded| recorded.0).collect();
        let recorded = Recorded(events);
        assert_eq!((recorded.sent(), recorded.answered()), (3000, 3000), "{train} {sources:?}");
        assert_eq!(server.counters().answered(), 3000);
    }
}

/// No drops, on systems that report drops and on those that do not.
fn dropped() -> Option<u64> {
    cfg!(target_os = "linux").then_some(0)
}
