use std::fmt;

/// The mark in the header of a packet: its DSCP and its ECN codepoint, which share a byte (the
/// former TOS byte of IPv4, the traffic class of IPv6; RFC 2474 section 3, RFC 3168 section 5).
///
/// ```
/// use hello_measure::{Dscp, Ecn, Mark};
///
/// let mark = Mark::from_byte(0xb8);
/// assert_eq!(mark, Mark { dscp: Dscp::EF, ecn: Ecn::NotEct });
/// assert_eq!(mark.to_string(), "ef");
/// assert_eq!(Mark { ecn: Ecn::Ce, ..mark }.byte(), 0xbb);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark {
    /// The class of service that the packet requests.
    pub dscp: Dscp,
    /// Whether it supports or reports congestion notification.
    pub ecn: Ecn,
}

impl Mark {
    /// Reads the byte of a header. Every byte is a mark.
    pub const fn from_byte(byte: u8) -> Self {
        Self { dscp: Dscp(byte >> 2), ecn: Ecn::from_bits(byte) }
    }

    /// Returns the byte of a header.
    pub const fn byte(self) -> u8 {
        self.dscp.0 << 2 | self.ecn.bits()
    }
}

/// The name of the DSCP, then that of the ECN codepoint unless it is `not-ect`: `ef/ect0`, `cs0`.
impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ecn {
            Ecn::NotEct => self.dscp.fmt(f),
            ecn => write!(f, "{}/{ecn}", self.dscp),
        }
    }
}

/// A differentiated services codepoint, from 0 to 63 (RFC 2474 section 3).
///
/// ```
/// use hello_measure::Dscp;
///
/// assert_eq!(Dscp::new(46), Some(Dscp::EF));
/// assert_eq!(Dscp::new(64), None);
/// assert_eq!(Dscp::from_name("af41").map(Dscp::value), Some(34));
/// assert_eq!(Dscp::new(5).map(|dscp| dscp.to_string()), Some("5".into()));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dscp(u8);

impl Dscp {
    /// Expedited forwarding, as for voice (RFC 3246).
    pub const EF: Self = Self(46);

    /// The highest codepoint.
    pub const MAX: u8 = 63;

    /// Checks a codepoint; `None` above [`MAX`](Self::MAX).
    pub const fn new(value: u8) -> Option<Self> {
        if value <= Self::MAX { Some(Self(value)) } else { None }
    }

    /// Returns the codepoint of a name, such as `ef`, `cs5`, `af41`, `le` or `va`, in lower case.
    pub fn from_name(name: &str) -> Option<Self> {
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, value)| Self(*value))
    }

    /// Returns the codepoint.
    pub const fn value(self) -> u8 {
        self.0
    }
}

/// The name, or the number of a codepoint without one.
impl fmt::Display for Dscp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(_, value)| *value == self.0) {
            Some((name, _)) => f.write_str(name),
            None => self.0.fmt(f),
        }
    }
}

/// An explicit congestion notification codepoint (RFC 3168 section 5).
///
/// ```
/// use hello_measure::Ecn;
///
/// assert_eq!(Ecn::from_bits(2), Ecn::Ect0);
/// assert_eq!((Ecn::Ce.label(), Ecn::Ce.bits()), ("ce", 3));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ecn {
    /// The transport does not support ECN.
    #[default]
    NotEct,
    /// It does, and requests low latency (L4S, RFC 9331).
    Ect1,
    /// It does.
    Ect0,
    /// A router on the path was congested.
    Ce,
}

impl Ecn {
    /// Reads the two low bits of a byte, and ignores the others.
    pub const fn from_bits(byte: u8) -> Self {
        match byte & 0b11 {
            0b00 => Self::NotEct,
            0b01 => Self::Ect1,
            0b10 => Self::Ect0,
            _ => Self::Ce,
        }
    }

    /// Returns the two bits.
    pub const fn bits(self) -> u8 {
        match self {
            Self::NotEct => 0b00,
            Self::Ect1 => 0b01,
            Self::Ect0 => 0b10,
            Self::Ce => 0b11,
        }
    }

    /// Returns the name it is counted under, in `kebab-case`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::NotEct => "not-ect",
            Self::Ect1 => "ect1",
            Self::Ect0 => "ect0",
            Self::Ce => "ce",
        }
    }
}

impl fmt::Display for Ecn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// The names of the IANA registry "Differentiated Services Field Codepoints", in lower case: RFC
/// 2474, RFC 2597, RFC 3246, RFC 5865 (`va`) and RFC 8622 (`le`).
const NAMES: [(&str, u8); 23] = [
    ("cs0", 0),
    ("le", 1),
    ("cs1", 8),
    ("af11", 10),
    ("af12", 12),
    ("af13", 14),
    ("cs2", 16),
    ("af21", 18),
    ("af22", 20),
    ("af23", 22),
    ("cs3", 24),
    ("af31", 26),
    ("af32", 28),
    ("af33", 30),
    ("cs4", 32),
    ("af41", 34),
    ("af42", 36),
    ("af43", 38),
    ("cs5", 40),
    ("va", 44),
    ("ef", 46),
    ("cs6", 48),
    ("cs7", 56),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_a_mark_and_back() {
        for byte in 0..=u8::MAX {
            let mark = Mark::from_byte(byte);
            assert_eq!(mark.byte(), byte);
            assert_eq!(Dscp::new(mark.dscp.value()), Some(mark.dscp));
        }
        assert_eq!(Mark::default(), Mark::from_byte(0));
    }

    #[test]
    fn every_name_is_that_of_its_codepoint() {
        for (name, value) in NAMES {
            let dscp = Dscp::from_name(name).expect("a name");
            assert_eq!((dscp.value(), dscp.to_string()), (value, name.to_owned()));
        }
        // RFC 2597 section 6, and RFC 2474 section 4.2.2.
        for class in 1..=4 {
            for drop in 1..=3 {
                let name = format!("af{class}{drop}");
                assert_eq!(Dscp::from_name(&name).map(Dscp::value), Some(8 * class + 2 * drop));
            }
        }
        for class in 0..=7 {
            assert_eq!(Dscp::from_name(&format!("cs{class}")).map(Dscp::value), Some(8 * class));
        }
        assert_eq!((Dscp::from_name("EF"), Dscp::from_name("46")), (None, None));
    }

    #[test]
    fn mark_names_the_ecn_codepoint_only_if_there_is_one() {
        for (byte, text) in
            [(0, "cs0"), (1, "cs0/ect1"), (0xb8, "ef"), (0xba, "ef/ect0"), (0x17, "5/ce")]
        {
            assert_eq!(Mark::from_byte(byte).to_string(), text);
        }
    }
}
