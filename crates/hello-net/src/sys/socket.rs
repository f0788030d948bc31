//! Sockets, opened with the options that this crate needs.
//!
//! Each option is set in one place:
//!
//! | place | options |
//! |---|---|
//! | this file, best before the first datagram | one family, shared ports, the interface, the filter, destinations, AnyIP |
//! | the back end, whose calls need them | waiting, trains, fragmentation, also as the user chose it |
//! | `packet_options.rs` | mark and TTL of what is sent |
//! | `server/listener.rs` | sizes of a server's buffers |
//! | `prober/source_port.rs` | TTL and mark of replies |
//! | `udp/reply_socket.rs` | timestamps, queued errors, size of the buffer for replies |
//! | `client/exchange.rs` | queued errors |
//! | `load/source_sockets.rs` | no trains of replies |
//! | `sys/linux/mmsg/spares.rs` | what makes a socket a spare |
//! | `sys/options.rs` | those that an adopted socket had before |

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::sys;
use crate::sys::fragmentation::Fragmentation;

/// Whether several sockets of a server are bound to one address (SO_REUSEPORT, socket(7)).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum PortSharing {
    /// This is the only socket.
    Exclusive,
    /// This is the first of several. It is bound only if no other socket is, not even one that
    /// would share.
    ReuseFirst,
    /// This is a further one of several.
    Reuse,
}

/// Opens a socket that receives at `address`.
///
/// `[::]` means IPv6 only (IPV6_V6ONLY), so that it and `0.0.0.0` can be bound side by side.
/// SO_REUSEADDR stays off: with it, Linux lets a second process take the port over.
pub(crate) fn bind(address: SocketAddr, sharing: PortSharing) -> io::Result<UdpSocket> {
    let prepare = |socket: &Socket| match sharing {
        PortSharing::Exclusive | PortSharing::ReuseFirst => sys::hold_port(socket),
        PortSharing::Reuse => sys::share_port(socket, true),
    };
    let socket = bind_prepared(address, prepare)?;
    if sharing == PortSharing::ReuseFirst {
        sys::share_port(&socket, true)?;
    }
    Ok(socket.into())
}

/// Opens a socket, lets the caller prepare it, and binds it to `address`.
pub(super) fn bind_prepared(
    address: SocketAddr,
    prepare: impl FnOnce(&Socket) -> io::Result<()>,
) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    prepare(&socket)?;
    accept_any_client(&socket, address)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Prepares a socket that somebody else bound, as far as that is possible afterwards.
pub(crate) fn adopt(socket: &UdpSocket) -> io::Result<()> {
    accept_any_client(&SockRef::from(socket), socket.local_addr()?)
}

/// Makes a socket ready for clients at `local`. Best before the first datagram is queued, whose
/// destination is unknown otherwise.
fn accept_any_client(socket: &Socket, local: SocketAddr) -> io::Result<()> {
    sys::verify_before_queueing(socket);
    sys::ignore_reports(socket);
    sys::report_destinations(socket, local)?;
    sys::send_from_any_local(socket, local)
}

/// Returns whether every socket bound to the port gets a copy of what is sent to this address.
pub(crate) fn is_shared(address: IpAddr) -> bool {
    address.is_multicast() || matches!(address, IpAddr::V4(address) if is_broadcast(address))
}

/// Returns whether an address is a broadcast address. Only the system knows: it does not connect a
/// socket without SO_BROADCAST to one (EACCES, connect(2)). Where no socket can be opened, no
/// address counts as one.
pub(crate) fn is_broadcast(address: Ipv4Addr) -> bool {
    let is_refused = |address: Ipv4Addr| {
        let probe = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP));
        let to = SocketAddr::from((address, ANY_PORT)).into();
        let connected = probe.map(|probe| probe.connect(&to));
        let refused = |error: io::Error| error.kind() == io::ErrorKind::PermissionDenied;
        connected.is_ok_and(|connected| connected.is_err_and(refused))
    };
    // A system that refuses everything tells nothing about this address.
    address.is_broadcast() || is_refused(address) && !is_refused(Ipv4Addr::LOCALHOST)
}

/// A port that nothing is sent to: that of the discard service (RFC 863).
const ANY_PORT: u16 = 9;

#[cfg(any(feature = "client", feature = "load"))]
/// Opens a socket that sends to `server`, and receives from nobody else once it is connected.
pub(crate) fn connect(server: SocketAddr) -> io::Result<UdpSocket> {
    connect_from(None, None, server)
}

#[cfg(feature = "__requests")]
/// Does the same, from a given address or by a given interface.
pub(crate) fn connect_from(
    source: Option<IpAddr>,
    interface: Option<&str>,
    server: SocketAddr,
) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(server), Type::DGRAM, Some(Protocol::UDP))?;
    if let Some(interface) = interface {
        sys::bind_to_interface(&socket, interface)?;
    }
    if let Some(source) = source {
        socket.bind(&SocketAddr::from((source, 0)).into())?;
    }
    sys::verify_before_queueing(&socket);
    socket.connect(&server.into())?;
    Ok(socket.into())
}

#[cfg(feature = "probe")]
/// Opens a socket on a free port of `source` that sends to anybody of the same family and receives from
/// anybody, perhaps by a given interface only.
pub(crate) fn unconnected(source: IpAddr, interface: Option<&str>) -> io::Result<UdpSocket> {
    let local = SocketAddr::from((source, 0));
    let socket = Socket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP))?;
    if local.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    if let Some(interface) = interface {
        sys::bind_to_interface(&socket, interface)?;
    }
    sys::verify_before_queueing(&socket);
    socket.bind(&local.into())?;
    Ok(socket.into())
}

/// Returns how datagrams of up to `longest` bytes may be fragmented that leave from `local`, or
/// between addresses like it.
pub(crate) fn fragmentation(local: SocketAddr, longest: usize) -> Fragmentation {
    let unfragmented = match local {
        // No router is on that path, and the loopback takes more than any of these.
        SocketAddr::V4(local) if local.ip().is_loopback() => MAX_UNFRAGMENTED_V6,
        SocketAddr::V4(_) => MAX_UNFRAGMENTED_V4,
        SocketAddr::V6(_) => MAX_UNFRAGMENTED_V6,
    };
    if longest <= unfragmented { Fragmentation::Never } else { Fragmentation::Allowed }
}

/// The longest payload, in bytes, that passes every path in one piece over IPv4: each host takes
/// packets of 576 bytes (RFC 791 section 3.1), less 20 of IPv4 and 8 of UDP.
const MAX_UNFRAGMENTED_V4: usize = 576 - 20 - 8;

/// The longest payload, in bytes, that passes every path in one piece over IPv6: 1280 bytes (RFC
/// 8200 section 5), less 40 of IPv6 and 8 of UDP.
const MAX_UNFRAGMENTED_V6: usize = 1280 - 40 - 8;

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    #[test]
    fn broadcast_addresses_are_recognised() {
        let broadcast = |address: [u8; 4]| is_broadcast(address.into());
        assert!(broadcast([255, 255, 255, 255]));
        // The loopback's, on Linux.
        if cfg!(unix) {
            assert_eq!(broadcast([127, 255, 255, 255]), cfg!(target_os = "linux"));
        }
        assert!(!broadcast([127, 0, 0, 1]) && !broadcast([127, 0, 0, 255]));
        assert!(is_shared([224, 0, 0, 1].into()) && !is_shared([127, 0, 0, 1].into()));
    }

    #[test]
    fn replies_stay_unfragmented_only_where_every_path_carries_them_whole() {
        let here = |address: [u8; 4]| SocketAddr::from((Ipv4Addr::from(address), 9999));
        let v6 = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 9999));
        for (local, longest, expected) in [
            (here([192, 0, 2, 1]), 548, Fragmentation::Never),
            (here([192, 0, 2, 1]), 549, Fragmentation::Allowed),
            (here([0, 0, 0, 0]), 1032, Fragmentation::Allowed),
            (here([127, 0, 0, 1]), 1232, Fragmentation::Never),
            (here([127, 0, 0, 1]), 1233, Fragmentation::Allowed),
            (v6, 1232, Fragmentation::Never),
            (v6, 1233, Fragmentation::Allowed),
        ] {
            assert_eq!(fragmentation(local, longest), expected, "{local}, {longest}");
        }
    }
}
