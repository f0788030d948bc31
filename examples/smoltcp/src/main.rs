//! The protocol on smoltcp: a server and a client on one interface, over a loopback device in
//! memory. No operating system's socket takes part.
//!
//! `cd examples/smoltcp && cargo run`

use std::error::Error;

use hello_proto::{DEFAULT_PORT, Frame, Guard, OVERHEAD, Reply, Request};
use smoltcp::iface::{Config, Interface, SocketSet};
use smoltcp::phy::{Loopback, Medium};
use smoltcp::socket::udp::{PacketBuffer, PacketMetadata, Socket};
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

const ADDRESS: IpAddress = IpAddress::v4(127, 0, 0, 1);

fn main() -> Result<(), Box<dyn Error>> {
    let mut device = Loopback::new(Medium::Ip);
    let mut interface =
        Interface::new(Config::new(HardwareAddress::Ip), &mut device, Instant::ZERO);
    interface.update_ip_addrs(|addresses| {
        addresses.push(IpCidr::new(ADDRESS, 8)).expect("room for one address");
    });
    let mut sockets = SocketSet::new(Vec::new());
    let [server, client] = [DEFAULT_PORT, 40_001].map(|port| {
        let mut socket = Socket::new(buffer(), buffer());
        socket.bind((ADDRESS, port)).expect("a free port");
        sockets.add(socket)
    });

    let mut buf = [0; Guard::DEFAULT_MAX_NAME_LEN + OVERHEAD];
    let mut frame = Frame::new(&mut buf)?;
    for name in ["Michael", "Tracy", "Sarah"] {
        let request = Request::new(name.as_bytes())?;
        let destination = (ADDRESS, DEFAULT_PORT);
        sockets.get_mut::<Socket<'_>>(client).send_slice(request.encode(), destination)?;

        while !sockets.get_mut::<Socket<'_>>(client).can_recv() {
            interface.poll(Instant::ZERO, &mut device, &mut sockets);
            answer(sockets.get_mut(server), &mut frame)?;
        }
        let (datagram, _) = sockets.get_mut::<Socket<'_>>(client).recv()?;
        assert!(Reply::decode(datagram)?.answers(request));
        println!("{}", datagram.escape_ascii());
    }
    Ok(())
}

/// Replies to each request that waits in a socket, in the buffer that it is received into.
fn answer(socket: &mut Socket<'_>, frame: &mut Frame<'_>) -> Result<(), Box<dyn Error>> {
    let guard = Guard::new();
    while let Ok((len, from)) = socket.recv_slice(frame.recv_buf()) {
        let source = (from.endpoint.addr, from.endpoint.port).into();
        let local = (from.local_address.unwrap_or(ADDRESS), DEFAULT_PORT).into();
        if guard.check(source, local, &frame.recv_buf()[..len]).is_ok() {
            socket.send_slice(frame.reply(len)?, from)?;
        }
    }
    Ok(())
}

/// Returns room for eight datagrams of 1 KiB each.
fn buffer() -> PacketBuffer<'static> {
    PacketBuffer::new(vec![PacketMetadata::EMPTY; 8], vec![0; 8 * 1024])
}
