use std::net::{Ipv4Addr, TcpListener};
use std::thread;

use super::*;

/// Opens a connection of a peer, and returns both ends.
fn admit(connections: &Arc<Connections>, peer: u8) -> (TcpStream, Option<Connection>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let client = TcpStream::connect(listener.local_addr().expect("bound")).expect("listening");
    let (stream, _) = listener.accept().expect("connected");
    (client, connections.admit(stream, [192, 0, 2, peer].into()))
}

fn peers(connections: &Connections) -> Vec<u8> {
    let state = lock(&connections.state);
    let open = state.open.iter().filter(|entry| !entry.is_evicted);
    open.map(|entry| match entry.peer {
        IpAddr::V4(peer) => peer.octets()[3],
        IpAddr::V6(_) => 0,
    })
    .collect()
}

fn connections() -> Arc<Connections> {
    let limits = Limits { open: 4, sending: 2, min_time: Duration::ZERO, ..Limits::default() };
    Arc::new(Connections::new(limits))
}

/// Drops connections as soon as they are evicted.
fn drop_evicted(open: Vec<Connection>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        for mut connection in open {
            let _ = connection.read(&mut [0; 8]);
        }
    })
}

#[test]
fn newest_takes_the_place_of_the_oldest_of_the_greediest_address() {
    let connections = connections();
    let (clients, open): (Vec<_>, Vec<_>) =
        [1, 2, 2, 3].map(|peer| admit(&connections, peer)).into_iter().unzip();
    let mut open = Vec::from_iter(open.into_iter().flatten());
    assert_eq!(peers(&connections), [1, 2, 2, 3]);
    let waiting = drop_evicted(vec![open.remove(1)]);
    let (_four, fourth) = admit(&connections, 4);
    assert!(fourth.is_some(), "admitted");
    assert_eq!(peers(&connections), [1, 2, 3, 4]);
    waiting.join().expect("evicted");
    // Of equals, the oldest.
    let waiting = drop_evicted(vec![open.remove(0)]);
    let (_five, fifth) = admit(&connections, 5);
    assert!(fifth.is_some(), "admitted");
    assert_eq!(peers(&connections), [2, 3, 4, 5]);
    waiting.join().expect("evicted");
    drop(clients);
}

#[test]
fn connection_is_evicted_before_all_places_are_taken_if_the_system_has_no_more() {
    let connections = connections();
    let _open = [1, 2, 2].map(|peer| admit(&connections, peer));
    connections.evict_one();
    assert_eq!(peers(&connections), [1, 2]);
}

#[test]
fn young_connection_keeps_its_place_for_a_moment() {
    let limits = Limits { open: 1, min_time: Duration::from_millis(50), ..Limits::default() };
    let connections = Arc::new(Connections::new(limits));
    let start = Instant::now();
    let (_one, first) = admit(&connections, 1);
    let waiting = drop_evicted(first.into_iter().collect());
    let (_two, second) = admit(&connections, 2);
    assert!(second.is_some() && start.elapsed() >= limits.min_time, "{:?}", start.elapsed());
    waiting.join().expect("evicted");
}

#[test]
fn place_that_is_not_left_keeps_another_connection_out_but_not_for_ever() {
    let connections = Arc::new(Connections::new(Limits { open: 1, ..Limits::default() }));
    let (_one, first) = admit(&connections, 1);
    let (_two, second) = admit(&connections, 2);
    assert!(second.is_none());
    drop(first);
    assert!(admit(&connections, 3).1.is_some());
}

#[test]
fn few_connections_send_at_a_time() {
    let connections = connections();
    let (clients, open): (Vec<_>, Vec<_>) =
        [1, 1, 2].map(|peer| admit(&connections, peer)).into_iter().unzip();
    let mut open = Vec::from_iter(open.into_iter().flatten());
    for connection in &open[..2] {
        connection.start_sending().expect("a place");
    }
    let third = open.remove(2);
    let waiting = drop_evicted(vec![open.remove(0)]);
    third.start_sending().expect("the place of the first");
    waiting.join().expect("evicted");
    assert_eq!(peers(&connections), [1, 2]);
    third.stop_sending();
    let (_four, fourth) = admit(&connections, 4);
    fourth.expect("admitted").start_sending().expect("a free place");
    assert_eq!(peers(&connections), [1, 2]);
    drop((open, clients));
}

#[test]
fn stop_ends_connections_and_admits_no_other() {
    let connections = connections();
    let (mut client, connection) = admit(&connections, 1);
    let waiting = drop_evicted(connection.into_iter().collect());
    connections.stop();
    waiting.join().expect("evicted");
    assert_eq!(client.read(&mut [0; 8]).expect("closed"), 0);
    assert!(admit(&connections, 2).1.is_none());
    connections.pause(Duration::from_secs(600));
}

#[test]
fn time_is_up_even_for_a_client_that_sends() {
    let limits = Limits { time: Duration::from_millis(50), ..Limits::default() };
    let start = Instant::now();
    let (mut client, connection) = admit(&Arc::new(Connections::new(limits)), 1);
    let mut connection = connection.expect("admitted");
    let reader = thread::spawn(move || while connection.read(&mut [0; 1]).is_ok() {});
    while !reader.is_finished() {
        let _ = client.write(b"x");
    }
    assert!(start.elapsed() >= limits.time - Duration::from_millis(1), "{:?}", start.elapsed());
}
