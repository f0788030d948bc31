//! Datagrams that arrive together: trains, bursts and floods, from one source or many.

use std::iter;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::num::NonZeroUsize;
use std::thread;
use std::time::{Duration, Instant};

use hello_net::{Backend, Server, ServerCounters};
use quinn_udp::{Transmit, UdpSocketState};
use socket2::SockRef;

use crate::network::{any_port, exchange, have_ipv6, peer, peer_at, receive};
use crate::server::{BACK_ENDS, REUSE_PORT, accounted_for, serve_at};

fn greeting(name: &[u8]) -> Vec<u8> {
    [b"Hello, ", name, b"!"].concat()
}

/// Makes a name of `len` bytes that no other number has.
fn name(number: usize, len: usize) -> Vec<u8> {
    number.to_string().bytes().chain(iter::repeat(b'.')).take(len).collect()
}

/// Sends datagrams as one message, which the system delivers in one piece if it can.
fn send_train(socket: &UdpSocket, to: SocketAddr, names: &[Vec<u8>]) {
    // Made with another socket, because it would enable GRO on this one, too.
    let state = UdpSocketState::new((&peer()).into()).expect("a UDP socket");
    let train = Transmit {
        destination: to,
        ecn: None,
        contents: &names.concat(),
        segment_size: Some(names[0].len()),
        src_ip: None,
    };
    state.try_send(socket.into(), &train).expect("sent");
}

#[test]
#[cfg_attr(windows, ignore = "Wine sends no trains")]
fn every_datagram_of_a_train_is_answered_in_order() {
    for &io in BACK_ENDS {
        let (server, local) = serve_at(io, &[any_port()]);
        let client = peer();
        let trains =
            [(64, 8, 8), (2, 5, 3), (10, 1000, 1), (54, 1016, 1000), (64, 1, 1), (3, 16, 16)];
        let greet = || {
            for (count, len, last) in trains {
                let lens = iter::repeat_n(len, count - 1).chain([last]);
                let names = Vec::from_iter(lens.enumerate().map(|(i, len)| name(i, len)));
                send_train(&client, local, &names);
                for name in &names {
                    assert_eq!(receive(&client), (greeting(name), local));
                }
                // A single datagram, between trains.
                assert_eq!(exchange(&client, local, b"Tracy"), b"Hello, Tracy!");
            }
        };
        server.serve_while(|_| (), greet).expect("no broken socket");
        let all = trains.map(|(count, ..)| count as u64 + 1).iter().sum();
        assert_eq!((server.counters().received(), server.counters().answered()), (all, all));
    }
}

#[test]
fn each_source_gets_its_replies_in_order() {
    for &io in BACK_ENDS {
        let (server, local) = serve_at(io, &[any_port()]);
        let clients = Vec::from_iter((0..20).map(|_| peer()));
        // As much as the receive buffer surely holds, in more than one batch.
        for number in 0..8 {
            for client in &clients {
                client.send_to(&name(number, 3 + number % 4), local).expect("sent");
            }
        }
        let greet = || {
            for client in &clients {
                for number in 0..8 {
                    assert_eq!(receive(client), (greeting(&name(number, 3 + number % 4)), local));
                }
            }
        };
        server.serve_while(|_| (), greet).expect("no broken socket");
        assert_eq!(server.counters().answered(), 160);
    }
}

/// Sends from connected sockets, which receive from no other address than the server's.
fn ask_at_each(server: &Server, addresses: &[SocketAddr], rounds: usize, io: Backend) {
    const BURST: usize = 8;
    let clients = Vec::from_iter(addresses.iter().map(|address| {
        let any = if address.is_ipv4() {
            Ipv4Addr::UNSPECIFIED.into()
        } else {
            Ipv6Addr::UNSPECIFIED.into()
        };
        let client = peer_at(SocketAddr::new(any, 0));
        client.connect(address).expect("this machine");
        client
    }));
    let local =
        |event: &hello_net::ServerEvent<'_>| assert!(addresses.contains(&event.local), "{event:?}");
    let greet = || {
        for round in 0..rounds {
            for client in &clients {
                (0..BURST).for_each(|i| assert!(client.send(&name(round * BURST + i, 6)).is_ok()));
            }
            for (client, address) in clients.iter().zip(addresses) {
                for i in 0..BURST {
                    let reply = greeting(&name(round * BURST + i, 6));
                    assert_eq!(receive(client), (reply, *address), "{io:?}");
                }
            }
        }
    };
    server.serve_while(local, greet).expect("no broken socket");
    let all = (rounds * BURST * clients.len()) as u64;
    assert_eq!(server.counters().answered(), all);
}

#[test]
#[cfg_attr(windows, ignore = "Wine sends from the address it chooses")]
fn wildcard_server_replies_from_the_destination_address() {
    for &io in BACK_ENDS {
        let (server, local) = serve_at(io, &[(Ipv4Addr::UNSPECIFIED, 0).into()]);
        let addresses = (1..=16).map(|host| (Ipv4Addr::new(127, 0, 0, host), local.port()).into());
        let addresses = Vec::from_iter(addresses);
        // 100,096 replies with one back end, fewer with the other.
        ask_at_each(&server, &addresses, if io == Backend::default() { 782 } else { 79 }, io);
    }
}

#[test]
fn ipv6_wildcard_replies_from_the_destination_address() {
    if !have_ipv6("ipv6_wildcard_replies_from_the_destination_address") {
        return;
    }
    for &io in BACK_ENDS {
        let (server, local) = serve_at(io, &[(Ipv6Addr::UNSPECIFIED, 0).into()]);
        ask_at_each(&server, &[(Ipv6Addr::LOCALHOST, local.port()).into()], 100, io);
    }
}

/// Sends far more than the receive buffer holds while nobody receives, and counts everything.
fn flood(server: &Server, local: SocketAddr) -> ServerCounters {
    const SENT: u64 = 5000;
    let clients = Vec::from_iter((0..4).map(|_| peer()));
    for (number, client) in (0..SENT).zip(clients.iter().cycle()) {
        client.send_to(&number.to_be_bytes(), local).expect("sent");
    }
    server
        .serve_while(
            |_| (),
            || {
                let all =
                    || server.counters().received() + server.counters().dropped().unwrap_or(SENT);
                let deadline = Instant::now() + Duration::from_secs(20);
                while all() < SENT {
                    assert!(Instant::now() < deadline, "{:?}", server.counters());
                    thread::yield_now();
                }
            },
        )
        .expect("no broken socket");
    let counters = server.counters();
    if let Some(dropped) = counters.dropped() {
        assert_eq!(accounted_for(&counters) + dropped, SENT, "{counters:?}");
    }
    assert_eq!(accounted_for(&counters), counters.received());
    counters
}

#[test]
fn kernel_drops_are_counted_and_all_counts_sum_to_the_requests_sent() {
    for &io in BACK_ENDS {
        let server = Server::builder().backend(io).receive_buffer(1 << 16).bind([any_port()]);
        let server = server.expect("a free port");
        let local = server.local_addrs().next().expect("one");
        let counters = flood(&server, local);
        assert!(counters.dropped() != Some(0), "{counters:?}");
    }
}

#[test]
fn workers_count_every_datagram_on_one_socket_and_on_several() {
    for &io in BACK_ENDS {
        for &reuse_port in REUSE_PORT {
            let workers = NonZeroUsize::new(3).expect("three");
            let builder = Server::builder().backend(io).workers(workers).reuse_port(reuse_port);
            let server = builder.bind([any_port(), any_port()]).expect("free ports");
            let locals = Vec::from_iter(server.local_addrs());
            assert_eq!(locals.len(), 2);
            flood(&server, locals[1]);
        }
    }
}

#[test]
fn server_requests_large_buffers_by_default() {
    for &io in BACK_ENDS {
        let (server, _) = serve_at(io, &[any_port()]);
        let plain = UdpSocket::bind(any_port()).expect("a free port");
        let plain = SockRef::from(&plain);
        // As root it gets all of it, and otherwise what the system allows, which is at least the
        // default of any socket.
        assert!(server.receive_buffer() >= plain.recv_buffer_size().expect("a size"));
        assert!(server.send_buffer() >= plain.send_buffer_size().expect("a size"));
        if plain.set_send_buffer_size(Server::SEND_BUFFER).is_ok()
            && plain.set_recv_buffer_size(Server::RECEIVE_BUFFER).is_ok()
        {
            assert!(server.receive_buffer() >= plain.recv_buffer_size().expect("a size"));
            assert!(server.send_buffer() >= plain.send_buffer_size().expect("a size"));
        }
    }
}

#[test]
fn larger_receive_buffer_holds_more_datagrams() {
    for &io in BACK_ENDS {
        let given = [8192, 65_536].map(|bytes| {
            let server = Server::builder().backend(io).receive_buffer(bytes).bind([any_port()]);
            let server = server.expect("a free port");
            let local = server.local_addrs().next().expect("one");
            assert!(server.receive_buffer() >= bytes, "both are far below any limit");
            (server.receive_buffer(), flood(&server, local).received())
        });
        assert!(given[0].0 < given[1].0 && given[0].1 < given[1].1, "{given:?}");
    }
}

#[test]
fn busy_polling_server_answers_and_stops() {
    for &io in BACK_ENDS {
        let server =
            Server::builder().backend(io).spin(Duration::from_millis(5)).bind([any_port()]);
        let server = server.expect("a free port");
        let local = server.local_addrs().next().expect("one");
        let client = peer();
        let greet = || {
            (0..50).for_each(|_| assert_eq!(exchange(&client, local, b"Tracy"), b"Hello, Tracy!"));
        };
        server.serve_while(|_| (), greet).expect("no broken socket");
        assert_eq!(server.counters().answered(), 50);
    }
}
