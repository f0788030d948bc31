//! Reading pcap (<https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-05.html>) and pcapng
//! (<https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-03.html>).

mod times;

use std::io::{self, Read};
use std::time::Duration;

use hello_measure::{CaptureSpan, CapturedDatagram};
use pcap_parser::pcapng::Block;
use pcap_parser::traits::PcapNGPacketBlock;
use pcap_parser::{Linktype, OptionCode, PcapBlockOwned, PcapError, PcapNGOption, create_reader};
use thiserror::Error;

use self::times::Resolution;
use super::packet::{Link, datagram};

/// A capture cannot be read at all.
#[derive(Debug, Error)]
pub enum CaptureError {
    /// The file cannot be read.
    #[error("cannot read it")]
    Io(#[source] io::Error),
    /// The file is no capture.
    #[error("not a pcap or pcapng file")]
    NotACapture,
    /// No interface has a link type that is supported.
    #[error(
        "link type {0} is not supported: capture on an interface with Ethernet or IP, or with -i any"
    )]
    LinkType(i32),
}

/// What a capture has beside its datagrams.
#[derive(Debug)]
pub struct Capture {
    /// What it covers.
    pub span: CaptureSpan,
    /// The number of its packets.
    pub packets: u64,
    /// What is wrong with it.
    pub flaw: Option<String>,
}

/// Reads a capture from its start to its end, or to the first byte that makes no sense, and shows each
/// UDP datagram to `visit`. Memory does not depend on the length of the capture.
///
/// # Errors
///
/// [`CaptureError`] if nothing of the capture can be read. What makes no sense further behind is
/// [`Capture::flaw`].
pub fn read(
    input: impl Read + Send,
    visit: impl FnMut(&CapturedDatagram<'_>),
) -> Result<Capture, CaptureError> {
    let (mut failed, mut blocks) = (None, Blocks::new(visit));
    let flaw = scan(Whole { input, failed: &mut failed }, &mut blocks);
    match (flaw, failed) {
        (Err(NotACapture), Some(error)) => Err(CaptureError::Io(error)),
        (Err(NotACapture), None) => Err(CaptureError::NotACapture),
        (Ok(flaw), Some(error)) => {
            blocks.finish(Some(format!("{error} {}", flaw.unwrap_or_default())))
        }
        (Ok(flaw), None) => blocks.finish(flaw),
    }
}

/// The first bytes are not those of a capture.
struct NotACapture;

/// Handles each block of a capture. Returns what is wrong behind them.
fn scan(
    input: impl Read + Send,
    blocks: &mut Blocks<impl FnMut(&CapturedDatagram<'_>)>,
) -> Result<Option<String>, NotACapture> {
    let (mut reader, mut room) = (create_reader(BUFFER, input).map_err(|_| NotACapture)?, BUFFER);
    loop {
        let (offset, before) = (reader.consumed(), reader.data().len());
        let next = if blocks.is_too_short(reader.data()) {
            Err(PcapError::HeaderNotRecognized)
        } else {
            reader.next()
        };
        let len = match next {
            Ok((len, block)) => match blocks.handle(&block) {
                Ok(()) => len,
                Err(why) => return Ok(Some(format!("it has {why} at byte {offset}"))),
            },
            Err(PcapError::Eof) => return Ok(None),
            Err(PcapError::UnexpectedEof) => {
                return Ok(Some(format!("it ends inside the packet at byte {offset}")));
            }
            Err(PcapError::Incomplete(_) | PcapError::BufferTooSmall) => 0,
            Err(_) => return Ok(Some(format!("it makes no sense from byte {offset} on"))),
        };
        if len > 0 {
            reader.consume(len);
            continue;
        }
        if reader.refill().is_err() {
            return Ok(Some(format!("at byte {offset}")));
        }
        if reader.data().len() == before && !reader.reader_exhausted() {
            room *= 2;
            if room > MAX_BUFFER || !reader.grow(room) {
                return Ok(Some(format!("its packet at byte {offset} is too long")));
            }
        }
    }
}

/// What the blocks of a capture say, one after the other.
struct Blocks<F> {
    visit: F,
    span: CaptureSpan,
    packets: u64,
    /// The byte order of the section of a pcapng capture.
    byte_order: Option<ByteOrder>,
    interfaces: Vec<Interface>,
    /// Whether every packet was captured on all interfaces.
    has_all_interfaces: bool,
    /// A link type that is not supported, and whether there is one that is.
    unsupported: Option<i32>,
    supported: bool,
    /// Packets without a time.
    untimed: bool,
}

/// An interface of a capture.
struct Interface {
    link: Option<Link>,
    /// Whether it stands for all interfaces of the machine.
    is_all: bool,
    resolution: Resolution,
    /// The packets that its last statistics count as dropped, if they do.
    dropped: Option<u64>,
}

impl<F: FnMut(&CapturedDatagram<'_>)> Blocks<F> {
    fn new(visit: F) -> Self {
        Self {
            visit,
            span: CaptureSpan::default(),
            packets: 0,
            byte_order: None,
            interfaces: Vec::new(),
            has_all_interfaces: true,
            unsupported: None,
            supported: false,
            untimed: false,
        }
    }

    /// Whether the next block of a pcapng capture says that it is shorter than a block can be. pcap-parser
    /// subtracts from the length of a block with process information without checking it.
    fn is_too_short(&self, data: &[u8]) -> bool {
        let len = data.get(4..8).zip(self.byte_order).and_then(|(len, order)| order.number(len));
        len.is_some_and(|len| len < MIN_BLOCK)
    }

    /// Handles a block. Returns why the rest makes no sense, if so.
    fn handle(&mut self, block: &PcapBlockOwned<'_>) -> Result<(), &'static str> {
        match block {
            PcapBlockOwned::LegacyHeader(header) => {
                let resolution = match header.is_nanosecond_precision() {
                    true => Resolution::NANOSECONDS,
                    false => Resolution::MICROSECONDS,
                };
                self.add_interface(header.network, None, resolution);
            }
            PcapBlockOwned::Legacy(packet) => {
                let Some(interface) = self.interfaces.first() else { return Err("a lost header") };
                let at = interface.resolution.split(packet.ts_sec, packet.ts_usec);
                self.packet(0, at, packet.data, None);
            }
            PcapBlockOwned::NG(Block::SectionHeader(section)) => {
                self.end_section();
                self.byte_order = Some(match section.big_endian() {
                    true => ByteOrder::Big,
                    false => ByteOrder::Little,
                });
            }
            PcapBlockOwned::NG(Block::InterfaceDescription(interface)) => {
                if self.interfaces.len() >= MAX_INTERFACES {
                    return Err("too many interfaces");
                }
                let seconds = self.number(&interface.options, OptionCode::IfTsoffset);
                let resolution =
                    Resolution::new(interface.if_tsresol, seconds.unwrap_or(0).cast_signed());
                let resolution = resolution.ok_or("an impossible resolution of times")?;
                let name = option(&interface.options, OptionCode::IfName);
                self.add_interface(interface.linktype, name, resolution);
            }
            PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
                let index = usize::try_from(packet.if_id).unwrap_or(usize::MAX);
                let interface = self.interfaces.get(index).ok_or("a packet of no interface")?;
                let at = interface.resolution.join(packet.ts_high, packet.ts_low);
                // Bits 0 and 1 of the flags: 1 for inbound, 2 for outbound.
                let flags = self.number(&packet.options, EPB_FLAGS);
                let is_outgoing = flags.and_then(|flags| match flags & 3 {
                    1 => Some(false),
                    2 => Some(true),
                    _ => None,
                });
                self.packet(index, at, packet.packet_data(), is_outgoing);
            }
            PcapBlockOwned::NG(Block::InterfaceStatistics(statistics)) => {
                let index = usize::try_from(statistics.if_id).unwrap_or(usize::MAX);
                let dropped = |code| self.number(&statistics.options, code);
                let counts = [dropped(OptionCode::IsbIfDrop), dropped(OptionCode::IsbOsDrop)];
                let counted = counts.into_iter().flatten().reduce(u64::saturating_add);
                if let Some(of) = self.interfaces.get_mut(index) {
                    // They count from the start of the capture.
                    of.dropped = of.dropped.max(counted);
                }
            }
            PcapBlockOwned::NG(Block::SimplePacket(_)) => {
                self.packets += 1;
                self.untimed = true;
            }
            PcapBlockOwned::NG(_) => {}
        }
        Ok(())
    }

    /// Returns the number in the first option with this code, which has the byte order of its section.
    fn number(&self, options: &[PcapNGOption<'_>], code: OptionCode) -> Option<u64> {
        self.byte_order?.number(option(options, code)?)
    }

    fn add_interface(&mut self, linktype: Linktype, name: Option<&[u8]>, resolution: Resolution) {
        let link = Link::from_number(linktype.0);
        self.supported |= link.is_some();
        if link.is_none() {
            self.unsupported = Some(linktype.0);
        }
        let is_all = link.is_some_and(|link| link.is_of_all_interfaces(name));
        self.interfaces.push(Interface { link, is_all, resolution, dropped: None });
    }

    fn packet(&mut self, index: usize, at: Duration, packet: &[u8], is_outgoing: Option<bool>) {
        self.packets += 1;
        self.span.handle_packet(at);
        let Some(&Interface { link: Some(link), is_all, .. }) = self.interfaces.get(index) else {
            return;
        };
        self.has_all_interfaces &= is_all;
        if let Some(found) = datagram(link, at, packet) {
            let is_outgoing = found.is_outgoing.or(is_outgoing);
            (self.visit)(&CapturedDatagram { is_outgoing, ..found });
        }
    }

    /// Forgets the interfaces of a section, but not what they dropped.
    fn end_section(&mut self) {
        for dropped in self.interfaces.drain(..).filter_map(|interface| interface.dropped) {
            self.span.handle_dropped(dropped);
        }
    }

    fn finish(mut self, flaw: Option<String>) -> Result<Capture, CaptureError> {
        self.end_section();
        if let (false, Some(number)) = (self.supported, self.unsupported) {
            return Err(CaptureError::LinkType(number));
        }
        let flaw = flaw
            .or(self.unsupported.map(|number| format!("link type {number} is not supported")))
            .or(self.untimed.then(|| "some packets have no time".into()));
        if flaw.is_some() {
            self.span.handle_broken();
        }
        self.span.set_all_interfaces(self.has_all_interfaces && self.packets > 0);
        Ok(Capture { span: self.span, packets: self.packets, flaw })
    }
}

/// Returns the bytes of the first option with this code.
fn option<'a>(options: &'a [PcapNGOption<'_>], code: OptionCode) -> Option<&'a [u8]> {
    options.iter().find(|option| option.code == code)?.as_bytes().ok()
}

/// The order of the bytes of a number.
#[derive(Clone, Copy)]
enum ByteOrder {
    Big,
    Little,
}

impl ByteOrder {
    /// Returns the number that these bytes are, if there are at most eight.
    fn number(self, bytes: &[u8]) -> Option<u64> {
        let mut number = [0; 8];
        match self {
            Self::Little => {
                number.get_mut(..bytes.len())?.copy_from_slice(bytes);
                Some(u64::from_le_bytes(number))
            }
            Self::Big => {
                let start = number.len().checked_sub(bytes.len())?;
                number.get_mut(start..)?.copy_from_slice(bytes);
                Some(u64::from_be_bytes(number))
            }
        }
    }
}

/// Fills the whole buffer in each call, as the parser expects of its first one, and keeps the error of
/// a read, which the parser drops.
struct Whole<'a, R> {
    input: R,
    failed: &'a mut Option<io::Error>,
}

impl<R: Read> Read for Whole<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.input.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(len) => filled += len,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let kind = error.kind();
                    *self.failed = Some(error);
                    return Err(kind.into());
                }
            }
        }
        Ok(filled)
    }
}

/// The buffer that is enough for tcpdump's longest packet, in bytes.
const BUFFER: usize = 1 << 19;

/// The longest buffer, in bytes. A longer packet is no packet.
const MAX_BUFFER: usize = 1 << 22;

/// The length of a block without a body, in bytes: its type, and its length twice.
const MIN_BLOCK: u64 = 12;

/// The most interfaces of a section.
const MAX_INTERFACES: usize = 4096;

/// The option of a packet with its direction.
const EPB_FLAGS: OptionCode = OptionCode(2);

#[cfg(test)]
mod tests;
