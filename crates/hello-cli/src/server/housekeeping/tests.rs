use std::ffi::OsStr;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::sync::{Mutex, mpsc};
use std::time::SystemTime;
use std::{env, fs, io, process, thread};

use indicatif::ProgressBar;

use super::*;
use crate::output::console::{Console, Stream};

#[test]
fn late_runs_keep_their_period() {
    let start = Instant::now();
    let at = |millis| start + Duration::from_millis(millis);
    let mut ticker = RateTicker::new(Duration::from_secs(1), start, ServerCounters::default());
    let due = [999, 1000, 1999, 2500, 2501, 2999, 3000, 9100, 9999, 10_000]
        .map(|millis| ticker.rates(at(millis), ServerCounters::default()).is_some());
    assert_eq!(due, [false, true, false, true, false, false, true, true, false, true]);
}

#[test]
fn next_task_is_due_after_the_shortest_period() {
    let server = Server::builder().bind([(Ipv4Addr::LOCALHOST, 0).into()]);
    let server = server.expect("a free port");
    let log = log();
    for (stats, watchdog, due) in [
        (None, None, 1000),
        (Some(200), None, 200),
        (Some(5000), None, 1000),
        (Some(200), Some(400), 100),
        (Some(10), Some(400), 10),
        (None, Some(1), 10),
    ] {
        let [stats, watchdog] = [stats, watchdog].map(|time| time.map(Duration::from_millis));
        let supervisor = Notifier::new(None, watchdog);
        let mut housekeeping =
            Housekeeping::new(&server, &log, &supervisor, Format::Text, stats, None);
        assert_eq!(housekeeping.due(), housekeeping.start, "the first check");
        housekeeping.run_due(housekeeping.start);
        let wait = housekeeping.due() - housekeeping.start;
        assert_eq!(wait, Duration::from_millis(due), "{stats:?}, {watchdog:?}");
    }
}

/// Returns a supervisor's socket, and what notifies it.
fn supervised(test: &str, watchdog: Option<Duration>) -> (UnixDatagram, Notifier) {
    let path = env::temp_dir().join(format!("hello-housekeeping-{test}-{}", process::id()));
    let socket = UnixDatagram::bind(&path).expect("a new name");
    socket.set_nonblocking(true).expect("possible");
    let supervisor = Notifier::new(Some(OsStr::new(&path)), watchdog);
    fs::remove_file(&path).expect("ours");
    (socket, supervisor)
}

#[test]
fn readiness_is_sent_again_after_a_full_socket_and_only_once() {
    let path = env::temp_dir().join(format!("hello-housekeeping-full-{}", process::id()));
    let socket = UnixDatagram::bind(&path).expect("a new name");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("not zero");
    let supervisor = Notifier::new(Some(OsStr::new(&path)), None);
    fs::remove_file(&path).expect("ours");
    let server = Server::builder().bind([(Ipv4Addr::LOCALHOST, 0).into()]);
    let server = server.expect("a free port");
    let log = log();
    let mut housekeeping = Housekeeping::new(&server, &log, &supervisor, Format::Text, None, None);
    let mut sent = 0;
    while supervisor.ready() {
        sent += 1;
    }
    let run_due = || {
        while !server.is_serving() {
            thread::yield_now();
        }
        housekeeping.run_due(housekeeping.start);
        for _ in 0..sent {
            received(&socket);
        }
        housekeeping.run_due(housekeeping.start);
        housekeeping.run_due(housekeeping.start);
        supervisor.stopping();
    };
    server.serve_while(|_| (), run_due).expect("no broken socket");
    assert_eq!([received(&socket), received(&socket)], ["READY=1", "STOPPING=1"]);
}

#[test]
fn readiness_is_sent_when_every_worker_serves_and_not_before() {
    let (socket, supervisor) = supervised("ready", None);
    let server = Server::builder().bind([(Ipv4Addr::LOCALHOST, 0).into(); 2]);
    let server = server.expect("free ports");
    let log = log();
    let mut housekeeping = Housekeeping::new(&server, &log, &supervisor, Format::Text, None, None);
    housekeeping.run_due(housekeeping.start);
    assert!(socket.recv(&mut [0; 64]).is_err(), "no worker serves yet");
    assert_eq!(housekeeping.due() - housekeeping.start, MIN_PERIOD, "checked again soon");
    let serving = || {
        while !server.is_serving() {
            assert!(!housekeeping.ready_sent);
            thread::yield_now();
        }
        housekeeping.run_due(housekeeping.start);
        received(&socket)
    };
    assert_eq!(server.serve_while(|_| (), serving).expect("no broken socket"), "READY=1");
}

fn received(socket: &UnixDatagram) -> String {
    let mut buf = [0; 64];
    let len = socket.recv(&mut buf).expect("what was sent");
    String::from_utf8_lossy(&buf[..len]).into_owned()
}

fn log() -> Log {
    let nowhere = Stream::Other(Box::new(io::sink()));
    let out = Console::start(nowhere, ProgressBar::hidden(), Format::Text, 0, ());
    Log::new(out.expect("a thread"), 0)
}

#[test]
fn snapshot_writes_the_metrics_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.prom");
    let server = Server::builder().bind([(Ipv4Addr::LOCALHOST, 0).into()]);
    let server = server.expect("a free port");
    let file = MetricsFile::start(&path, SystemTime::now(), &server.counters(), &[]);
    let file = file.expect("a new name");
    let log = log();
    let supervisor = Notifier::new(None, None);
    let mut housekeeping =
        Housekeeping::new(&server, &log, &supervisor, Format::Text, None, Some(&file));
    fs::remove_file(&path).expect("there");
    housekeeping.snapshot();
    let deadline = Instant::now() + Duration::from_secs(20);
    while !path.exists() {
        assert!(Instant::now() < deadline, "the file is not written");
    }
}

/// Calls `run_due` directly, so that the supervisor's own pauses do not matter.
#[test]
fn watchdog_is_silent_while_one_worker_is_stalled() {
    let (socket, supervisor) = supervised("watchdog", Some(Duration::from_secs(1)));
    let server = Server::builder().bind([(Ipv4Addr::LOCALHOST, 0).into(); 2]);
    let server = server.expect("free ports");
    let log = log();
    let mut housekeeping = Housekeeping::new(&server, &log, &supervisor, Format::Text, None, None);
    let mut notifications = || {
        housekeeping.run_due(housekeeping.start);
        let (mut buf, mut received) = ([0; 64], 0);
        while let Ok(len) = socket.recv(&mut buf) {
            received += usize::from(&buf[..len] == b"WATCHDOG=1");
        }
        received
    };
    let (go_on, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let stall = |_: &hello_net::ServerEvent<'_>| {
        let _ = wait.lock().expect("no panic").recv();
    };
    let check = || {
        let deadline = Instant::now() + Duration::from_secs(20);
        while notifications() == 0 {
            assert!(Instant::now() < deadline, "no notification of a live server");
        }
        let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        client.set_read_timeout(Some(Duration::from_secs(20))).expect("not zero");
        let server = server.local_addrs().next().expect("two");
        client.send_to(b"Tracy", server).expect("sent");
        client.recv(&mut [0; 64]).expect("a reply");
        // The worker that answered is stalled now; it made progress at most once before.
        let later = Instant::now() + Duration::from_millis(400);
        let mut received = 0;
        while Instant::now() < later {
            received += notifications();
        }
        assert!(received <= 1, "one of two workers is stalled");
        drop(go_on);
        let deadline = Instant::now() + Duration::from_secs(20);
        while notifications() == 0 {
            assert!(Instant::now() < deadline, "no notification after the stall");
        }
    };
    server.serve_while(stall, check).expect("no broken socket");
}
