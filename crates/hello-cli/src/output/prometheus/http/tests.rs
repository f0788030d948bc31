use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::*;
use crate::output::prometheus::labels::Labels;
use crate::output::prometheus::source::Published;

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// More bytes than the socket of a client that does not read takes.
const LARGE: usize = 8 << 20;

/// Metrics of about this many bytes.
fn metrics(bytes: usize) -> MetricFamilies {
    let mut families = MetricFamilies::new("hello");
    let long = (Labels::new().with("a", &"x".repeat(4000)), 1_u64);
    families.gauge("long", "Long.", vec![long; bytes / 4000]);
    families.counter("seen", "Greetings.", [(Labels::new(), 7)]);
    families
}

fn serve(source: impl MetricsSource, limits: Limits) -> MetricsServer {
    let listener = MetricsListener::bind(LOOPBACK).expect("a port");
    listener.serve_within(source, limits).expect("a thread")
}

fn connect(server: &MetricsServer) -> TcpStream {
    let stream = TcpStream::connect(server.local_addr()).expect("listening");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("not zero");
    stream
}

/// Sends a request, and returns the head and the body of the response.
fn exchange(server: &MetricsServer, request: &str) -> (String, String) {
    let mut stream = connect(server);
    stream.write_all(request.as_bytes()).expect("sent");
    response(stream)
}

fn response(mut stream: TcpStream) -> (String, String) {
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("a response and an end");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    (head.to_owned(), body.to_owned())
}

fn get(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n")
}

#[test]
fn metrics_are_served_in_the_format_that_a_scraper_prefers() {
    let server = serve(Published::new(metrics(0)), Limits::default());
    for (headers, format) in [
        ("", TextFormat::Prometheus),
        ("Accept: application/openmetrics-text\r\n", TextFormat::OpenMetrics),
    ] {
        let (head, body) = exchange(&server, &get("/metrics", headers));
        let expected = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: \
             no-store\r\nConnection: close",
            format.content_type(),
            body.len(),
        );
        assert_eq!(head, expected);
        assert_eq!(body, format.encode(&Arc::new(metrics(0))));
        let (only_head, no_body) =
            exchange(&server, &get("/metrics", headers).replacen("GET", "HEAD", 1));
        assert_eq!((only_head, &*no_body), (head, ""));
    }
}

#[test]
fn refused_requests_get_a_status_even_if_they_were_not_read_to_their_end() {
    let server = serve(Published::new(metrics(0)), Limits::default());
    let post = "POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n";
    let post = format!("{post}{}", "x".repeat(60_000));
    for (request, status) in [
        (&*get("/", ""), "404 Not Found"),
        (&post, "405 Method Not Allowed"),
        ("GET /metrics HTTP/1.1\r\n\r\n", "400 Bad Request"),
        (&get("/metrics", &format!("X: {}\r\n", "x".repeat(50_000))), "431 Request Header"),
    ] {
        let (head, body) = exchange(&server, request);
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{head}");
        assert!(body.ends_with(".\n"), "{body}");
        assert_eq!(head.contains("\r\nAllow: GET, HEAD\r\n"), status.starts_with("405"), "{head}");
    }
}

/// A source whose health is set.
#[derive(Debug)]
struct Patient(Arc<AtomicBool>);

impl MetricsSource for Patient {
    fn families(&self) -> Arc<MetricFamilies> {
        Arc::new(metrics(0))
    }

    fn is_healthy(&self) -> bool {
        self.0.load(Relaxed)
    }
}

#[test]
fn health_is_a_status() {
    let is_healthy = Arc::new(AtomicBool::new(true));
    let server = serve(Patient(Arc::clone(&is_healthy)), Limits::default());
    for (value, status) in [(true, "200 OK"), (false, "503 Service Unavailable"), (true, "200 OK")]
    {
        is_healthy.store(value, Relaxed);
        let (head, body) = exchange(&server, &get("/healthz", ""));
        assert!(head.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{head}");
        assert_eq!(body, if value { "healthy\n" } else { "no progress\n" });
    }
}

#[test]
fn stalled_connections_keep_no_scraper_out() {
    let server = serve(Published::new(metrics(0)), Limits::default());
    let start = Instant::now();
    let mut stalled = Vec::new();
    let request = get("/metrics", "");
    for number in 0..50 {
        let mut stream = connect(&server);
        stream.write_all(&request.as_bytes()[..number.min(request.len() - 1)]).expect("sent");
        stalled.push(stream);
        if number % 10 == 9 {
            assert!(exchange(&server, &request).1.contains("hello_seen_total 7\n"));
        }
    }
    assert!(start.elapsed() < Limits::default().time, "{:?}", start.elapsed());
    assert!(server.connections.len() <= Limits::default().open);
    // The first ones have been cut off.
    assert!(matches!(stalled[0].read(&mut [0; 8]), Ok(0) | Err(_)));
}

#[test]
fn client_that_sends_a_byte_at_a_time_is_cut_off() {
    let time = Duration::from_millis(100);
    let server = serve(Published::new(metrics(0)), Limits { time, ..Limits::default() });
    // From before the connection on, whose time starts when it is accepted.
    let (start, mut stream) = (Instant::now(), connect(&server));
    stream.set_read_timeout(Some(Duration::from_millis(1))).expect("not zero");
    for byte in get("/metrics", &format!("X: {}", "x".repeat(MAX_HEAD))).as_bytes() {
        let sent = stream.write_all(&[*byte]);
        match stream.read(&mut [0; 8]) {
            Err(error) if sent.is_ok() && is_timeout(&error) => {}
            end => {
                assert!(matches!(end, Ok(0) | Err(_)) && start.elapsed() >= time, "{end:?}");
                return;
            }
        }
    }
    panic!("the whole head was read");
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

#[test]
fn slow_readers_of_a_large_exposition_are_few_and_keep_no_other_waiting() {
    let published = Arc::new(Published::new(metrics(LARGE)));
    let server = serve(Arc::clone(&published), Limits::default());
    let slow = [(); 6].map(|()| {
        let mut stream = connect(&server);
        stream.write_all(get("/metrics", "").as_bytes()).expect("sent");
        let mut first = [0; 1];
        stream.read_exact(&mut first).expect("a response");
        // The next one has another text in memory.
        published.publish(metrics(LARGE));
        assert!(server.connections.sending() <= Limits::default().sending);
        stream
    });
    assert_eq!(server.connections.sending(), Limits::default().sending, "the others were cut off");
    let (_, body) = exchange(&server, &get("/metrics", ""));
    assert!(body.len() > LARGE && body.ends_with("hello_seen_total 7\n"), "{}", body.len());
    drop(slow);
}

#[test]
fn scrapers_of_the_same_metrics_share_their_text() {
    let published = Arc::new(Published::new(metrics(0)));
    let source = Box::new(Arc::clone(&published));
    let exposition = Exposition { source, rendered: Mutex::default() };
    let first = exposition.text(TextFormat::Prometheus);
    let other = exposition.text(TextFormat::OpenMetrics);
    assert!(Arc::ptr_eq(&first, &exposition.text(TextFormat::Prometheus)));
    assert!(Arc::ptr_eq(&other, &exposition.text(TextFormat::OpenMetrics)) && first != other);
    published.publish(metrics(8000));
    assert_ne!(first, exposition.text(TextFormat::Prometheus));
}

#[test]
fn stop_cuts_off_every_client_and_frees_the_port() {
    let server = serve(Published::new(metrics(LARGE)), Limits::default());
    let (address, mut stalled) = (server.local_addr(), connect(&server));
    let mut reading = connect(&server);
    reading.write_all(get("/metrics", "").as_bytes()).expect("sent");
    reading.read_exact(&mut [0; 1]).expect("a response");
    let start = Instant::now();
    drop(server);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert!(matches!(stalled.read(&mut [0; 8]), Ok(0) | Err(_)));
    let _ = reading.shutdown(Shutdown::Both);
    let free = || MetricsListener::bind(address).is_ok();
    while !free() {
        assert!(start.elapsed() < Duration::from_secs(20), "the port is still in use");
        thread::yield_now();
    }
}

#[test]
fn flood_of_connections_is_spaced_and_a_few_are_not() {
    let start = Instant::now();
    let mut pace = Pace::new(start);
    let waits = [(); 40].map(|()| pace.next(start));
    assert!(waits[..32].iter().all(Duration::is_zero), "{waits:?}");
    assert_eq!(waits[32..], Vec::from_iter((1..=8).map(|number| SPACING * number)));
    let waits = [7, 50, 50].map(|spaces| pace.next(start + SPACING * spaces));
    assert_eq!(waits, [SPACING * 2, Duration::ZERO, Duration::ZERO]);
}

#[test]
fn address_in_use_is_an_error_with_the_address() {
    let listener = MetricsListener::bind(LOOPBACK).expect("a port");
    let error = MetricsListener::bind(listener.local_addr()).expect_err("in use");
    let expected = format!("cannot serve metrics at {}", listener.local_addr());
    assert_eq!(error.to_string(), expected);
    let explained = error.explain().to_string();
    let advice = ": the port is in use; choose another with --metrics-listen ADDRESS:PORT";
    assert!(explained.starts_with(&expected) && explained.ends_with(advice), "{explained}");
}
