use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use super::latch::Latch;
use super::{Poller, Waiter, monotonic, sleep_until};

#[test]
fn a_datagram_wakes_one_and_a_flag_wakes_all() {
    const WAITING: usize = 4;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let (flag, woken) = (Latch::new().expect("sockets"), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..WAITING {
            scope.spawn(|| {
                let waiter = Waiter::new(Some(&socket), &flag).expect("a descriptor");
                while !flag.is_raised() {
                    waiter.wait().expect("waited");
                    // A datagram stays there until it is received.
                    while socket.recv(&mut [0; 8]).is_ok_and(|len| len == 5) {
                        woken.fetch_add(1, SeqCst);
                        socket.set_nonblocking(true).expect("possible");
                    }
                }
            });
        }
        socket.set_nonblocking(true).expect("possible");
        let address = socket.local_addr().expect("bound");
        for sent in 1..=20 {
            socket.send_to(b"Tracy", address).expect("sent");
            while woken.load(SeqCst) < sent {
                thread::yield_now();
            }
        }
        flag.raise();
    });
    assert_eq!(woken.load(SeqCst), 20);
    let alone = Waiter::new(None, &flag).expect("a descriptor");
    alone.wait().expect("it is raised");
}

#[test]
fn ready_sockets_are_found_until_they_are_empty() {
    let sockets = [(); 5].map(|()| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port"));
    let poller = Poller::new(&sockets).expect("descriptors");
    let look = || {
        let mut found = Vec::new();
        poller.poll_ready(&mut found).expect("works");
        found.sort_unstable();
        found
    };
    assert!(look().is_empty());
    for number in [1, 4] {
        let address = sockets[number].local_addr().expect("bound");
        sockets[0].send_to(b"Tracy", address).expect("sent");
    }
    assert_eq!([look(), look()], [[1, 4], [1, 4]]);
    sockets[1].recv(&mut [0; 8]).expect("something is there");
    assert_eq!(look(), [4]);
    sockets[4].recv(&mut [0; 8]).expect("something is there");
    assert!(look().is_empty());
}

#[test]
fn wait_ends_by_a_datagram_a_timeout_or_the_flag() {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = socket.local_addr().expect("bound");
    let poller = Poller::new(&[socket.try_clone().expect("a descriptor")]).expect("descriptors");
    let latch = Latch::new().expect("sockets");
    poller.wait(Duration::from_micros(1), &latch).expect("nothing comes");
    socket.send_to(b"Tracy", address).expect("sent");
    poller.wait(Duration::from_secs(600), &latch).expect("something is there");
    socket.recv(&mut [0; 8]).expect("something is there");
    latch.raise();
    poller.wait(Duration::from_secs(600), &latch).expect("it is to end");
}

#[test]
fn a_sleep_does_not_end_before_its_time() {
    for _ in 0..3 {
        let deadline = monotonic() + Duration::from_millis(5);
        while monotonic() < deadline {
            sleep_until(deadline);
        }
        assert!(monotonic() >= deadline);
    }
}
