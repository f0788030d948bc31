//! Joining a run with a capture.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hello_proto::Token;
use serde_json::Value;

use super::{ping, start_ping};
use crate::support::{Finished, PING, have, json, peer, receive, run_in_namespace};

/// A packet of a capture: its time, its ends, and its payload.
type Packet = (Duration, [SocketAddr; 2], Vec<u8>);

/// Returns a pcap file with these packets, in IPv4 without a header before it.
fn pcap(packets: &[Packet]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 262_144, 101_u32] {
        file.extend(word.to_le_bytes());
    }
    for (at, [source, destination], payload) in packets {
        let ends = [source, destination].map(|end| match end {
            SocketAddr::V4(end) => end.ip().octets(),
            SocketAddr::V6(_) => panic!("{end}"),
        });
        let udp_len = u16::try_from(payload.len() + 8).expect("short");
        let mut packet = vec![0x45, 0];
        packet.extend((udp_len + 20).to_be_bytes());
        packet.extend([0, 0, 0, 0, 64, 17, 0, 0]);
        packet.extend(ends.concat());
        for word in [source.port(), destination.port(), udp_len, 0] {
            packet.extend(word.to_be_bytes());
        }
        packet.extend(payload);
        let len = u32::try_from(packet.len()).expect("short");
        let seconds = u32::try_from(at.as_secs()).expect("before 2106");
        for word in [seconds, at.subsec_micros(), len, len] {
            file.extend(word.to_le_bytes());
        }
        file.extend(packet);
    }
    file
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970")
}

const PROBES: u32 = 24;

/// What a scripted server does with a probe.
fn fate(seq: u32) -> &'static str {
    match seq % 8 {
        2 => "there",
        3 => "server",
        5 | 6 => "back",
        _ => "answered",
    }
}

/// Records a run against a server that loses probes on purpose, and returns the names of its files and
/// the packets at the server.
fn recorded(name: &str, options: &[&str]) -> ([String; 2], Vec<Packet>) {
    let server = peer();
    let address = server.local_addr().expect("bound");
    let arguments = ["-c", &PROBES.to_string(), "-i", "20ms", "-W", "500ms", &address.to_string()];
    let run = start_ping(&[&arguments[..], options].concat());
    let packets = serve(&server, address);
    let (lines, _) = run.finish();
    let [run, capture] =
        ["jsonl", "pcap"].map(|kind| format!("{}/{name}.{kind}", env!("CARGO_TARGET_TMPDIR")));
    fs::write(&run, lines.join("\n") + "\n").expect("written");
    fs::write(&capture, pcap(&packets)).expect("written");
    ([run, capture], packets)
}

fn serve(server: &UdpSocket, address: SocketAddr) -> Vec<Packet> {
    let resolver: [SocketAddr; 2] =
        [(Ipv4Addr::LOCALHOST, 53).into(), (Ipv4Addr::LOCALHOST, 5353).into()];
    // Others are captured before and after the run.
    let mut packets = vec![(now() - Duration::from_secs(9), resolver, b"before".to_vec())];
    for _ in 0..PROBES {
        let (name, client) = receive(server);
        let reply = [b"Hello, ", &name[..], b"!"].concat();
        let seq = Token::decode(&name).expect("a token").seq;
        let fate = fate(seq);
        if fate != "there" {
            packets.push((now(), [client, address], name));
        }
        if ["back", "answered"].contains(&fate) {
            packets.push((now(), [address, client], reply.clone()));
        }
        if fate == "answered" {
            server.send_to(&reply, client).expect("sent");
        }
    }
    packets.push((now() + Duration::from_secs(9), resolver, b"after".to_vec()));
    packets
}

fn join(run: &str, capture: &str, more: &[&str]) -> Finished {
    ping(&[&["--join", run, "--capture", capture], more].concat())
}

/// Returns the verdicts and the last line of a join.
fn joined(run: &str, capture: &str) -> (Vec<Value>, Value) {
    let Finished { out, err, status } = join(run, capture, &["--json"]);
    assert_eq!((&*err, status), ("", Some(0)));
    let mut lines = Vec::from_iter(out.lines().map(json));
    let last = lines.pop().expect("a line");
    assert_eq!(last["event"], "join");
    (lines, last)
}

#[test]
fn join_tells_the_direction_of_every_loss() {
    let ([run, capture], _) = recorded("join_tells", &["--json"]);
    let (verdicts, last) = joined(&run, &capture);
    assert_eq!((&last["complete"], &last["missing"]), (&true.into(), &0.into()), "{last}");
    let lost = Vec::from_iter((1..=PROBES).filter(|seq| fate(*seq) != "answered"));
    assert_eq!(verdicts.len(), lost.len());
    for (verdict, seq) in verdicts.iter().zip(lost) {
        assert_eq!(verdict["seq"], seq, "{verdict}");
        assert_eq!((&verdict["place"], &verdict["outcome"]), (&fate(seq).into(), &"lost".into()));
    }
    let Finished { out, err, status } = join(&run, &capture, &[]);
    assert_eq!((&*err, status), ("", Some(0)));
    let headline = "\n3 of 12 lost probes were lost on the way there, 3 not answered by the server, 6 lost \
                    on the way back\n";
    assert!(out.contains(headline), "{out}");
    assert!(out.contains("\n  3 outages back, longest 2 probes in 0.0"), "{out}");
    assert!(out.contains("delay variation there p50/"), "{out}");
    assert!(!out.contains("one-way"), "{out}");
    let Finished { out, .. } = join(&run, &capture, &["--clocks-synchronised"]);
    assert!(out.contains("one-way delay there p50/") || out.contains("not synchronised"), "{out}");
}

#[test]
fn half_of_the_packets_give_no_verdict_that_is_false() {
    let ([run, _], packets) = recorded("join_half", &["--json"]);
    for odd in [0, 1] {
        let half = (0..).zip(&packets).filter(|(number, _)| number % 2 == odd);
        let half = Vec::from_iter(half.map(|(_, packet)| packet.clone()));
        let capture = format!("{}/join_half_{odd}.pcap", env!("CARGO_TARGET_TMPDIR"));
        fs::write(&capture, pcap(&half)).expect("written");
        let (verdicts, last) = joined(&run, &capture);
        assert_eq!(last["complete"], false);
        assert_eq!((&last["lost"]["there"], &last["lost"]["server"]), (&0.into(), &0.into()));
        for verdict in verdicts {
            let seq = verdict["seq"].as_u64().and_then(|seq| u32::try_from(seq).ok());
            let (place, truth) = (&verdict["place"], fate(seq.expect("a number")));
            assert!(place == "not-known" || (place == "back" && truth == "back"), "{verdict}");
        }
        let Finished { out, .. } = join(&run, &capture, &[]);
        assert!(out.contains("absence from the capture proves nothing: it lacks packets"), "{out}");
    }
}

#[test]
fn what_cannot_be_joined_exits_with_2_and_says_why() {
    let ([run, capture], packets) = recorded("join_errors", &["--json"]);
    let ([quiet, _], _) = recorded("join_quiet", &["--json", "--quiet"]);
    let file = |name: &str, bytes: &[u8]| {
        let path = format!("{}/{name}", env!("CARGO_TARGET_TMPDIR"));
        fs::write(&path, bytes).expect("written");
        path
    };
    let others = file("join_others.pcap", &pcap(&packets[..1]));
    let text = file("join_text.pcap", b"no capture");
    for (run, capture, error) in [
        (&*run, &*text, "join_text.pcap: not a pcap or pcapng file"),
        (&run, &others, "join_others.pcap: no packet of this run is in it"),
        (&quiet, &capture, "join_quiet.jsonl: it has no line about a probe to 127.0.0.1:"),
        (&text, &capture, "join_text.pcap: line 1 is not one of hello-ping --json"),
        ("/nonexistent", &capture, "/nonexistent: No such file or directory"),
        ("-", "-", "only one of --join and --capture can be standard input"),
    ] {
        let Finished { out, err, status } = join(run, capture, &[]);
        assert_eq!((&*out, status), ("", Some(2)), "{err}");
        assert!(err.starts_with("hello-ping: ") && err.contains(error), "{err}");
    }
    let Finished { err, status, .. } = join(&run, &capture, &["-c", "1"]);
    assert_eq!(status, Some(2));
    assert!(err.contains("'--join <RUN>' cannot be used with") || err.contains("--count"), "{err}");
    // What was read before the damage still counts.
    let bytes = fs::read(Path::new(&capture)).expect("there");
    let cut = file("join_cut.pcap", &bytes[..bytes.len() - 3]);
    let Finished { out, status, .. } = join(&run, &cut, &[]);
    assert_eq!(status, Some(0));
    assert!(out.contains("6 of 12 lost probes were lost on the way back, 6 not known"), "{out}");
    assert!(out.contains("it ends inside the packet at byte "), "{out}");
}

#[test]
fn loss_on_the_way_back_is_told_from_loss_on_the_way_there_in_a_capture_of_tcpdump() {
    let test = "loss_on_the_way_back_is_told_from_loss_on_the_way_there_in_a_capture_of_tcpdump";
    if !have("tcpdump", "--version", test) || !have("nft", "--version", test) {
        return;
    }
    let Some(results) = run_in_namespace(test, "join.py", &[PING]) else {
        return;
    };
    for result in results.as_array().expect("results") {
        let (place, join) = (&result["place"], &result["join"]);
        assert_eq!((&join["complete"], &join["capture"]["dropped"]), (&true.into(), &Value::Null));
        let lost = join["lost"].as_object().expect("places");
        let losses = lost.values().filter_map(Value::as_u64).sum::<u64>();
        assert!(losses > 0, "{result}");
        assert_eq!(place.as_str().map(|place| &lost[place]), Some(&losses.into()), "{result}");
        let half = &result["half"];
        assert_eq!((&half["complete"], &half["lost"]["there"]), (&false.into(), &0.into()));
        assert_eq!(half["lost"]["server"], 0, "{result}");
        assert!(place == "back" || half["lost"]["back"] == 0, "{result}");
    }
}
