//! Sockets that somebody else keeps open, and the datagrams that wait in them.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};
use std::num::NonZeroUsize;

use hello_net::{Server, ServerError};
use socket2::{Domain, Socket, Type};

use crate::network::{any_port, exchange, have_ipv6, peer, peer_at, receive};
use crate::server::{BACK_ENDS, serve_at};

#[test]
fn adopted_socket_outlives_its_servers_without_loss() {
    for &io in BACK_ENDS {
        let kept = UdpSocket::bind(any_port()).expect("a free port");
        // As a supervisor may hand it over.
        kept.set_nonblocking(true).expect("possible");
        let (address, client) = (kept.local_addr().expect("bound"), peer());
        for number in 0..3 {
            // Nobody serves now.
            client.send_to(b"between", address).expect("sent");
            let socket = kept.try_clone().expect("a file descriptor");
            let builder = Server::builder().backend(io).workers(NonZeroUsize::new(2).expect("two"));
            let server = builder.adopt([socket]).expect("a UDP socket");
            assert_eq!(Vec::from_iter(server.local_addrs()), [address]);
            let greet = || {
                assert_eq!(receive(&client), (b"Hello, between!".to_vec(), address));
                assert_eq!(exchange(&client, address, b"Tracy"), b"Hello, Tracy!", "{number}");
            };
            server.serve_while(|_| (), greet).expect("no broken socket");
            assert_eq!((server.counters().received(), server.counters().answered()), (2, 2));
        }
    }
}

#[test]
#[cfg_attr(windows, ignore = "Wine sends from the address it chooses")]
fn adopted_dual_stack_socket_replies_from_the_destination_address() {
    if !have_ipv6("adopted_dual_stack_socket_replies_from_the_destination_address") {
        return;
    }
    for &io in BACK_ENDS {
        let both = Socket::new(Domain::IPV6, Type::DGRAM, None).expect("a socket");
        both.set_only_v6(false).expect("possible");
        let anywhere = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
        both.bind(&anywhere.into()).expect("a free port");
        let server = Server::builder().backend(io).adopt([both.into()]).expect("a UDP socket");
        let port = server.local_addrs().next().expect("one").port();
        let greet = || {
            for asked in [IpAddr::from([127, 0, 0, 2]), Ipv6Addr::LOCALHOST.into()] {
                let client = peer_at(if asked.is_ipv4() {
                    any_port()
                } else {
                    (Ipv6Addr::LOCALHOST, 0).into()
                });
                assert_eq!(exchange(&client, (asked, port).into(), b"Tracy"), b"Hello, Tracy!");
            }
        };
        server.serve_while(|_| (), greet).expect("no broken socket");
        assert_eq!(server.counters().answered(), 2);
    }
}

#[test]
fn unbound_socket_is_rejected() {
    let unbound = Socket::new(Domain::IPV4, Type::DGRAM, None).expect("a socket");
    let error = Server::builder().adopt([unbound.into()]).expect_err("nobody can ask there");
    assert!(matches!(error, ServerError::Adopt { .. }), "{error:?}");
    assert!(matches!(Server::builder().adopt([]), Err(ServerError::NoAddress)));
}

#[test]
fn queued_requests_are_answered_when_the_server_stops() {
    for &io in BACK_ENDS {
        let (server, local) = serve_at(io, &[any_port()]);
        let client = peer();
        let stop_at_the_first = |_: &hello_net::ServerEvent<'_>| server.stopper().stop();
        for number in 0..200 {
            client.send_to(format!("{number}").as_bytes(), local).expect("sent");
        }
        server.serve(stop_at_the_first).expect("no broken socket");
        for number in 0..200 {
            assert_eq!(receive(&client), (format!("Hello, {number}!").into_bytes(), local));
        }
        assert_eq!(server.counters().answered(), 200);
    }
}
