//! Packets, field by field, of which each may be wrong.

use std::net::{IpAddr, SocketAddr};

/// An Ethernet frame with a UDP datagram.
#[derive(Clone, Debug)]
pub(super) struct Packet {
    pub(super) to: [u8; 6],
    pub(super) from: [u8; 6],
    /// Of 802.1Q: priority and VLAN.
    pub(super) tags: Vec<u16>,
    /// The addresses are of one family.
    pub(super) source: SocketAddr,
    pub(super) destination: SocketAddr,
    pub(super) hop_limit: u8,
    pub(super) protocol: u8,
    /// The flags and the offset of IPv4.
    pub(super) fragment: u16,
    /// The length of the options of IPv4, in words.
    pub(super) options: usize,
    /// The numbers of the extension headers of IPv6.
    pub(super) extensions: Vec<u8>,
    pub(super) name: Vec<u8>,
    pub(super) checksum: Checksum,
    /// What is added to each of these fields.
    pub(super) udp_len_error: u16,
    pub(super) ip_len_error: u16,
    pub(super) header_checksum_error: u16,
    /// Bytes behind the datagram.
    pub(super) trailing: usize,
    /// The frame is padded to this length.
    pub(super) padded_to: usize,
    /// Bits that are flipped in the end: of the byte at each index, if there is one.
    pub(super) flipped: Vec<(usize, u8)>,
    /// The frame ends here at the latest.
    pub(super) cut_at: usize,
}

/// What stands for the checksum of UDP.
#[derive(Clone, Copy, Debug)]
pub(super) enum Checksum {
    Correct,
    Zero,
    /// That of the pseudo-header alone, which the hardware would complete.
    Partial,
    /// The correct one with something added.
    Wrong(u16),
}

impl Packet {
    pub(super) fn new(source: SocketAddr, destination: SocketAddr, name: &[u8]) -> Self {
        Self {
            to: [0x02, 0, 0, 0, 0, 0x01],
            from: [0x02, 0, 0, 0, 0, 0x99],
            tags: Vec::new(),
            source,
            destination,
            hop_limit: 57,
            protocol: UDP,
            fragment: DONT_FRAGMENT,
            options: 0,
            extensions: Vec::new(),
            name: name.to_vec(),
            checksum: Checksum::Correct,
            udp_len_error: 0,
            ip_len_error: 0,
            header_checksum_error: 0,
            trailing: 0,
            padded_to: 0,
            flipped: Vec::new(),
            cut_at: usize::MAX,
        }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = [self.to, self.from].concat();
        for tag in &self.tags {
            bytes.extend([0x81, 0x00]);
            bytes.extend(tag.to_be_bytes());
        }
        let datagram = self.datagram();
        match self.source.ip() {
            IpAddr::V4(_) => {
                bytes.extend([0x08, 0x00]);
                bytes.extend(self.ipv4_header(datagram.len()));
            }
            IpAddr::V6(_) => {
                bytes.extend([0x86, 0xdd]);
                bytes.extend(self.ipv6_header(datagram.len()));
            }
        }
        bytes.extend(datagram);
        bytes.resize(bytes.len() + self.trailing, 0xa5);
        bytes.resize(bytes.len().max(self.padded_to), 0);
        for (index, bits) in &self.flipped {
            if let Some(byte) = bytes.get_mut(*index) {
                *byte ^= bits;
            }
        }
        bytes.truncate(self.cut_at);
        bytes
    }

    fn ipv4_header(&self, payload: usize) -> Vec<u8> {
        let len = 20 + 4 * self.options;
        let mut header = vec![0x40 | u8::try_from(len / 4).expect("at most 15"), 0];
        header.extend(length(len + payload).wrapping_add(self.ip_len_error).to_be_bytes());
        header.extend([0, 0]);
        header.extend(self.fragment.to_be_bytes());
        header.extend([self.hop_limit, self.protocol, 0, 0]);
        header.extend(octets(self.source.ip()));
        header.extend(octets(self.destination.ip()));
        // No-operations.
        header.resize(len, 1);
        let checksum = (!sum(&header)).wrapping_add(self.header_checksum_error);
        header[10..12].copy_from_slice(&checksum.to_be_bytes());
        header
    }

    fn ipv6_header(&self, payload: usize) -> Vec<u8> {
        // Each extension is as short as can be: filled up by one option, or the first of one fragment,
        // or a route that is travelled already.
        let numbers = self.extensions.iter().copied().chain([self.protocol]);
        let extensions = numbers.clone().skip(1).zip(&self.extensions).flat_map(|(next, own)| {
            if *own == FRAGMENT { [next, 0, 0, 0, 0, 0, 0, 7] } else { [next, 0, 1, 4, 0, 0, 0, 0] }
        });
        let extensions = Vec::from_iter(extensions);
        let len = length(extensions.len() + payload).wrapping_add(self.ip_len_error);
        let mut header = vec![0x60, 0, 0, 0];
        header.extend(len.to_be_bytes());
        header.extend([numbers.clone().next().expect("one at least"), self.hop_limit]);
        header.extend(octets(self.source.ip()));
        header.extend(octets(self.destination.ip()));
        header.extend(extensions);
        header
    }

    fn datagram(&self) -> Vec<u8> {
        let len = length(8 + self.name.len()).wrapping_add(self.udp_len_error);
        let mut datagram = Vec::new();
        datagram.extend(self.source.port().to_be_bytes());
        datagram.extend(self.destination.port().to_be_bytes());
        datagram.extend(len.to_be_bytes());
        datagram.extend([0, 0]);
        datagram.extend(&self.name);
        let pseudo = sum(&pseudo_header(self.source.ip(), self.destination.ip(), len));
        let correct = || match !sum(&[&pseudo.to_be_bytes(), &datagram[..]].concat()) {
            0 => 0xffff,
            checksum => checksum,
        };
        let checksum = match self.checksum {
            Checksum::Correct => correct(),
            Checksum::Zero => 0,
            Checksum::Partial => pseudo,
            Checksum::Wrong(error) => correct().wrapping_add(error),
        };
        datagram[6..8].copy_from_slice(&checksum.to_be_bytes());
        datagram
    }
}

/// Returns what the checksum of UDP covers besides the datagram.
pub(super) fn pseudo_header(source: IpAddr, destination: IpAddr, len: u16) -> Vec<u8> {
    [&octets(source)[..], &octets(destination), &[0, UDP], &len.to_be_bytes()].concat()
}

/// Returns the sum of 16-bit words in ones' complement (RFC 1071).
pub(super) fn sum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|word| match *word {
        [high, low] => u64::from(u16::from_be_bytes([high, low])),
        _ => u64::from(word[0]) << 8,
    });
    let mut sum: u64 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).expect("16 bits")
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn length(len: usize) -> u16 {
    u16::try_from(len).expect("a datagram's")
}

pub(super) const UDP: u8 = 17;
pub(super) const FRAGMENT: u8 = 44;
pub(super) const DONT_FRAGMENT: u16 = 0x4000;
