//! A fleet over real sockets.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::Duration;

use hello_measure::{CauseKind, CompactRecord, Counts};
use hello_net::{
    Backend, Fleet, FleetBuilder, FleetCounts, FleetEvent, FleetEventKind, FleetHandle, Server,
    TargetId,
};
use hello_proto::Peer;

use crate::network::{have_ipv6, peer, peer_at, receive};
use crate::server::BACK_ENDS;

/// Returns a plan for a test: quick, and with a timeout that no reply comes near.
fn plan(count: u64) -> FleetBuilder {
    let (interval, timeout) = (Duration::from_millis(50), Duration::from_secs(20));
    Fleet::builder().interval(interval).count(count).timeout(timeout)
}

/// The same, with a timeout that ends soon.
fn impatient(count: u64) -> FleetBuilder {
    plan(count).timeout(Duration::from_millis(200))
}

fn record(handle: &FleetHandle, target: TargetId) -> CompactRecord {
    handle.record(target).expect("it was added")
}

fn counts(handle: &FleetHandle, target: TargetId) -> Counts {
    record(handle, target).counts()
}

/// Runs a fleet beside a server that answers everybody at this address.
fn run_beside_server(address: SocketAddr, run: impl FnOnce(SocketAddr) + Send) {
    let server = Server::builder().bind([address]).expect("a port");
    let address = server.local_addrs().next().expect("one");
    server.serve_while(|_event| (), || run(address)).expect("no broken socket");
}

fn greet(peer: &UdpSocket, replies: usize) {
    for _ in 0..replies {
        let (name, source) = receive(peer);
        peer.send_to(&[b"Hello, ", &name[..], b"!"].concat(), source).expect("sent");
    }
}

/// Another address of this machine for each number, where the system has them, or else another port.
fn address_of(number: u16, port: u16) -> SocketAddr {
    let [high, low] = (number + 1).to_be_bytes();
    let host = if cfg!(target_os = "linux") { [127, 0, high, low] } else { [127, 0, 0, 1] };
    (host, port).into()
}

#[test]
fn hundreds_of_targets_are_answered_by_way_of_one_socket_of_each_family() {
    for backend in BACK_ENDS {
        run_beside_server((Ipv4Addr::UNSPECIFIED, 0).into(), |server| {
            let fleet = plan(3).interval(Duration::from_millis(200)).backend(*backend);
            let fleet = fleet.open().expect("a socket");
            assert!(fleet.local_addrs().count() <= 2);
            let handle = fleet.handle();
            let add = |number| handle.add(address_of(number, server.port())).expect("room");
            let targets = Vec::from_iter((0..300).map(add));
            fleet.run(|event| panic!("{event:?}")).expect("no broken socket");
            for target in targets {
                let record = record(&handle, target);
                let Counts { sent, answered, .. } = record.counts();
                assert_eq!((sent + record.not_sent_total(), answered), (3, sent), "{backend:?}");
                assert_eq!(record.rtt().count(), answered);
            }
            assert_eq!(handle.counts(), FleetCounts::default());
        });
    }
}

#[test]
fn both_families_and_echo_servers_are_probed() {
    if !have_ipv6("both_families_and_echo_servers_are_probed") {
        return;
    }
    let servers = ["127.0.0.1:0", "[::1]:0"].map(|host| peer_at(host.parse().expect("an address")));
    let fleet = plan(2).peer(Peer::Echo).name_len(100).open().expect("sockets");
    let handle = fleet.handle();
    let add = |server: &UdpSocket| handle.add(server.local_addr().expect("bound")).expect("room");
    let targets = servers.each_ref().map(add);
    thread::scope(|scope| {
        for server in &servers {
            scope.spawn(|| {
                for _ in 0..2 {
                    let (name, source) = receive(server);
                    assert_eq!(name.len(), 100);
                    server.send_to(&name, source).expect("sent");
                }
            });
        }
        fleet.run(|_| ()).expect("no broken socket");
    });
    assert_eq!(targets.map(|target| counts(&handle, target).answered), [2, 2]);
}

#[test]
fn reply_from_a_stranger_is_counted_and_not_believed() {
    for backend in BACK_ENDS {
        let (server, stranger) = (peer(), peer());
        let fleet = impatient(1).backend(*backend).open().expect("a socket");
        let handle = fleet.handle();
        let target = handle.add(server.local_addr().expect("bound")).expect("room");
        let other = handle.add(stranger.local_addr().expect("bound")).expect("room");
        thread::scope(|scope| {
            scope.spawn(|| {
                let (name, source) = receive(&server);
                // The right bytes to the right port, but from another target.
                let reply = [b"Hello, ", &name[..], b"!"].concat();
                stranger.send_to(&reply, source).expect("sent");
                stranger.send_to(b"nonsense", source).expect("sent");
            });
            fleet.run(|_| ()).expect("no broken socket");
        });
        assert_eq!((counts(&handle, target).answered, counts(&handle, target).lost), (0, 1));
        assert_eq!((counts(&handle, other).answered, counts(&handle, other).corrupt), (0, 1));
        assert_eq!(handle.counts().unsolicited, 1);
    }
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "only Linux reports causes")]
fn one_target_that_refuses_or_cannot_be_sent_to_harms_no_other() {
    for backend in BACK_ENDS {
        run_beside_server((Ipv4Addr::UNSPECIFIED, 0).into(), |server| {
            let fleet = impatient(4).backend(*backend).open().expect("a socket");
            let handle = fleet.handle();
            let good = |number| handle.add(address_of(number, server.port())).expect("room");
            let mut targets = Vec::from_iter((0..20).map(good));
            // No server, no port, the loopback's broadcast address.
            let bad = ["127.77.0.1:9", "127.77.0.1:0", "127.255.255.255:9"];
            let bad = bad.map(|bad| {
                let address: SocketAddr = bad.parse().expect("an address");
                handle.add(address).expect("room")
            });
            targets.extend((20..40).map(good));
            let events = Mutex::new(vec![]);
            fleet.run(|event| events.lock().expect("no panic").push(*event)).expect("no broken");
            for target in targets {
                let record = record(&handle, target);
                let (counts, not_sent) = (record.counts(), record.not_sent_total());
                assert_eq!((counts.answered, not_sent), (4, 0), "{backend:?} {record:?}");
            }
            let [refusing, no_port, broadcast] = bad.map(|target| record(&handle, target));
            let [cause] = &refusing.lost_causes()[..] else { panic!("{refusing:?}") };
            let reporter = Some([127, 77, 0, 1].into());
            assert_eq!((cause.cause.kind, cause.lost), (CauseKind::Refused, 4));
            assert_eq!(cause.cause.reporter, reporter);
            assert_eq!(no_port.not_sent_by_reason(), &[("invalid", 4)].into(), "{backend:?}");
            assert_eq!(broadcast.not_sent_by_reason(), &[("denied", 4)].into(), "{backend:?}");
            assert_eq!((no_port.counts().sent, broadcast.counts().sent), (0, 0));
            let mut seen = Vec::from_iter(events.into_inner().expect("no panic").iter().map(
                |FleetEvent { target, kind, .. }| {
                    assert!(matches!(kind, FleetEventKind::Unreachable { .. }));
                    *target
                },
            ));
            seen.sort_unstable();
            assert_eq!(seen, bad);
            assert_eq!(handle.counts(), FleetCounts::default());
        });
    }
}

#[test]
fn targets_come_go_and_move_while_the_fleet_runs() {
    let servers = [peer(), peer()];
    let addresses = servers.each_ref().map(|server| server.local_addr().expect("bound"));
    let fleet = plan(0).count(None).open().expect("a socket");
    let (handle, stopper) = (fleet.handle(), fleet.stopper());
    let stays = handle.add(addresses[0]).expect("room");
    thread::scope(|scope| {
        let run = scope.spawn(|| fleet.run(|_| ()));
        greet(&servers[0], 2);
        // Added without an address, as one whose name is unknown yet.
        let moves = handle.add(None).expect("room");
        while record(&handle, moves).not_sent_total() == 0 {
            thread::yield_now();
        }
        handle.set_address(moves, addresses[1]);
        greet(&servers[1], 2);
        handle.set_address(moves, addresses[0]);
        // From now on, both targets are at the first server.
        greet(&servers[0], 4);
        while counts(&handle, moves).answered < 3 {
            greet(&servers[0], 1);
        }
        let removed = handle.remove(moves).expect("it was added");
        assert_eq!(removed.counts().lost, 0);
        assert_eq!(removed.not_sent_by_reason().keys().collect::<Vec<_>>(), [&"unresolved"]);
        assert_eq!(handle.records().len(), 1);
        stopper.stop();
        scope.spawn(|| {
            servers[0].set_read_timeout(Some(Duration::from_millis(100))).expect("possible");
            let mut name = [0; 99];
            while let Ok((len, source)) = servers[0].recv_from(&mut name) {
                let reply = [b"Hello, ", &name[..len], b"!"].concat();
                servers[0].send_to(&reply, source).expect("sent");
            }
        });
        run.join().expect("no panic").expect("no broken socket");
    });
    let Counts { sent, answered, lost, .. } = counts(&handle, stays);
    assert_eq!((sent, lost), (answered, 0));
}

#[test]
fn stop_waits_for_what_is_in_flight_and_abort_does_not() {
    for aborts in [false, true] {
        let silent = peer();
        let fleet = plan(0).count(None).timeout(Duration::from_millis(300));
        let fleet = fleet.open().expect("a socket");
        let (handle, stopper) = (fleet.handle(), fleet.stopper());
        let target = handle.add(silent.local_addr().expect("bound")).expect("room");
        thread::scope(|scope| {
            let run = scope.spawn(|| fleet.run(|_| ()));
            receive(&silent);
            if aborts {
                stopper.abort();
            } else {
                stopper.stop();
            }
            run.join().expect("no panic").expect("no broken socket");
        });
        let counts = counts(&handle, target);
        assert_eq!(counts.in_flight() > 0, aborts, "{counts:?}");
    }
}

#[test]
fn fleet_that_hangs_in_its_observer_is_not_alive() {
    let silent = peer();
    let fleet = impatient(3).timeout(Duration::from_millis(1)).open().expect("a socket");
    let handle = fleet.handle();
    handle.add(silent.local_addr().expect("bound")).expect("room");
    assert!(!handle.check_liveness(), "it does not run yet");
    let (tell, told) = mpsc::channel();
    let (go_on, wait) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let hang = move |_: &FleetEvent| {
            tell.send(()).expect("awaited");
            let _ = wait.recv();
        };
        let run = scope.spawn(move || fleet.run(hang));
        told.recv().expect("it becomes unreachable");
        assert!(handle.check_liveness(), "until the event");
        assert!(!handle.check_liveness(), "not since then");
        drop(go_on);
        run.join().expect("no panic").expect("no broken socket");
        assert!(handle.check_liveness(), "it went on");
    });
}

#[test]
fn fleet_ends_with_its_duration_or_at_once_without_targets() {
    run_beside_server((Ipv4Addr::LOCALHOST, 0).into(), |server| {
        let duration = Duration::from_millis(200);
        let fleet = plan(100).duration(duration).open().expect("a socket");
        let handle = fleet.handle();
        let target = handle.add(server).expect("room");
        fleet.run(|_| ()).expect("no broken socket");
        let record = record(&handle, target);
        assert_eq!(record.counts().answered + record.not_sent_total(), 4);
    });
    let fleet = plan(1).open().expect("a socket");
    fleet.run(|_| ()).expect("nothing to do");
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "only Linux has a back end besides")]
fn source_decides_the_family_and_the_portable_back_end_cannot_mark() {
    use hello_net::{FleetError, PacketOptions};

    let fleet = plan(1).source(Some([127, 0, 0, 9].into())).open().expect("a socket");
    let local = Vec::from_iter(fleet.local_addrs().map(|local| local.ip()));
    assert_eq!(local, [[127, 0, 0, 9].map(u8::from)].map(std::net::IpAddr::from));
    let handle = fleet.handle();
    let other = handle.add("[::1]:9".parse::<SocketAddr>().expect("an address")).expect("room");
    fleet.run(|_| ()).expect("no broken socket");
    assert_eq!(record(&handle, other).not_sent_total(), 1);
    let mark = hello_measure::Mark::from_byte(184);
    let marked = || plan(1).packet(PacketOptions { mark, ..PacketOptions::default() });
    marked().open().expect("Linux marks");
    let portable = marked().backend(Backend::Portable).open();
    assert!(matches!(portable, Err(FleetError::Open(_))));
}
