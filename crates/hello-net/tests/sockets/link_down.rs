//! A link that goes down during a run, in a network namespace.

use std::env;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU64;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use hello_net::{ArrivalProcess, LoadEventKind, LoadGenerator, NotSent, Pacing};
use hello_net::{ProbeEventKind, Prober};

use crate::network::skip;

/// The number of requests, half of which are due before the link goes down.
const COUNT: u64 = 60;
const INTERVAL: Duration = Duration::from_millis(5);
const TIMEOUT: Duration = Duration::from_millis(50);

/// Behind the link: nobody.
const TARGET: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), 9);

/// Set in the process that is in the namespace.
const INSIDE: &str = "HELLO_NET_IN_NAMESPACE";

/// Runs a test, and nothing else, in a process with a network of its own. Skips it without root.
fn in_namespace(test: &str, run: impl FnOnce()) {
    if env::var_os(INSIDE).is_some() {
        for link in [
            "link add here type veth peer name there",
            "addr add 192.0.2.1/24 dev here",
            "link set here up",
            "link set there up",
            "neigh add 192.0.2.2 lladdr 02:00:00:00:00:02 dev here",
        ] {
            ip(link);
        }
        return run();
    }
    let link = Command::new("unshare").args(["--net", "ip", "link"]).output();
    if !link.is_ok_and(|output| output.status.success()) {
        skip(test, "no network namespace can be made, which takes root and ip(8)");
        return;
    }
    let exe = env::current_exe().expect("known");
    let mut command = Command::new("unshare");
    command.arg("--net").arg(exe).args(["--exact", test, "--nocapture"]).env(INSIDE, "1");
    let output = command.output().expect("runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("1 passed"), "{text}");
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().expect("runs");
    assert!(status.success(), "{arguments}");
}

#[test]
fn every_due_probe_is_counted_when_the_link_goes_down() {
    in_namespace("link_down::every_due_probe_is_counted_when_the_link_goes_down", || {
        let builder = Prober::builder().count(COUNT).interval(INTERVAL).timeout(TIMEOUT);
        let prober = builder.connect(TARGET).expect("a port");
        let (sent, not_sent) = (AtomicU64::new(0), AtomicU64::new(0));
        let counts = prober.run(|event| match event.kind {
            ProbeEventKind::Sent { .. } if sent.fetch_add(1, Relaxed) + 1 == COUNT / 2 => {
                ip("link set here down");
            }
            ProbeEventKind::NotSent(NotSent::Failed(_) | NotSent::Late) => {
                not_sent.fetch_add(1, Relaxed);
            }
            _ => {}
        });
        let counts = counts.expect("no broken socket");
        assert_eq!(counts.sent, sent.into_inner());
        assert_eq!((counts.in_flight(), counts.lost), (0, counts.sent));
        let not_sent = not_sent.into_inner();
        assert!(not_sent > 0, "the link was up");
        assert_eq!(counts.sent + not_sent, COUNT);
    });
}

#[test]
fn every_due_request_is_counted_when_the_link_goes_down() {
    in_namespace("link_down::every_due_request_is_counted_when_the_link_goes_down", || {
        let rate = NonZeroU64::new(200).expect("not zero");
        let builder = LoadGenerator::builder()
            .pacing(Pacing::Open { rate, arrivals: ArrivalProcess::Constant })
            .duration(Duration::from_secs(3600))
            .count(COUNT)
            .timeout(TIMEOUT);
        let generator = builder.connect(TARGET).expect("a port");
        let contact = generator.contact();
        let [sent, not_sent, lost] = [(); 3].map(|()| AtomicU64::new(0));
        let usage = generator.run(|events| {
            for event in events {
                match event.kind {
                    LoadEventKind::Sent { count, .. } => {
                        let before = sent.fetch_add(count.into(), Relaxed);
                        if before + 1 == COUNT / 2 {
                            ip("link set here down");
                        }
                    }
                    LoadEventKind::NotSent { count, .. } => {
                        not_sent.fetch_add(count.into(), Relaxed);
                    }
                    LoadEventKind::Lost { .. } => drop(lost.fetch_add(1, Relaxed)),
                    _ => {}
                }
            }
        });
        usage.expect("no broken socket");
        let [sent, not_sent, lost] = [sent, not_sent, lost].map(AtomicU64::into_inner);
        assert!(not_sent > 0 && contact.error().is_some(), "the link was up");
        assert_eq!((sent + not_sent, lost), (COUNT, sent));
    });
}
