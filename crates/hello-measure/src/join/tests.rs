mod outages;
mod vantage;

use hello_proto::Request;

use super::*;
use crate::join::verdict::{Doubt, Place};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// The clock of the capture is this far ahead.
const EPOCH: Duration = Duration::from_secs(1000);

fn address(host: u8, port: u16) -> SocketAddr {
    ([192, 0, 2, host], port).into()
}

/// A run from 192.0.2.1, probes of which pass the server at 192.0.2.2.
struct Scene {
    join: Join,
    span: CaptureSpan,
    client: SocketAddr,
    is_outgoing: Option<bool>,
    is_fragment: bool,
    ttl: Option<u8>,
}

impl Scene {
    fn new(flows: u16) -> Self {
        let join = Join::new(JoinPlan {
            run_id: 7,
            peer: Peer::Hello,
            name_len: 16,
            timeout: SECOND,
            server: address(2, 9999),
            local: (0..flows).map(|flow| address(1, 50_000 + flow)).collect(),
        });
        let mut span = CaptureSpan::default();
        span.handle_packet(EPOCH - SECOND);
        span.handle_packet(EPOCH + 100 * SECOND);
        Self {
            join,
            span,
            client: address(1, 50_000),
            is_outgoing: None,
            is_fragment: false,
            ttl: None,
        }
    }

    /// Adds a probe that is sent in this second.
    fn probe(&mut self, seq: u32, outcome: ProbeOutcome) {
        self.join.handle_probe(seq, 0, SECOND * seq, outcome);
    }

    /// Adds answered probes, whose times there and back are 10 and 20 ms.
    fn answered(&mut self, seqs: impl IntoIterator<Item = u32>) {
        for seq in seqs {
            self.probe(seq, ProbeOutcome::Answered { rtt: 31 * MS });
            self.request(seq, SECOND * seq + 10 * MS);
            self.reply(seq, SECOND * seq + 11 * MS);
        }
    }

    fn packet(&mut self, at: Duration, [source, destination]: [SocketAddr; 2], payload: &[u8]) {
        let is_ours = self.join.handle_datagram(&CapturedDatagram {
            at: EPOCH + at,
            source,
            destination,
            payload,
            len: payload.len(),
            is_fragment: self.is_fragment,
            is_outgoing: self.is_outgoing,
            ttl: self.ttl,
        });
        self.span.handle_packet(EPOCH + at);
        let _ = is_ours;
    }

    fn request(&mut self, seq: u32, at: Duration) {
        self.packet(at, [self.client, address(2, 9999)], &name(seq));
    }

    fn reply(&mut self, seq: u32, at: Duration) {
        let name = name(seq);
        let reply = Request::new(&name).expect("short").reply().parts().concat();
        self.packet(at, [address(2, 9999), self.client], &reply);
    }

    fn finish(self) -> Joined {
        self.join.finish(&self.span)
    }

    fn places(self) -> Vec<Place> {
        self.finish().verdicts.iter().map(|verdict| verdict.place).collect()
    }
}

fn name(seq: u32) -> [u8; 16] {
    let mut name = [0; 16];
    Token { run_id: 7, seq }.encode(&mut name).expect("room");
    name
}

/// A run in which probes 3, 4 and 5 are lost there, at the server, and on the way back.
fn three_losses() -> Scene {
    let mut scene = Scene::new(1);
    lose_three(&mut scene);
    scene
}

fn lose_three(scene: &mut Scene) {
    scene.answered([1, 2, 6, 7]);
    (3..=5).for_each(|seq| scene.probe(seq, ProbeOutcome::Lost));
    (4..=5).for_each(|seq| scene.request(seq, SECOND * seq));
    scene.reply(5, SECOND * 5);
}

#[test]
fn place_of_a_loss_is_where_the_last_packet_was_seen() {
    let joined = three_losses().finish();
    let places = Vec::from_iter(joined.verdicts.iter().map(|verdict| verdict.place));
    assert_eq!(places, [Place::There, Place::Server, Place::Back]);
    let summary = joined.summary;
    assert_eq!((summary.probes, summary.answered, summary.missing), (7, 4, 0));
    assert_eq!((summary.requests_seen, summary.replies_seen, summary.complete), (6, 5, true));
    assert_eq!((summary.lost.there, summary.lost.server, summary.lost.back), (1, 1, 1));
    assert_eq!((summary.lost.total(), summary.late.total()), (3, 0));
    assert_eq!(joined.verdicts[2].sent, 5 * SECOND);
}

#[test]
fn reply_to_a_lost_probe_proves_nothing_if_its_late_line_may_be_suppressed() {
    let mut scene = three_losses();
    scene.join.handle_suppressed();
    let unknown = Place::Unknown(Doubt::LinesSuppressed);
    assert_eq!(scene.places(), [Place::There, Place::Server, unknown]);
}

#[test]
fn absence_proves_nothing_if_packets_are_known_to_be_missing() {
    let unknown = |doubt| [Place::Unknown(doubt), Place::Unknown(doubt), Place::Back];
    let mut missing = three_losses();
    missing.probe(8, ProbeOutcome::Answered { rtt: 31 * MS });
    missing.request(8, SECOND * 8 + 10 * MS);
    let joined = missing.clone_finish();
    assert_eq!((joined.summary.missing, joined.summary.complete), (1, false));
    assert_eq!(missing.places(), unknown(Doubt::PacketsMissing));

    let mut dropped = three_losses();
    dropped.span.handle_dropped(1);
    assert_eq!(dropped.places(), unknown(Doubt::PacketsMissing));

    let mut broken = three_losses();
    broken.span.handle_broken();
    assert_eq!(broken.places(), unknown(Doubt::PacketsMissing));

    let mut cut = three_losses();
    cut.join.handle_datagram(&CapturedDatagram {
        at: EPOCH,
        source: address(1, 50_000),
        destination: address(2, 9999),
        payload: b"",
        len: 16,
        is_fragment: false,
        is_outgoing: None,
        ttl: None,
    });
    assert_eq!(cut.clone_finish().summary.cut, 1);
    assert_eq!(cut.places(), unknown(Doubt::PacketsMissing));
}

impl Scene {
    fn clone_finish(&self) -> Joined {
        self.join.clone().finish(&self.span)
    }
}

#[test]
fn late_reply_to_a_probe_of_the_run_must_be_captured_too() {
    let mut scene = three_losses();
    scene.probe(8, ProbeOutcome::Late { rtt: 3 * SECOND });
    let joined = scene.finish();
    assert_eq!((joined.summary.missing, joined.summary.lost.not_known), (1, 2));
    assert_eq!(joined.verdicts[3].place, Place::Unknown(Doubt::NoDelay));
}

#[test]
fn capture_must_cover_a_lost_probe_and_its_timeout() {
    let at = |seconds: u32| EPOCH + SECOND * seconds;
    // Probe 3 is lost; its request would arrive between 2.98 and 3.01 s.
    for (first, last, place) in [
        (at(2), at(8), Place::There),
        (at(2), at(4) + 10 * MS, Place::There),
        (at(2), at(4) + 9 * MS, Place::Unknown(Doubt::OutsideCapture)),
        (at(3) - 20 * MS, at(8), Place::There),
        (at(3) - 5 * MS, at(8), Place::Unknown(Doubt::OutsideCapture)),
    ] {
        let mut scene = Scene::new(1);
        scene.answered([2]);
        scene.probe(3, ProbeOutcome::Lost);
        scene.span = CaptureSpan::default();
        scene.span.handle_packet(first);
        scene.span.handle_packet(last);
        assert_eq!(scene.places(), [place], "{first:?} {last:?}");
    }
}

#[test]
fn flow_without_an_answer_needs_a_capture_of_all_interfaces() {
    let scene = || {
        let mut scene = Scene::new(2);
        scene.answered([1, 2]);
        scene.join.handle_probe(3, 1, SECOND * 3, ProbeOutcome::Lost);
        scene
    };
    assert_eq!(scene().places(), [Place::Unknown(Doubt::SilentFlow)]);
    let mut all = scene();
    all.span.set_all_interfaces(true);
    assert_eq!(all.places(), [Place::There]);
}

#[test]
fn first_fragment_of_a_request_is_not_the_whole_request() {
    let mut scene = Scene::new(1);
    scene.answered([1, 2]);
    scene.is_fragment = true;
    (3..=4).for_each(|seq| scene.probe(seq, ProbeOutcome::Lost));
    (3..=4).for_each(|seq| scene.request(seq, SECOND * seq));
    scene.reply(4, SECOND * 4);
    assert_eq!(scene.places(), [Place::Unknown(Doubt::Fragmented), Place::Back]);
}

#[test]
fn capture_taken_at_the_sender_proves_nothing_about_the_server() {
    for (is_outgoing, place) in [
        (Some(true), Place::Unknown(Doubt::AtSender)),
        (Some(false), Place::Server),
        (None, Place::Server),
    ] {
        let mut scene = Scene::new(1);
        scene.is_outgoing = is_outgoing;
        scene.answered([1, 2]);
        scene.probe(3, ProbeOutcome::Lost);
        scene.request(3, SECOND * 3);
        let has_delays = scene.clone_finish().summary.there_pdv_ms.is_some();
        assert_eq!(has_delays, is_outgoing != Some(true));
        assert_eq!(scene.places(), [place], "{is_outgoing:?}");
    }
}

#[test]
fn late_probe_was_delayed_where_most_of_its_excess_arose() {
    // The times there, at the server, and back, in milliseconds.
    for (parts, place) in [
        ([1500, 1, 20], Place::There),
        ([10, 1500, 20], Place::Server),
        ([10, 1, 1500], Place::Back),
        ([610, 1, 1120], Place::Back),
        ([600, 600, 600], Place::Unknown(Doubt::NoMainPart)),
        ([760, 1, 770], Place::Unknown(Doubt::NoMainPart)),
    ] {
        let mut scene = Scene::new(1);
        scene.answered([1, 2, 4]);
        let [there, server, back] = parts.map(|part: u32| MS * part);
        scene.probe(3, ProbeOutcome::Lost);
        scene.probe(3, ProbeOutcome::Late { rtt: there + server + back });
        scene.request(3, SECOND * 3 + there);
        scene.reply(3, SECOND * 3 + there + server);
        let joined = scene.finish();
        assert_eq!(joined.verdicts.len(), 1, "a late probe is one, though it was lost first");
        assert!(joined.verdicts[0].is_late);
        assert_eq!(joined.verdicts[0].place, place, "{parts:?}");
    }
}

#[test]
fn delay_needs_a_typical_one_and_packets_seen_once() {
    let late = |scene: &mut Scene| {
        scene.probe(3, ProbeOutcome::Late { rtt: 2 * SECOND });
        scene.request(3, SECOND * 5 - 21 * MS);
        scene.reply(3, SECOND * 5 - 20 * MS);
    };
    let mut few = Scene::new(1);
    few.answered([1]);
    late(&mut few);
    assert_eq!(few.places(), [Place::Unknown(Doubt::NoTypicalDelay)]);
    let mut copies = Scene::new(1);
    copies.answered([1, 2]);
    late(&mut copies);
    // The other interface of the same machine.
    copies.reply(3, SECOND * 5 - 19 * MS);
    assert_eq!(copies.clone_finish().verdicts[0].place, Place::There);
    copies.reply(3, SECOND * 5);
    assert_eq!(copies.places(), [Place::Unknown(Doubt::NoDelay)]);
}

#[test]
fn clocks_that_move_against_each_other_are_noticed() {
    let mut scene = Scene::new(1);
    scene.answered([1, 2]);
    // From here on, the clock of the capture is 500 ms behind.
    scene.probe(3, ProbeOutcome::Answered { rtt: 31 * MS });
    scene.request(3, SECOND * 3 - 490 * MS);
    scene.reply(3, SECOND * 3 - 489 * MS);
    scene.probe(4, ProbeOutcome::Late { rtt: 1031 * MS });
    scene.request(4, SECOND * 4 + 510 * MS);
    scene.reply(4, SECOND * 4 + 511 * MS);
    let joined = scene.finish();
    assert_eq!(joined.verdicts[0].place, Place::Unknown(Doubt::NoMainPart));
    // 500 ms, less the 30 ms that nobody can know.
    assert_eq!(joined.summary.clock_shift_ms, 470.0);
    assert_eq!(three_losses().finish().summary.clock_shift_ms, 0.0);
}

#[test]
fn delay_variation_is_above_the_shortest_delay_of_each_direction() {
    let mut scene = Scene::new(1);
    scene.answered([1, 2]);
    scene.probe(3, ProbeOutcome::Answered { rtt: 40 * MS });
    scene.request(3, SECOND * 3 + 14 * MS);
    scene.reply(3, SECOND * 3 + 18 * MS);
    let summary = scene.finish().summary;
    let (there, back) = (summary.there_pdv_ms.expect("known"), summary.back_pdv_ms.expect("known"));
    assert_eq!((there.min, there.max, there.p50), (0.0, 4.0, Some(0.0)));
    assert_eq!((back.min, back.max), (0.0, 2.0));
    assert_eq!(summary.server_ms.map(|server| (server.min, server.max)), Some((1.0, 4.0)));
    assert_eq!((summary.there_delay_ms, summary.back_delay_ms), (None, None));
}

#[test]
fn one_way_delays_need_synchronised_clocks_and_are_never_negative() {
    let mut scene = Scene::new(1);
    scene.join.set_epoch(EPOCH);
    scene.answered([1, 2]);
    let summary = scene.clone_finish().summary;
    assert_eq!(summary.there_delay_ms.map(|delay| delay.max), Some(10.0));
    assert_eq!(summary.back_delay_ms.map(|delay| delay.max), Some(20.0));
    scene.join.set_epoch(EPOCH + 11 * MS);
    let least = scene.clone_finish().summary.there_delay_ms.map(|delay| delay.min);
    assert_eq!(least, Some(0.0), "the start of a run is known no better");
    scene.join.set_epoch(EPOCH + 13 * MS);
    let summary = scene.finish().summary;
    assert_eq!((summary.there_delay_ms, summary.back_delay_ms), (None, None));
    assert_eq!(summary.negative_delay_ms, Some(3.0));
}

#[test]
fn addresses_of_a_nat_are_accepted_until_those_of_the_run_appear() {
    let mut scene = Scene::new(1);
    scene.client = address(9, 1234);
    scene.answered([1, 2]);
    scene.probe(3, ProbeOutcome::Lost);
    assert_eq!(scene.clone_finish().verdicts[0].place, Place::There);
    // Another run with the same number, behind the same NAT.
    scene.client = address(9, 4321);
    scene.request(3, SECOND * 3);
    assert_eq!(scene.clone_finish().verdicts[0].place, Place::There);
    // The addresses of the run itself: all others are of somebody else.
    scene.client = address(1, 50_000);
    scene.request(3, SECOND * 3);
    let joined = scene.finish();
    assert_eq!((joined.summary.requests_seen, joined.summary.missing), (1, 2));
}

#[test]
fn direction_of_an_echo_is_that_of_its_addresses() {
    for client in [address(1, 50_000), address(9, 1234)] {
        let mut scene = Scene::new(1);
        (scene.join.plan.peer, scene.client) = (Peer::Echo, client);
        scene.probe(1, ProbeOutcome::Lost);
        scene.packet(SECOND, [address(2, 9999), client], &name(1));
        assert_eq!(scene.places(), [Place::Back], "{client}");
    }
    // Behind a NAT of both sides, the port decides; with two equal ports, nothing does.
    for (ports, replies) in [((1234, 9999), 1), ((9999, 1234), 0), ((9999, 9999), 0)] {
        let mut scene = Scene::new(1);
        scene.join.plan.peer = Peer::Echo;
        scene.probe(1, ProbeOutcome::Lost);
        let ends = [address(8, ports.1), address(9, ports.0)];
        scene.packet(SECOND, ends, &name(1));
        assert_eq!(scene.finish().summary.replies_seen, replies, "{ports:?}");
    }
}

#[test]
fn two_probes_of_one_sequence_number_have_no_verdict() {
    let mut scene = Scene::new(1);
    scene.answered([1, 2]);
    scene.probe(3, ProbeOutcome::Lost);
    scene.join.handle_probe(3, 0, SECOND * 90, ProbeOutcome::Lost);
    scene.reply(3, SECOND * 3);
    assert_eq!(scene.places(), [Place::Unknown(Doubt::Ambiguous)]);
}
