//! Marks, TTLs and fragmentation of what the prober and the load generator send, and what they report
//! of replies. `tests/peers` has a peer that reads them from the packets.
#![cfg(target_os = "linux")]

use std::io::ErrorKind;
use std::net::{Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::BorrowedFd;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use hello_measure::{Dscp, Ecn, Mark};
use hello_net::{
    Backend, LoadError, LoadGenerator, PacketOptions, PathMtuDiscovery, ProbeEventKind, Prober,
};
use rustix::net::sockopt;
use socket2::SockRef;

use crate::network::{any_port, have_ipv6, peer_at, receive};

const EF: Mark = Mark { dscp: Dscp::EF, ecn: Ecn::Ect0 };

fn every_mode() -> impl Iterator<Item = (PathMtuDiscovery, sockopt::Ipv4PathMtuDiscovery)> {
    use sockopt::Ipv4PathMtuDiscovery as Kernel;
    [
        (PathMtuDiscovery::Do, Kernel::DO),
        (PathMtuDiscovery::Want, Kernel::WANT),
        (PathMtuDiscovery::Dont, Kernel::DONT),
        (PathMtuDiscovery::Probe, Kernel::PROBE),
    ]
    .into_iter()
}

fn packet(path_mtu_discovery: Option<PathMtuDiscovery>) -> PacketOptions {
    PacketOptions { mark: EF, ttl: 9.try_into().ok(), path_mtu_discovery }
}

/// Returns the mark, the TTL and the mode of a socket's IPv4 packets.
fn fields_v4(socket: BorrowedFd<'_>) -> (u8, u32, sockopt::Ipv4PathMtuDiscovery) {
    let mode = sockopt::ip_mtu_discover(socket).expect("an option");
    let ttl = sockopt::ip_ttl(socket).expect("an option");
    (sockopt::ip_tos(socket).expect("an option"), ttl, mode)
}

fn v6(text: &str) -> SocketAddr {
    format!("[{text}]:9").parse().expect("an address")
}

#[test]
fn prober_sets_every_option_on_each_port_with_each_back_end() {
    let server = SocketAddr::from(([127, 0, 0, 1], 9));
    for backend in [Backend::Native, Backend::Portable] {
        for (chosen, mode) in every_mode() {
            let builder = Prober::builder().flows(2.try_into().expect("not zero"));
            let builder = builder.backend(backend).packet(packet(Some(chosen)));
            let prober = builder.connect(server).expect("ports");
            let found = Vec::from_iter(prober.sockets().map(fields_v4));
            assert_eq!(found, [(0xba, 9, mode); 2], "{backend:?}");
        }
    }
}

#[test]
fn prober_without_options_has_the_defaults_of_the_system() {
    let server = SocketAddr::from(([127, 0, 0, 1], 9));
    let plain = UdpSocket::bind(any_port()).expect("a port");
    let prober = Prober::builder().connect(server).expect("a port");
    let expected = fields_v4(std::os::fd::AsFd::as_fd(&plain));
    assert_eq!(Vec::from_iter(prober.sockets().map(fields_v4)), [expected]);
}

#[test]
fn options_are_those_of_the_family_of_the_packets() {
    if !have_ipv6("options_are_those_of_the_family_of_the_packets") {
        return;
    }
    let chosen = packet(Some(PathMtuDiscovery::Do));
    let open = |to| Prober::builder().packet(chosen).connect(to).expect("a port");
    let (native, mapped) = (open(v6("::1")), open(v6("::ffff:127.0.0.1")));
    let socket = native.sockets().next().expect("one");
    assert_eq!(sockopt::ipv6_tclass(socket).expect("an option"), 0xba);
    assert_eq!(sockopt::ipv6_unicast_hops(socket).expect("an option"), 9);
    let mode = sockopt::ipv6_mtu_discover(socket).expect("an option");
    assert_eq!(mode, sockopt::Ipv6PathMtuDiscovery::DO);
    let socket = mapped.sockets().next().expect("one");
    assert_eq!(fields_v4(socket), (0xba, 9, sockopt::Ipv4PathMtuDiscovery::DO));
}

#[test]
fn load_generator_sets_them_on_ports_and_addresses() {
    use hello_net::Sources;
    let server = SocketAddr::from(([127, 0, 0, 1], 9));
    let two = 2.try_into().expect("not zero");
    for (sources, sockets) in [(Sources::Ports(two), 2), (Sources::Addresses(two), 1)] {
        for (chosen, mode) in every_mode() {
            let builder = LoadGenerator::builder().sources(sources).packet(packet(Some(chosen)));
            let generator = builder.connect(server).expect("sockets");
            let found = Vec::from_iter(generator.sockets().map(fields_v4));
            assert_eq!(found, vec![(0xba, 9, mode); sockets], "{sources:?}");
        }
    }
}

#[test]
fn load_generator_refuses_marks_that_its_back_end_would_not_send() {
    let server = SocketAddr::from(([127, 0, 0, 1], 9));
    let builder = LoadGenerator::builder().backend(Backend::Portable);
    let unmarked = PacketOptions { mark: Mark::default(), ..packet(None) };
    builder.clone().packet(unmarked).connect(server).expect("a TTL is an option of the socket");
    let error = builder.packet(packet(None)).connect(server).expect_err("no mark");
    let LoadError::Connect { source, .. } = error else { panic!("{error}") };
    assert_eq!(source.kind(), ErrorKind::Unsupported);
}

/// Probes a server whose replies have this mark and TTL, and returns those of each reply.
fn replies(server: SocketAddr, to: SocketAddr, backend: Backend) -> Vec<(Option<u8>, Option<u8>)> {
    let server = peer_at(server);
    let port = server.local_addr().expect("bound").port();
    let socket = SockRef::from(&server);
    if server.local_addr().expect("bound").is_ipv6() {
        socket.set_unicast_hops_v6(57).expect("an option");
        socket.set_tclass_v6(0xbb).expect("an option");
    } else {
        socket.set_ttl_v4(57).expect("an option");
        socket.set_tos_v4(0xbb).expect("an option");
    }
    let builder = Prober::builder().count(3).interval(Duration::from_millis(1));
    let builder = builder.timeout(Duration::from_secs(20)).backend(backend);
    let prober = builder.connect(SocketAddr::new(to.ip(), port)).expect("a port");
    let seen = Mutex::new(Vec::new());
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..3 {
                let (name, source) = receive(&server);
                server.send_to(&[b"Hello, ", &name[..], b"!"].concat(), source).expect("sent");
            }
        });
        let run = prober.run(|event| {
            if let ProbeEventKind::Received { ttl, tos, .. } = event.kind {
                seen.lock().expect("no panic").push((ttl, tos));
            }
        });
        run.expect("no broken socket");
    });
    seen.into_inner().expect("no panic")
}

#[test]
fn replies_have_the_mark_and_the_ttl_of_their_packets_over_both_families() {
    let known = [(Some(57), Some(0xbb)); 3];
    assert_eq!(replies(any_port(), any_port(), Backend::Native), known);
    assert_eq!(replies(any_port(), any_port(), Backend::Portable), [(None, None); 3]);
    if have_ipv6("replies_have_the_mark_and_the_ttl_of_their_packets_over_both_families") {
        let loopback = SocketAddr::from((Ipv6Addr::LOCALHOST, 0));
        assert_eq!(replies(loopback, loopback, Backend::Native), known);
        assert_eq!(replies(any_port(), v6("::ffff:127.0.0.1"), Backend::Native), known);
    }
}
