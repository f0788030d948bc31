//! Metrics over HTTP, for a handful of scrapers.
//!
//! Threads of their own accept the connections and answer one request on each, so that no scraper holds
//! up a thread that sends or receives datagrams. `Connections` bounds what clients can cost.

mod connections;
mod request;
mod response;

#[cfg(test)]
mod tests;

use std::error::Error;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant};

use hello_net::ZonedAddr;
use thiserror::Error;

use self::connections::{Connection, Connections, Limits};
use self::request::{MAX_HEAD, Refused, Request, Resource};
use self::response::Response;
use super::families::MetricFamilies;
use super::source::MetricsSource;
use super::text::TextFormat;
use crate::args::listen;
use crate::process::lock;

/// A socket that waits for scrapers, which nobody answers yet.
#[derive(Debug)]
pub struct MetricsListener {
    socket: TcpListener,
    address: SocketAddr,
}

impl MetricsListener {
    /// Listens at an address.
    ///
    /// # Errors
    ///
    /// [`ListenError::Bind`].
    pub fn bind(address: SocketAddr) -> Result<Self, ListenError> {
        let bind = || {
            let socket = TcpListener::bind(address)?;
            let address = socket.local_addr()?;
            Ok(Self { socket, address })
        };
        bind().map_err(|source| ListenError::Bind { address, source })
    }

    /// Returns the address, with the port that the system chose for port 0.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Answers scrapers from `source`, until the result is dropped.
    ///
    /// # Errors
    ///
    /// [`ListenError::Thread`].
    pub fn serve(self, source: impl MetricsSource) -> Result<MetricsServer, ListenError> {
        self.serve_within(source, Limits::default())
    }

    fn serve_within(
        self,
        source: impl MetricsSource,
        limits: Limits,
    ) -> Result<MetricsServer, ListenError> {
        let Self { socket, address } = self;
        let connections = Arc::new(Connections::new(limits));
        let exposition = Exposition { source: Box::new(source), rendered: Mutex::default() };
        let (accepting, exposition) = (Arc::clone(&connections), Arc::new(exposition));
        let accept = move || accept_all(&socket, &accepting, &exposition);
        thread::Builder::new().spawn(accept).map_err(ListenError::Thread)?;
        Ok(MetricsServer { address, connections })
    }
}

/// Answers scrapers. Dropped, it stops at once.
#[derive(Debug)]
pub struct MetricsServer {
    address: SocketAddr,
    connections: Arc<Connections>,
}

impl MetricsServer {
    /// Returns the address.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for MetricsServer {
    fn drop(&mut self) {
        self.connections.stop();
        // Wakes the thread that accepts. If that fails, it ends with the process.
        let address = match self.address {
            SocketAddr::V4(any) if any.ip().is_unspecified() => {
                (Ipv4Addr::LOCALHOST, any.port()).into()
            }
            SocketAddr::V6(any) if any.ip().is_unspecified() => {
                (Ipv6Addr::LOCALHOST, any.port()).into()
            }
            address => address,
        };
        let _ = TcpStream::connect_timeout(&address, STOP_TIME);
        self.connections.wait_until_closed(STOP_TIME);
    }
}

/// Why metrics cannot be served.
#[derive(Debug, Error)]
pub enum ListenError {
    /// The address could not be bound.
    #[error("cannot serve metrics at {}", ZonedAddr(*address))]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// A thread could not be started.
    #[error("cannot start a thread that serves metrics")]
    Thread(#[source] io::Error),
}

impl ListenError {
    /// Adds advice.
    pub fn explain(self) -> Box<dyn Error> {
        let Self::Bind { address, source } = &self else { return self.into() };
        match listen::advice(source, address.port(), "--metrics-listen ADDRESS:PORT") {
            Some(advice) => format!("{self}: {source}: {advice}").into(),
            None => self.into(),
        }
    }
}

/// What is served: the metrics, and whether the tool works.
#[derive(Debug)]
struct Exposition {
    source: Box<dyn MetricsSource>,
    /// The last text in each format. Scrapers of the same metrics share it.
    rendered: Mutex<[Option<Rendered>; 2]>,
}

#[derive(Debug)]
struct Rendered {
    of: Weak<MetricFamilies>,
    text: Arc<str>,
}

impl Exposition {
    fn respond(&self, request: Request) -> Response {
        match request.resource {
            Resource::Metrics(format) => Response::metrics(format, self.text(format)),
            Resource::Health => Response::health(self.source.is_healthy()),
        }
    }

    /// Returns the metrics as text. One thread at a time formats them.
    fn text(&self, format: TextFormat) -> Arc<str> {
        let mut rendered = lock(&self.rendered);
        let families = self.source.families();
        let last = &mut rendered[usize::from(format == TextFormat::OpenMetrics)];
        match last {
            Some(last) if last.of.as_ptr() == Arc::as_ptr(&families) => Arc::clone(&last.text),
            _ => {
                let text = Arc::<str>::from(format.encode(&families));
                *last = Some(Rendered { of: Arc::downgrade(&families), text: Arc::clone(&text) });
                text
            }
        }
    }
}

/// Accepts connections until the stop, each of which has a thread.
fn accept_all(socket: &TcpListener, connections: &Arc<Connections>, exposition: &Arc<Exposition>) {
    let mut pace = Pace::new(Instant::now());
    while !connections.is_stopped() {
        let accepted = socket.accept();
        connections.pause(pace.next(Instant::now()));
        let Ok((stream, peer)) = accepted else {
            // The error is the client's, or a lack of descriptors, of which others have some.
            connections.evict_one();
            continue;
        };
        let Some(mut connection) = connections.admit(stream, peer.ip()) else { continue };
        let exposition = Arc::clone(exposition);
        let answer = move || {
            // The client's errors are not ours, and there is nobody to tell.
            let _ = answer(&mut connection, &exposition).and_then(|()| connection.close());
        };
        // Without a thread, the connection is closed.
        let _ = thread::Builder::new().spawn(answer);
    }
}

/// Answers one request.
fn answer(connection: &mut Connection, exposition: &Exposition) -> io::Result<()> {
    let request = read(connection)?;
    let is_head = request.is_ok_and(|request| request.is_head);
    connection.start_sending()?;
    let response = request.map_or_else(Response::from, |request| exposition.respond(request));
    let body = if is_head { "" } else { &response.body };
    let sent = connection
        .write_all(response.head().as_bytes())
        .and_then(|()| connection.write_all(body.as_bytes()));
    drop(response);
    connection.stop_sending();
    sent
}

/// Reads the head of a request.
fn read(connection: &mut Connection) -> io::Result<Result<Request, Refused>> {
    let (mut head, mut len) = ([0; MAX_HEAD], 0);
    loop {
        match connection.read(&mut head[len..])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            more => len += more,
        }
        if let Some(request) = request::parse(&head[..len]) {
            return Ok(request);
        }
    }
}

/// Spaces connections, so that a flood of them takes little time from the other threads.
#[derive(Debug)]
struct Pace {
    /// When the next connection would be due at a steady rate.
    due: Instant,
}

impl Pace {
    fn new(now: Instant) -> Self {
        Self { due: now }
    }

    /// Returns the time to wait before the next connection, which is none for a few in a row.
    fn next(&mut self, now: Instant) -> Duration {
        self.due = self.due.max(now) + SPACING;
        self.due.saturating_duration_since(now + SPACING * BURST)
    }
}

/// The mean time between connections in a flood.
const SPACING: Duration = Duration::from_millis(5);

/// The number of connections that need not be spaced.
const BURST: u32 = 32;

/// The time that the stop waits for clients, each of which has been cut off.
const STOP_TIME: Duration = Duration::from_millis(100);
