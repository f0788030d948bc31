use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use hello_measure::ReplyKind;
use hello_proto::Request;

use super::event::LoadEventKind;
use super::*;
use crate::sys::batch::RecvBatch;

#[test]
fn duplicates_that_wait_when_the_last_request_is_answered_are_reported() {
    const TIMES: usize = 2 * RecvBatch::CAPACITY + 1;
    let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = server.local_addr().expect("bound");
    let generator = LoadGenerator::builder().count(1).connect(address).expect("a plan");
    let (answered, duplicates) = (AtomicUsize::new(0), AtomicUsize::new(0));
    // The observer is the server, too: it answers a request several times before the generator goes
    // on.
    let answer = || {
        let mut name = [0; 16];
        let (len, client) = server.recv_from(&mut name).expect("a request");
        let reply = Request::new(&name[..len]).expect("short").reply();
        for _ in 0..TIMES {
            server.send_to(&reply.parts().concat(), client).expect("room");
        }
        // What was sent before this datagram has arrived when this has.
        server.send_to(b"Tracy", address).expect("room");
        server.recv_from(&mut name).expect("our own");
    };
    let observe = |events: &[LoadEvent<'_>]| {
        for event in events {
            match event.kind {
                LoadEventKind::Sent { .. } => answer(),
                LoadEventKind::Answered { .. } => drop(answered.fetch_add(1, Relaxed)),
                LoadEventKind::Other { reply: ReplyKind::Duplicate { .. }, .. } => {
                    duplicates.fetch_add(1, Relaxed);
                }
                other => panic!("{other:?}"),
            }
        }
    };
    generator.run(observe).expect("sent");
    assert_eq!((answered.into_inner(), duplicates.into_inner()), (1, TIMES - 1));
}
