//! `--metrics-listen`: metrics over HTTP, for scrapers that are good, slow or hostile.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::observability::{ANSWERED, assert_valid_for_prometheus, fresh_path, metric};
use crate::support::{
    Finished, PING, Process, SERVER, count, exchange, have, json, peer, server, summary,
};

/// Waits for the line with the address of the metrics.
fn metrics_address(process: &mut Process) -> SocketAddr {
    loop {
        let line = process.json();
        if line["event"] == "metrics" {
            return line["address"].as_str().expect("text").parse().expect("an address");
        }
    }
}

/// Starts `hello-server --metrics-listen 0` and returns it with its address and that of its metrics.
fn scraped_server() -> (Process, SocketAddr, SocketAddr) {
    let arguments = ["--bind", "127.0.0.1:0", "--quiet", "--metrics-listen", "0"];
    let (mut server, address) = server(&arguments);
    let metrics = metrics_address(&mut server);
    (server, address, metrics)
}

/// Requests a path with more headers, and returns the head and the body of the response.
fn get(address: SocketAddr, path: &str, headers: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("not zero");
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("a response");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    (head.to_owned(), body.to_owned())
}

fn scrape(address: SocketAddr) -> String {
    get(address, "/metrics", "").1
}

/// Scrapes until a metric has a value.
fn await_metric(address: SocketAddr, name: &str, value: u64) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while metric(&scrape(address), name) != Some(value) {
        assert!(Instant::now() < deadline, "{name}: {}", scrape(address));
        thread::yield_now();
    }
}

const OPENMETRICS: &str = "Accept: application/openmetrics-text;version=1.0.0\r\n";

/// Checks that the metrics are the same in both formats, with the parsers of Prometheus. Returns them in
/// its own.
fn valid_metrics(test: &str, address: SocketAddr) -> String {
    let (head, text) = get(address, "/metrics", "");
    assert!(
        head.contains("\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"),
        "{head}"
    );
    let (head, openmetrics) = get(address, "/metrics", OPENMETRICS);
    let media = "\r\nContent-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n";
    assert!(head.contains(media) && openmetrics.ends_with("\n# EOF\n"), "{head}\n{openmetrics}");
    let file = fresh_path(test);
    fs::write(&file, &text).expect("written");
    assert_valid_for_prometheus(test, &file);
    if have("validate-python", "--version", test) {
        let script = format!("{}/../../tests/peers/parse_metrics.py", env!("CARGO_MANIFEST_DIR"));
        let samples = |format: &str, metrics: &str| {
            fs::write(&file, metrics).expect("written");
            let mut command = Command::new("validate-python");
            let input = File::open(&file).expect("there");
            let output = command.args([&script, format]).stdin(input).output();
            let Finished { out, err, status } = output.expect("runs").into();
            assert_eq!(status, Some(0), "{err}{metrics}");
            json(&out)
        };
        let samples = [samples("text", &text), samples("openmetrics", &openmetrics)];
        assert_eq!(samples[0], samples[1]);
        let lines = text.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(samples[0].as_array().map(Vec::len), Some(lines), "{text}");
    }
    text
}

#[test]
fn server_counts_are_scraped_in_both_formats() {
    let (server, address, metrics) = scraped_server();
    let client = peer();
    for name in [&b"Tracy"[..], b"Sarah"] {
        exchange(&client, address, name);
    }
    client.send_to(b"Hello, Hello, World!!", address).expect("sent");
    await_metric(metrics, "hello_server_refused_total{reason=\"greeted-twice\"}", 1);
    await_metric(metrics, ANSWERED, 2);
    let text = valid_metrics("server_counts_are_scraped_in_both_formats", metrics);
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(metric(&text, &format!("hello_server_info{{version=\"{version}\"}}")), Some(1));
    let summary = summary(server);
    for (name, of_summary) in [
        ("hello_server_received_total", "received"),
        (ANSWERED, "answered"),
        ("hello_server_over_limit_answered_total", "over_limit_answered"),
    ] {
        assert_eq!(metric(&text, name), Some(count(&summary[of_summary])), "{name}");
    }
}

#[test]
fn server_is_healthy_while_it_serves_and_gone_afterwards() {
    let (server, _, metrics) = scraped_server();
    let deadline = Instant::now() + Duration::from_secs(20);
    while !get(metrics, "/healthz", "").0.starts_with("HTTP/1.1 200 OK\r\n") {
        assert!(Instant::now() < deadline, "not healthy");
        thread::yield_now();
    }
    assert!(get(metrics, "/", "").0.starts_with("HTTP/1.1 404 Not Found\r\n"));
    summary(server);
    TcpStream::connect(metrics).expect_err("nobody listens");
}

#[test]
fn stalled_scrapers_cost_neither_replies_nor_scrapes_nor_the_stop() {
    let (server, address, metrics) = scraped_server();
    let client = peer();
    let descriptors = || {
        let open = fs::read_dir(format!("/proc/{}/fd", server.id()));
        open.map_or(0, Iterator::count)
    };
    let before = descriptors();
    let mut stalled = Vec::new();
    for number in 1..=200 {
        let mut stream = TcpStream::connect(metrics).expect("it listens");
        if number % 2 == 0 {
            stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: ").expect("sent");
        }
        stalled.push(stream);
        if number % 50 == 0 {
            let start = Instant::now();
            assert_eq!(exchange(&client, address, b"Tracy"), b"Hello, Tracy!");
            assert!(metric(&scrape(metrics), "hello_server_received_total").is_some());
            // Sooner than any of them is over.
            assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
            let more = descriptors() - before;
            assert!(more <= 17, "{more} more descriptors");
        }
    }
    await_metric(metrics, ANSWERED, 4);
    let start = Instant::now();
    let summary = summary(server);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!((&summary["received"], &summary["answered"]), (&4.into(), &4.into()));
}

#[test]
fn stalled_scrapers_give_way_when_no_descriptor_is_left() {
    let mut command = Command::new("sh");
    let arguments = ["--bind", "127.0.0.1:0", "--quiet", "--metrics-listen", "0"];
    command.args(["-c", "ulimit -n 20 && exec \"$@\"", "sh", SERVER, "--json"]).args(arguments);
    let mut server = Process::start(&mut command);
    let metrics = metrics_address(&mut server);
    let connect = |_| TcpStream::connect(metrics).expect("it listens");
    let stalled = Vec::from_iter((0..40).map(connect));
    let start = Instant::now();
    assert!(metric(&scrape(metrics), "hello_server_received_total").is_some());
    // Sooner than any of them is over.
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    drop(stalled);
    summary(server);
}

#[test]
fn ping_is_scraped_during_the_run() {
    let test = "ping_is_scraped_during_the_run";
    let (_server, address) = server(&["--bind", "127.0.0.1:0"]);
    let address = address.to_string();
    // No second probe changes a count between two scrapes.
    let options = ["-i", "600s", "--json", "--metrics-listen", "127.0.0.1:0"];
    let mut ping = Process::start(Command::new(PING).args(options).arg(&address));
    let metrics = metrics_address(&mut ping);
    assert!(get(metrics, "/healthz", "").0.starts_with("HTTP/1.1 200 OK\r\n"));
    await_metric(metrics, &format!("hello_ping_responses_total{{target=\"{address}\"}}"), 1);
    let text = valid_metrics(test, metrics);
    let buckets = text.lines().filter(|line| line.contains("_seconds_bucket{"));
    assert_eq!(buckets.count(), 21, "{text}");
    ping.signal(Signal::INT);
    assert_eq!(ping.finish().1, Some(0));
}

#[test]
fn ping_prints_the_address_of_its_metrics_beside_the_output() {
    let (_server, address) = server(&["--bind", "127.0.0.1:0"]);
    let mut command = Command::new(PING);
    command.args(["-c", "1", "--metrics-listen", "0", &address.to_string()]);
    let Finished { out, err, status } = command.output().expect("runs").into();
    assert_eq!(status, Some(0));
    let port = err.strip_prefix("hello-ping: metrics at http://127.0.0.1:");
    assert!(
        port.is_some_and(|port| port.ends_with("/metrics\n") && !port.starts_with('0')),
        "{err}"
    );
    assert!(out.starts_with("PING ") && !out.contains("metrics"), "{out}");
}

#[test]
fn address_that_cannot_be_used_is_an_error_with_advice() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().expect("bound").to_string();
    for (tool, name, arguments) in [
        (SERVER, "hello-server", ["--quiet", "--bind", "127.0.0.1:0"]),
        (PING, "hello-ping", ["-q", "-c1", "127.78.0.1:9"]),
    ] {
        for (metrics, advice) in [
            (&*taken, "the port is in use; choose another with --metrics-listen ADDRESS:PORT"),
            ("192.0.2.1:0", "choose another with --metrics-listen"),
        ] {
            let mut command = Command::new(tool);
            command.args(arguments).args(["--metrics-listen", metrics]);
            let Finished { err, status, .. } = command.output().expect("runs").into();
            let start = format!("{name}: cannot serve metrics at {metrics}: ");
            let is_explained = err.starts_with(&start) && err.ends_with(&format!("{advice}\n"));
            assert!(is_explained && err.lines().count() == 1, "{err}");
            assert_eq!(status, Some(2));
        }
        let mut command = Command::new(tool);
        command.args(arguments).args(["--metrics-listen", "localhost"]);
        let Finished { err, status, .. } = command.output().expect("runs").into();
        assert!(err.contains("use PORT, or an IP address and a port: 9990, "), "{err}");
        assert_eq!(status, Some(2));
    }
}
