#[cfg(all(target_os = "linux", feature = "probe"))]
use std::net::{IpAddr, Ipv6Addr, UdpSocket};
use std::net::{Ipv4Addr, SocketAddr};

#[cfg(all(target_os = "linux", feature = "probe"))]
use rustix::net::sockopt;

use super::backend::Backend;
#[cfg(all(target_os = "linux", feature = "probe"))]
use crate::sys;
use crate::sys::batch::RecvBatch;
use crate::sys::datagram_socket::DatagramSocket;
use crate::sys::error_class::ErrorClass;
use crate::sys::fragmentation::Fragmentation;
#[cfg(all(target_os = "linux", feature = "probe"))]
use crate::sys::linux::loopback::bind_loopback;
use crate::sys::socket::{self, PortSharing};

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

#[cfg(all(target_os = "linux", feature = "probe"))]
#[test]
fn datagram_has_a_ttl_of_its_own_and_the_next_one_that_of_the_socket() {
    let mapped = Ipv4Addr::LOCALHOST.to_ipv6_mapped();
    for host in [IpAddr::from(Ipv4Addr::LOCALHOST), mapped.into(), Ipv6Addr::LOCALHOST.into()] {
        let Some(receiving) = bind_loopback(host) else { continue };
        let address = receiving.local_addr().expect("bound");
        sys::report_ttl(&receiving, address).expect("an option");
        let sending = UdpSocket::bind((host, 0)).expect("a port");
        sending.connect(address).expect("a route");
        // The system's, of which Linux lets each namespace choose another.
        let default = match host {
            IpAddr::V4(_) => {
                sockopt::ip_ttl(&sending).map(|ttl| u8::try_from(ttl).expect("a byte"))
            }
            IpAddr::V6(_) => sockopt::ipv6_unicast_hops(&sending),
        };
        let default = default.expect("an option");
        let mut expected = Vec::new();
        for ttl in [1, 7, 255] {
            sys::try_send_with_ttl(&sending, b"Tracy", ttl).expect("sent");
            sys::try_send(&sending, b"Tracy").expect("sent");
            expected.extend([Some(ttl), Some(default)]);
        }
        let receiving = Backend::Native.open(receiving, Fragmentation::SystemDefault);
        let (receiving, mut batch) = (receiving.expect("a socket"), RecvBatch::new());
        receiving.receive(&mut batch, false).expect("they are there");
        let ttls = batch.metas().iter().map(|meta| meta.ttl);
        assert_eq!(Vec::from_iter(ttls), expected, "{host}");
    }
}
