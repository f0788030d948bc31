use std::fmt;
use std::net::IpAddr;

/// Why a probe was lost: what the network reported about it, and who reported it.
///
/// ```
/// use hello_measure::{Cause, CauseKind};
///
/// let router = [10, 80, 2, 2].into();
/// let cause = Cause { kind: CauseKind::of_icmp(3, 4, 1400), reporter: Some(router) };
/// assert_eq!(cause.kind, CauseKind::TooBig { mtu: Some(1400) });
/// assert_eq!(cause.kind.label(), "too-big");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cause {
    /// What was reported.
    pub kind: CauseKind,
    /// The router or the host that reported it; `None` if nobody did, or if its address is unknown.
    pub reporter: Option<IpAddr>,
}

impl Cause {
    /// Nobody reported anything.
    pub const SILENT: Self = Self { kind: CauseKind::Silent, reporter: None };

    /// Returns the MTU that was reported, in bytes of whole packets; `None` if none was.
    pub const fn mtu(self) -> Option<u32> {
        match self.kind {
            CauseKind::TooBig { mtu } => mtu,
            _ => None,
        }
    }

    /// Returns the cause without its reporter and its MTU.
    pub(crate) const fn without_details(self) -> Self {
        let kind = match self.kind {
            CauseKind::TooBig { .. } => CauseKind::TooBig { mtu: None },
            kind => kind,
        };
        Self { kind, reporter: None }
    }
}

/// The fields `cause`, a label, `reporter` and `mtu`.
#[cfg(feature = "serde")]
impl serde::Serialize for Cause {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;

        let mut fields = serializer.serialize_struct("Cause", 3)?;
        fields.serialize_field("cause", self.kind.label())?;
        fields.serialize_field("reporter", &self.reporter)?;
        fields.serialize_field("mtu", &self.mtu())?;
        fields.end()
    }
}

/// The kind of a [`Cause`].
///
/// ```
/// use hello_measure::CauseKind;
///
/// // No server listens on the port: ICMP type 3 code 3, ICMPv6 type 1 code 4.
/// assert_eq!(CauseKind::of_icmp(3, 3, 0), CauseKind::Refused);
/// assert_eq!(CauseKind::of_icmpv6(1, 4, 0), CauseKind::Refused);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum CauseKind {
    /// Nothing was reported.
    Silent,
    /// No server listens on the port, or a firewall answers as if none did (port unreachable).
    Refused,
    /// No path leads to the host.
    HostUnreachable,
    /// No path leads to the network.
    NetworkUnreachable,
    /// A firewall or a policy rejects it (administratively prohibited).
    Prohibited,
    /// The datagram is longer than a link on the path takes.
    TooBig {
        /// The maximum transmission unit of that link, in bytes of whole packets; `None` if the
        /// router does not report it (RFC 1191 section 4).
        mtu: Option<u32>,
    },
    /// The TTL or the hop limit ended on the way.
    TtlExceeded,
    /// A host or router rejects the packet itself: parameter problem, protocol unreachable, source
    /// route failed, or fragments that did not all arrive.
    ProtocolError,
}

impl CauseKind {
    /// Classifies an ICMP error by its type and code (RFC 792, RFC 1122 section 3.2.2.1, RFC 1812
    /// section 5.2.7). `mtu` is that of "fragmentation needed", and 0 otherwise.
    pub const fn of_icmp(kind: u8, code: u8, mtu: u32) -> Self {
        match (kind, code) {
            (DESTINATION_UNREACHABLE, 0 | 6 | 11) => Self::NetworkUnreachable,
            (DESTINATION_UNREACHABLE, 1 | 7 | 8 | 12) => Self::HostUnreachable,
            (DESTINATION_UNREACHABLE, 3) => Self::Refused,
            (DESTINATION_UNREACHABLE, 4) => Self::too_big(mtu),
            (DESTINATION_UNREACHABLE, 9 | 10 | 13 | 14 | 15) => Self::Prohibited,
            (TIME_EXCEEDED, 0) => Self::TtlExceeded,
            _ => Self::ProtocolError,
        }
    }

    /// Classifies an ICMPv6 error by its type and code (RFC 4443 section 3). `mtu` is that of "packet
    /// too big", and 0 otherwise.
    pub const fn of_icmpv6(kind: u8, code: u8, mtu: u32) -> Self {
        match (kind, code) {
            (DESTINATION_UNREACHABLE_V6, 0 | 2) => Self::NetworkUnreachable,
            (DESTINATION_UNREACHABLE_V6, 1 | 5 | 6) => Self::Prohibited,
            (DESTINATION_UNREACHABLE_V6, 3) => Self::HostUnreachable,
            (DESTINATION_UNREACHABLE_V6, 4) => Self::Refused,
            (PACKET_TOO_BIG, _) => Self::too_big(mtu),
            (TIME_EXCEEDED_V6, 0) => Self::TtlExceeded,
            _ => Self::ProtocolError,
        }
    }

    const fn too_big(mtu: u32) -> Self {
        Self::TooBig { mtu: if mtu == 0 { None } else { Some(mtu) } }
    }

    /// Returns whether somebody reported it.
    pub const fn is_reported(self) -> bool {
        !matches!(self, Self::Silent)
    }

    /// Returns the name it is counted under, in `kebab-case`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::Refused => "refused",
            Self::HostUnreachable => "host-unreachable",
            Self::NetworkUnreachable => "network-unreachable",
            Self::Prohibited => "prohibited",
            Self::TooBig { .. } => "too-big",
            Self::TtlExceeded => "ttl-exceeded",
            Self::ProtocolError => "protocol-error",
        }
    }
}

/// Completes a sentence for a reader, as ping(8) words it: `too big, MTU 1400`.
impl fmt::Display for CauseKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Silent => "silent",
            Self::Refused => "port unreachable",
            Self::HostUnreachable => "host unreachable",
            Self::NetworkUnreachable => "network unreachable",
            Self::Prohibited => "administratively prohibited",
            Self::TooBig { mtu: Some(mtu) } => return write!(f, "too big, MTU {mtu}"),
            Self::TooBig { mtu: None } => "too big, MTU unknown",
            Self::TtlExceeded => "TTL exceeded",
            Self::ProtocolError => "rejected as a protocol error",
        })
    }
}

/// ICMP types (RFC 792) and ICMPv6 types (RFC 4443).
const DESTINATION_UNREACHABLE: u8 = 3;
const TIME_EXCEEDED: u8 = 11;
const DESTINATION_UNREACHABLE_V6: u8 = 1;
const PACKET_TOO_BIG: u8 = 2;
const TIME_EXCEEDED_V6: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_destination_unreachable_has_its_kind() {
        use CauseKind::{
            HostUnreachable as Host, NetworkUnreachable as Network, Prohibited, ProtocolError,
            Refused, TooBig, TtlExceeded,
        };
        let big = TooBig { mtu: Some(1280) };
        let v4 = [
            Network,
            Host,
            ProtocolError,
            Refused,
            big,
            ProtocolError,
            Network,
            Host,
            Host,
            Prohibited,
            Prohibited,
            Network,
            Host,
            Prohibited,
            Prohibited,
            Prohibited,
        ];
        for (code, expected) in (0..).zip(v4) {
            assert_eq!(CauseKind::of_icmp(3, code, 1280), expected, "{code}");
        }
        let v6 = [Network, Prohibited, Network, Host, Refused, Prohibited, Prohibited];
        for (code, expected) in (0..).zip(v6) {
            assert_eq!(CauseKind::of_icmpv6(1, code, 1280), expected, "{code}");
        }
        assert_eq!([CauseKind::of_icmp(11, 0, 0), CauseKind::of_icmpv6(3, 0, 0)], [TtlExceeded; 2]);
        assert_eq!(CauseKind::of_icmpv6(2, 0, 1280), big);
        let others = [
            CauseKind::of_icmp(11, 1, 0),
            CauseKind::of_icmp(12, 0, 0),
            CauseKind::of_icmpv6(3, 1, 0),
            CauseKind::of_icmpv6(4, 2, 0),
        ];
        assert_eq!(others, [ProtocolError; 4]);
    }

    #[test]
    fn mtu_of_zero_is_unknown() {
        let [v4, v6] = [CauseKind::of_icmp(3, 4, 0), CauseKind::of_icmpv6(2, 0, 0)];
        assert_eq!([v4, v6], [CauseKind::TooBig { mtu: None }; 2]);
        assert_eq!(v4.to_string(), "too big, MTU unknown");
        assert_eq!(CauseKind::of_icmp(3, 4, 1400).to_string(), "too big, MTU 1400");
    }
}
