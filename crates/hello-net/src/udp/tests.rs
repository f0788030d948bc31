use std::net::{Ipv4Addr, SocketAddr};

use super::backend::Backend;
use super::batch::RecvBatch;
use super::datagram_socket::DatagramSocket;
use super::error_class::ErrorClass;
use super::socket::{self, PortSharing};
use crate::sys::fragmentation::Fragmentation;

pub(crate) const BACK_ENDS: &[Backend] = &[
    #[cfg(target_os = "linux")]
    Backend::Native,
    Backend::Portable,
];

pub(crate) fn open(io: Backend) -> (Box<dyn DatagramSocket>, SocketAddr) {
    let socket = socket::bind((Ipv4Addr::LOCALHOST, 0).into(), PortSharing::Exclusive);
    let socket = socket.expect("a free port");
    let address = socket.local_addr().expect("bound");
    (io.open(socket, Fragmentation::Never).expect("a UDP socket"), address)
}

#[test]
fn empty_socket_is_an_idle_wait_and_no_error() {
    for &io in BACK_ENDS {
        let (socket, _) = open(io);
        for wait in [false, true] {
            let error = socket.receive(&mut RecvBatch::new(), wait).expect_err("nobody sends");
            assert_eq!(ErrorClass::of(&error), ErrorClass::WouldBlock);
        }
    }
}
