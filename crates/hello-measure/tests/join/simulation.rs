//! A path with a server and a capture, in memory.

use std::net::SocketAddr;
use std::time::Duration;

use hello_measure::{CaptureSpan, CapturedDatagram, Join, JoinPlan, Joined, ProbeOutcome};
use hello_proto::{Peer, Request, Token};

/// What happens to a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Answered,
    LostThere,
    Unanswered,
    UnansweredAfterTimeout,
    LostBack,
    LateThere,
    LateServer,
    LateBack,
}

impl Fate {
    /// Half of the probes are answered.
    pub(crate) fn from_percent(percent: u8) -> Self {
        match percent {
            0..10 => Self::LostThere,
            10..18 => Self::Unanswered,
            18..22 => Self::UnansweredAfterTimeout,
            22..32 => Self::LostBack,
            32..38 => Self::LateThere,
            38..44 => Self::LateServer,
            44..50 => Self::LateBack,
            _ => Self::Answered,
        }
    }
}

/// What is wrong with a capture.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Flaw {
    /// It starts behind this share of the packets, in 256ths.
    Late(u8),
    /// It ends before this share of the packets, in 256ths.
    Early(u8),
    /// One in this many packets is missing.
    Missing(u8),
    /// Every packet is cut to this many bytes of payload.
    Cut(u8),
    /// Packets are in another order, though their times are right.
    Reordered(u8),
    /// Every packet is there twice, as with several interfaces.
    Duplicated,
    /// It has packets of others.
    Foreign,
    /// Its packets are first fragments.
    Fragmented,
}

impl From<[u8; 3]> for Flaw {
    fn from([kind, number, _]: [u8; 3]) -> Self {
        match kind % 8 {
            0 => Self::Late(number),
            1 => Self::Early(number),
            2 => Self::Missing(number % 60 + 2),
            3 => Self::Cut(number % 32),
            4 => Self::Reordered(number),
            5 => Self::Duplicated,
            6 => Self::Foreign,
            _ => Self::Fragmented,
        }
    }
}

/// A packet of a capture.
#[derive(Clone, Debug)]
struct Packet {
    at: Duration,
    ends: [SocketAddr; 2],
    payload: Vec<u8>,
    /// What it is a copy of; `None` for a packet of others.
    of: Option<Passage>,
}

/// A request or a reply that passed the server, of which a capture may have copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Passage {
    seq: u32,
    is_reply: bool,
    /// Whether the outcome of the probe proves that the packet passed.
    is_proven: bool,
}

#[derive(Clone, Debug)]
struct Probe {
    fate: Fate,
    sent: Duration,
    /// The times there, at the server, and back.
    parts: [Duration; 3],
}

/// A run of probes.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    probes: Vec<Probe>,
    flows: usize,
    is_echo: bool,
    has_nat: bool,
    /// When the run starts by the clock of the capture.
    epoch: Duration,
}

const RUN_ID: u16 = 0xbeef;
const NAME_LEN: usize = 16;
const TIMEOUT: Duration = Duration::from_secs(1);
const INTERVAL: Duration = Duration::from_millis(100);

impl Run {
    /// Probes have a fate, and random numbers for their delays there and back.
    pub(crate) fn new(
        probes: impl Iterator<Item = (Fate, u64, u64)>,
        flows: usize,
        is_echo: bool,
        has_nat: bool,
        offset: i32,
    ) -> Self {
        let probe = |(number, (fate, there, back)): (u32, (Fate, u64, u64))| {
            let jitter = Duration::from_micros;
            let mut parts = [
                Duration::from_millis(10) + jitter(there % 5000),
                jitter(there % 300),
                Duration::from_millis(30) + jitter(back % 5000),
            ];
            let slow = TIMEOUT + jitter(back % 900_000);
            match fate {
                Fate::LateThere | Fate::UnansweredAfterTimeout => parts[0] += slow,
                Fate::LateServer => parts[1] += slow,
                Fate::LateBack => parts[2] += slow,
                // A packet may be slow before it is lost.
                Fate::Unanswered | Fate::LostBack => parts[0] += jitter(back * 10),
                Fate::Answered | Fate::LostThere => {}
            }
            Probe { fate, sent: INTERVAL * number, parts }
        };
        let probes = (0..).zip(probes).map(probe).collect();
        let epoch = Duration::from_secs(2_000_000_000 + u64::from(offset.unsigned_abs()));
        Self { probes, flows, is_echo, has_nat, epoch }
    }

    pub(crate) fn fate(&self, seq: u32) -> Fate {
        self.probes[seq as usize - 1].fate
    }

    pub(crate) fn count(&self, counts: impl Fn(Fate) -> bool) -> usize {
        self.probes.iter().filter(|probe| counts(probe.fate)).count()
    }

    /// Returns the number of lost and late probes.
    pub(crate) fn losses(&self) -> usize {
        self.count(|fate| fate != Fate::Answered)
    }

    /// Returns whether no probe of a flow was answered.
    pub(crate) fn is_silent(&self, flow: usize) -> bool {
        let of = self.probes.iter().skip(flow).step_by(self.flows);
        of.into_iter().all(|probe| Self::outcome(probe).rtt().is_none())
    }

    fn outcome(probe: &Probe) -> ProbeOutcome {
        let rtt = probe.parts.iter().sum();
        match probe.fate {
            Fate::Answered => ProbeOutcome::Answered { rtt },
            Fate::LateThere | Fate::LateServer | Fate::LateBack => ProbeOutcome::Late { rtt },
            _ => ProbeOutcome::Lost,
        }
    }

    fn server(&self) -> SocketAddr {
        ([192, 0, 2, 2], if self.is_echo { 7 } else { 9999 }).into()
    }

    fn local(flow: usize) -> SocketAddr {
        ([10, 0, 0, 1], 50_000 + u16::try_from(flow).expect("few")).into()
    }

    /// Returns the packets that pass the server, in order, and some of others long before and after.
    fn packets(&self) -> Vec<Packet> {
        let mut packets = Vec::new();
        for (seq, probe) in (1..).zip(&self.probes) {
            let flow = (seq as usize - 1) % self.flows;
            let mut client = Self::local(flow);
            if self.has_nat {
                client.set_port(client.port() + 1000);
            }
            let is_proven = Self::outcome(probe).rtt().is_some();
            let passage = |is_reply| Some(Passage { seq, is_reply, is_proven });
            let mut name = [0; NAME_LEN];
            Token { run_id: RUN_ID, seq }.encode(&mut name).expect("room");
            let arrival = self.epoch + probe.sent + probe.parts[0];
            if probe.fate != Fate::LostThere {
                let (ends, payload) = ([client, self.server()], name.to_vec());
                packets.push(Packet { at: arrival, ends, payload, of: passage(false) });
            }
            if is_proven || probe.fate == Fate::LostBack {
                let (ends, at) = ([self.server(), client], arrival + probe.parts[1]);
                let reply = Request::new(&name).expect("short").reply();
                let payload = if self.is_echo { name.to_vec() } else { reply.parts().concat() };
                packets.push(Packet { at, ends, payload, of: passage(true) });
            }
        }
        let end = self.epoch + INTERVAL * 80 + TIMEOUT * 8;
        for at in [self.epoch - TIMEOUT * 4, end] {
            packets.push(Self::foreign(at, b"something else entirely"));
        }
        packets.sort_by_key(|packet| packet.at);
        packets
    }

    fn foreign(at: Duration, payload: &[u8]) -> Packet {
        let ends = [([192, 0, 2, 9], 53).into(), ([192, 0, 2, 2], 53).into()];
        Packet { at, ends, payload: payload.to_vec(), of: None }
    }

    /// Joins the run with a capture that has these flaws.
    pub(crate) fn join(&self, flaws: &[Flaw]) -> Joined {
        let mut packets = self.packets();
        let passed = Vec::from_iter(packets.iter().filter_map(|packet| packet.of));
        let (mut cut, mut is_fragment) = (usize::MAX, false);
        for flaw in flaws {
            // The time at this share of the packets.
            let time = |number: u8| {
                let mut times = Vec::from_iter(packets.iter().map(|packet| packet.at));
                times.sort();
                times.get(times.len() * usize::from(number) / 256).copied().unwrap_or_default()
            };
            match *flaw {
                Flaw::Late(number) => {
                    let start = time(number);
                    packets.retain(|packet| packet.at >= start);
                }
                Flaw::Early(number) => {
                    let end = time(u8::MAX - number);
                    packets.retain(|packet| packet.at <= end);
                }
                Flaw::Missing(one_in) => {
                    let mut number = 0_usize;
                    packets.retain(|packet| {
                        number = number.wrapping_mul(31).wrapping_add(packet.payload.len() + 7);
                        number = number.wrapping_add(packet.at.subsec_micros() as usize);
                        packet.of.is_none() || !(number / 8).is_multiple_of(usize::from(one_in))
                    });
                }
                Flaw::Cut(bytes) => cut = cut.min(bytes.into()),
                Flaw::Reordered(step) => {
                    for index in (1..packets.len()).step_by(usize::from(step) + 1) {
                        packets.swap(index - 1, index);
                    }
                }
                Flaw::Duplicated => {
                    let copies = packets.clone().into_iter().map(|packet| Packet {
                        at: packet.at + Duration::from_micros(50),
                        ..packet
                    });
                    packets.extend(copies);
                }
                Flaw::Foreign => {
                    let mut other = [0; NAME_LEN];
                    Token { run_id: RUN_ID + 1, seq: 1 }.encode(&mut other).expect("room");
                    let others = packets.iter().map(|packet| Self::foreign(packet.at, &other));
                    packets = others.collect::<Vec<_>>().into_iter().chain(packets).collect();
                }
                Flaw::Fragmented => is_fragment = true,
            }
        }
        let mut span = CaptureSpan::default();
        // Nobody can see that only packets of lost probes are missing, unless they are counted.
        let is_missing = |of: &&Passage| packets.iter().all(|packet| packet.of != Some(**of));
        let missing = Vec::from_iter(passed.iter().filter(is_missing));
        if !missing.is_empty() {
            let is_proven = missing.iter().any(|of| of.is_proven);
            let is_shorter = flaws.iter().any(|flaw| matches!(flaw, Flaw::Missing(_)));
            span.handle_dropped(u64::from(is_shorter && !is_proven));
        }
        let mut join = Join::new(JoinPlan {
            run_id: RUN_ID,
            peer: if self.is_echo { Peer::Echo } else { Peer::Hello },
            name_len: NAME_LEN,
            timeout: TIMEOUT,
            server: self.server(),
            local: (0..self.flows).map(Self::local).collect(),
        });
        for (seq, probe) in (1..).zip(&self.probes) {
            let flow = (seq as usize - 1) % self.flows;
            join.handle_probe(seq, flow, probe.sent, Self::outcome(probe));
        }
        for packet in &packets {
            span.handle_packet(packet.at);
            join.handle_datagram(&CapturedDatagram {
                at: packet.at,
                source: packet.ends[0],
                destination: packet.ends[1],
                payload: &packet.payload[..packet.payload.len().min(cut)],
                len: packet.payload.len(),
                is_fragment,
                is_outgoing: None,
                ttl: Some(64),
            });
        }
        join.finish(&span)
    }
}
