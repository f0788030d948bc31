//! One datagram at a time, over `std::net::UdpSocket`.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use socket2::SockRef;

use super::Datagrams;

impl Datagrams for UdpSocket {
    fn receive(&self, space: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.recv_from(space)
    }

    /// A blocking send waits while the send buffer is full, and somebody on our link can fill it,
    /// with requests from neighbours that do not exist: the replies to them wait for ARP.
    fn send_reply(&self, reply: &[u8], to: SocketAddr) -> io::Result<()> {
        SockRef::from(self).send_to_with_flags(reply, &to.into(), libc::MSG_DONTWAIT)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::{ErrorClass, socket};

    fn loopback() -> UdpSocket {
        socket::bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a free port")
    }

    #[test]
    fn what_does_not_fit_is_cut_off() {
        let (here, there) = (loopback(), loopback());
        let address = there.local_addr().expect("bound");
        here.send_reply(b"Michael", address).expect("sent");
        let mut space = [0xa5; 8];
        let received = there.receive(&mut space[..4]).expect("received");
        assert_eq!(received, (4, here.local_addr().expect("bound")));
        assert_eq!(&space, b"Mich\xa5\xa5\xa5\xa5");
    }

    #[test]
    fn nothing_can_be_sent_to_port_0() {
        let error = loopback().send_reply(b"Tracy", (Ipv4Addr::LOCALHOST, 0).into());
        assert_eq!(ErrorClass::of(&error.expect_err("port 0")), ErrorClass::Invalid);
    }
}
