use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use hello_net::{Backend, ErrorClass, Outcome, Server, ServerCounters, ServerError};
use hello_proto::{Guard, MAX_NAME_LEN, Refusal};

use crate::network::{any_port, exchange, have_ipv6, peer, peer_at, receive};

/// The back ends, all of which pass the same tests.
pub(crate) const BACK_ENDS: &[Backend] = &[
    #[cfg(target_os = "linux")]
    Backend::Native,
    Backend::Portable,
];

/// Whether sockets share a port. No two do on Windows.
pub(crate) const REUSE_PORT: &[bool] = if cfg!(unix) { &[false, true] } else { &[false] };

pub(crate) fn serve_at(io: Backend, addresses: &[SocketAddr]) -> (Server, SocketAddr) {
    let server = Server::builder().backend(io).bind(addresses.iter().copied()).expect("free ports");
    let local = server.local_addrs().next().expect("at least one");
    (server, local)
}

pub(crate) fn accounted_for(counters: &ServerCounters) -> u64 {
    counters.answered() + counters.refused_total() + counters.send_failed_total()
}

#[test]
fn names_of_any_bytes_and_length_up_to_the_limit_are_answered() {
    for &io in BACK_ENDS {
        let server = Server::builder()
            .backend(io)
            .guard(Guard::new().with_max_name_len(MAX_NAME_LEN))
            .bind([any_port()])
            .expect("a free port");
        let local = server.local_addrs().next().expect("one");
        let client = peer();
        server
            .serve_while(
                |_| (),
                || {
                    for len in [0, 1, 7, 1016, 1024, 1025, 9000, 65_498, 65_499] {
                        let name: Vec<u8> = (0..=u8::MAX).cycle().take(len).collect();
                        let reply = exchange(&client, local, &name);
                        assert_eq!(reply, [b"Hello, ", &name[..], b"!"].concat());
                    }
                },
            )
            .expect("no broken socket");
        assert_eq!((server.counters().received(), server.counters().answered()), (9, 9));
    }
}

#[test]
#[cfg_attr(windows, ignore = "Wine binds a port at one loopback address only")]
fn refused_request_is_counted_and_the_next_one_answered() {
    for &io in BACK_ENDS {
        let (server, local) = serve_at(io, &[any_port()]);
        let client = peer();
        // The same port as the server's, at another address of this machine.
        let twin = peer_at((Ipv4Addr::new(127, 0, 0, 2), local.port()).into());
        let seen = Mutex::new(Vec::new());
        let observe = |event: &hello_net::ServerEvent<'_>| {
            seen.lock().expect("no panic").push((event.name.len(), event.source, event.outcome));
        };
        server
            .serve_while(observe, || {
                client.send_to(&[b'x'; 1025], local).expect("sent");
                client.send_to(&[b'x'; 5000], local).expect("sent");
                client.send_to(b"Hello, Hello, World!!", local).expect("sent");
                twin.send_to(b"twin", local).expect("sent");
                assert_eq!(exchange(&client, local, b"Tracy"), b"Hello, Tracy!");
                client.set_nonblocking(true).expect("possible");
                let nothing = client.recv_from(&mut [0]).expect_err("one reply in all");
                assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
            })
            .expect("no broken socket");

        let client = client.local_addr().expect("bound");
        let twin = twin.local_addr().expect("bound");
        let expected = [
            (1025, client, Outcome::Refused(Refusal::NameTooLong)),
            (5000, client, Outcome::Refused(Refusal::NameTooLong)),
            (21, client, Outcome::Refused(Refusal::GreetedTwice)),
            (4, twin, Outcome::Refused(Refusal::SourcePortOwn)),
            (5, client, Outcome::Answered),
        ];
        assert_eq!(seen.into_inner().expect("no panic"), expected);
        let counters = server.counters();
        assert_eq!((counters.received(), accounted_for(&counters)), (5, 5));
        assert_eq!(counters.refused(Refusal::NameTooLong), 2);
        assert_eq!(counters.refused(Refusal::SourcePortOwn), 1);
    }
}

#[test]
fn closed_clients_cost_no_other_client_a_reply() {
    for &io in BACK_ENDS {
        let (server, local) = serve_at(io, &[any_port()]);
        server
            .serve_while(
                |_| (),
                || {
                    let stays = peer();
                    for _ in 0..50 {
                        let leaves = peer();
                        leaves.send_to(b"gone", local).expect("sent");
                        drop(leaves);
                        assert_eq!(exchange(&stays, local, b"here"), b"Hello, here!");
                    }
                },
            )
            .expect("no broken socket");
        let counters = server.counters();
        assert_eq!((counters.received(), counters.answered()), (100, 100));
        assert!(ErrorClass::ALL.into_iter().all(|class| counters.receive_errors(class) == 0));
    }
}

#[test]
fn every_datagram_of_many_clients_is_counted() {
    for &io in BACK_ENDS {
        const CLIENTS: usize = 8;
        const REQUESTS: usize = 250;
        let (server, local) = serve_at(io, &[any_port()]);
        let seen = Mutex::new(0);
        server
            .serve_while(
                |_| *seen.lock().expect("no panic") += 1,
                || {
                    thread::scope(|scope| {
                        for number in 0..CLIENTS {
                            scope.spawn(move || {
                                let client = peer();
                                for request in 0..REQUESTS {
                                    let name = format!("client {number}, request {request}");
                                    let greeting = format!("Hello, {name}!");
                                    assert_eq!(
                                        exchange(&client, local, name.as_bytes()),
                                        greeting.as_bytes()
                                    );
                                }
                            });
                        }
                    });
                },
            )
            .expect("no broken socket");
        let counters = server.counters();
        let all = (CLIENTS * REQUESTS) as u64;
        assert_eq!((counters.received(), counters.answered()), (all, all));
        assert_eq!(seen.into_inner().expect("no panic"), all);
    }
}

#[test]
#[cfg_attr(windows, ignore = "Wine sends from the address it chooses")]
fn several_addresses_are_served_and_counted_together() {
    if !have_ipv6("several_addresses_are_served_and_counted_together") {
        return;
    }
    for &io in BACK_ENDS {
        let loopback6 = (Ipv6Addr::LOCALHOST, 0).into();
        let (server, _) =
            serve_at(io, &[any_port(), (Ipv4Addr::new(127, 0, 0, 3), 0).into(), loopback6]);
        let locals = Vec::from_iter(server.local_addrs());
        assert_eq!(locals.len(), 3);
        server
            .serve_while(
                |_| (),
                || {
                    for local in locals {
                        let client = peer_at((local.ip(), 0).into());
                        assert_eq!(exchange(&client, local, b"Sarah"), b"Hello, Sarah!");
                    }
                },
            )
            .expect("no broken socket");
        assert_eq!(server.counters().answered(), 3);
    }
}

#[test]
fn ipv6_wildcard_leaves_the_ipv4_port_free() {
    if !have_ipv6("ipv6_wildcard_leaves_the_ipv4_port_free") {
        return;
    }
    for &io in BACK_ENDS {
        // The same port at every IPv4 address is still free and stands beside it. Another test may
        // have it, so several ports are tried.
        let (ipv6_only, local, _beside) = (0..20)
            .find_map(|_| {
                let (server, local) = serve_at(io, &[(Ipv6Addr::UNSPECIFIED, 0).into()]);
                let beside = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, local.port())).ok()?;
                Some((server, local, beside))
            })
            .expect("one of twenty ports is free for both");
        let asked = (Ipv6Addr::LOCALHOST, local.port()).into();
        let greet = || {
            let client = peer_at((Ipv6Addr::LOCALHOST, 0).into());
            assert_eq!(exchange(&client, asked, b"six"), b"Hello, six!");
        };
        ipv6_only.serve_while(|_| (), greet).expect("no broken socket");
    }
}

#[test]
fn port_in_use_is_a_named_error_and_never_shared() {
    for &reuse_port in REUSE_PORT {
        let builder = Server::builder().reuse_port(reuse_port);
        let first = builder.clone().bind([any_port()]).expect("a free port");
        let local = first.local_addrs().next().expect("one");
        let second = builder.bind([any_port(), local]);
        let Err(ServerError::Bind { address, source }) = second else {
            panic!("bound twice: {second:?}");
        };
        assert_eq!((address, source.kind()), (local, ErrorKind::AddrInUse));
    }
}

#[test]
#[cfg(windows)]
fn sharing_a_port_is_an_error_where_the_system_cannot() {
    let builder = Server::builder().workers(2.try_into().expect("not zero")).reuse_port(true);
    let Err(ServerError::Bind { source, .. }) = builder.bind([any_port()]) else {
        panic!("bound");
    };
    assert_eq!(source.kind(), ErrorKind::Unsupported);
}

#[test]
fn server_without_an_address_is_an_error() {
    assert!(matches!(Server::builder().bind([]), Err(ServerError::NoAddress)));
}

#[test]
fn stop_ends_an_idle_server_for_good() {
    for &io in BACK_ENDS {
        let (server, local) = serve_at(io, &[any_port(), any_port()]);
        server.serve_while(|_| (), || ()).expect("no broken socket");
        let client = peer();
        client.send_to(b"too late", local).expect("sent");
        server.serve(|_| ()).expect("stopped before it starts");
        assert_eq!(server.counters().received(), 0);
    }
}

#[test]
fn panicking_observer_stops_every_thread() {
    for &io in BACK_ENDS {
        let (server, local) = serve_at(io, &[any_port(), any_port()]);
        let client = peer();
        client.send_to(b"boo", local).expect("sent");
        let observe = |_: &hello_net::ServerEvent<'_>| panic!("the observer's own");
        let panic = catch_unwind(AssertUnwindSafe(|| server.serve(observe)));
        let cause = panic.expect_err("the panic goes on to the caller");
        assert_eq!(cause.downcast_ref(), Some(&"the observer's own"));
    }
}

#[test]
fn liveness_requires_progress_of_every_thread() {
    for &io in BACK_ENDS {
        let (server, local) = serve_at(io, &[any_port(), any_port()]);
        assert!(!server.check_liveness(), "nobody serves yet");
        let (go_on, wait) = mpsc::channel::<()>();
        let wait = Mutex::new(wait);
        let stand_still = |_: &hello_net::ServerEvent<'_>| {
            let _ = wait.lock().expect("no panic").recv();
        };
        let look = || {
            let beats = || {
                let deadline = Instant::now() + Duration::from_secs(20);
                while !server.check_liveness() {
                    assert!(Instant::now() < deadline, "a thread stands still");
                    thread::yield_now();
                }
            };
            beats();
            let client = peer();
            client.send_to(b"Tracy", local).expect("sent");
            receive(&client);
            // The thread that answered waits for this one, and completed at most one round before.
            let later = Instant::now() + Duration::from_millis(400);
            let mut pulses = 0;
            while Instant::now() < later {
                pulses += u32::from(server.check_liveness());
                thread::yield_now();
            }
            assert!(pulses <= 1, "one of two stands still");
            drop(go_on);
            beats();
        };
        server.serve_while(stand_still, look).expect("no broken socket");
    }
}

#[test]
fn idle_busy_polling_threads_are_alive() {
    for &io in BACK_ENDS {
        let builder = Server::builder().backend(io).spin(Duration::from_secs(600));
        let server = builder.bind([any_port()]).expect("a free port");
        let look = || {
            let deadline = Instant::now() + Duration::from_secs(20);
            for _ in 0..3 {
                while !server.check_liveness() {
                    assert!(Instant::now() < deadline, "a living thread is taken for dead");
                    thread::yield_now();
                }
            }
        };
        server.serve_while(|_| (), look).expect("no broken socket");
    }
}

#[test]
fn waiting_for_the_observer_ends_when_the_server_fails() {
    for &io in BACK_ENDS {
        let (server, local) = serve_at(io, &[any_port(), any_port()]);
        let (observing, ended) = mpsc::channel::<()>();
        let stopper = server.stopper();
        let stop_at_the_first = move |_: &hello_net::ServerEvent<'_>| {
            let _observing = &observing;
            stopper.stop();
        };
        let wait = || {
            peer().send_to(b"Tracy", local).expect("sent");
            ended.recv_timeout(Duration::from_secs(20))
        };
        let heard = server.serve_while(stop_at_the_first, wait).expect("no broken socket");
        assert_eq!(heard, Err(mpsc::RecvTimeoutError::Disconnected));
    }
}

#[test]
fn abort_leaves_what_waits_unanswered_and_stop_does_not() {
    for &io in BACK_ENDS {
        for abort in [false, true] {
            let (server, local) = serve_at(io, &[any_port()]);
            let client = peer();
            for number in 0..200 {
                client.send_to(format!("{number}").as_bytes(), local).expect("sent");
            }
            let stopper = server.stopper();
            let end = move |_: &hello_net::ServerEvent<'_>| match abort {
                true => stopper.abort(),
                false => stopper.stop(),
            };
            server.serve(end).expect("no broken socket");
            // Some were received together with the first.
            let answered = server.counters().answered();
            assert_eq!(answered < 200, abort, "{answered}");
        }
    }
}

#[test]
fn each_bound_socket_can_be_given_further_options() {
    use socket2::SockRef;

    for &io in BACK_ENDS {
        let builder = Server::builder().backend(io).workers(2.try_into().expect("not zero"));
        let addresses = [any_port(), any_port()];
        for (&reuse_port, sockets) in REUSE_PORT.iter().zip([2, 4]) {
            let server = builder.clone().reuse_port(reuse_port).bind(addresses);
            let server = server.expect("free ports");
            let locals = Vec::from_iter(server.local_addrs());
            for socket in server.sockets() {
                let local = SockRef::from(&socket).local_addr().expect("bound").as_socket();
                assert!(locals.contains(&local.expect("an address")));
            }
            assert_eq!(server.sockets().count(), sockets);
        }
    }
}
