//! A scripted server.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hello_proto::Token;

use crate::support::peer;

/// A server that answers as instructed, and records every request.
pub(super) struct Server {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    asked: Arc<(Mutex<usize>, Condvar)>,
    thread: Option<JoinHandle<Vec<ReceivedRequest>>>,
}

/// A received request.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ReceivedRequest {
    /// Counted from 0.
    pub(super) number: usize,
    pub(super) client: SocketAddr,
    pub(super) name: Vec<u8>,
}

impl ReceivedRequest {
    pub(super) fn greeting(&self) -> Vec<u8> {
        [b"Hello, ", &self.name[..], b"!"].concat()
    }

    pub(super) fn token(&self) -> Token {
        Token::decode(&self.name).expect("only tokens are sent")
    }
}

impl Server {
    /// Starts a server that sends the returned reply to each request.
    pub(super) fn start(
        mut answer: impl FnMut(&ReceivedRequest) -> Option<Vec<u8>> + Send + 'static,
    ) -> Self {
        let socket = peer();
        socket.set_read_timeout(Some(HEARTBEAT)).expect("not zero");
        let address = socket.local_addr().expect("bound");
        let (stop, asked) =
            (Arc::<AtomicBool>::default(), Arc::<(Mutex<usize>, Condvar)>::default());
        let (stopping, count) = (Arc::clone(&stop), Arc::clone(&asked));
        let thread = thread::spawn(move || {
            let mut all = Vec::new();
            loop {
                // Read first, so that everything sent before the stop is still received.
                let stopping = stopping.load(Relaxed);
                while let Some((name, client)) = receive(&socket) {
                    let asked = ReceivedRequest { number: all.len(), client, name };
                    if let Some(reply) = answer(&asked) {
                        socket.send_to(&reply, client).expect("sent");
                    }
                    all.push(asked);
                    *count.0.lock().expect("no panic") = all.len();
                    count.1.notify_all();
                }
                if stopping {
                    return all;
                }
            }
        });
        Self { address, stop, asked, thread: Some(thread) }
    }

    /// A server that answers everything.
    pub(super) fn greeter() -> Self {
        Self::start(|request| Some(request.greeting()))
    }

    /// A server that answers this many requests of each run of each client. Its capacity does not
    /// depend on scheduling.
    pub(super) fn with_capacity(requests: usize) -> Self {
        let mut answered = HashMap::new();
        Self::start(move |request| {
            let answered = answered.entry((request.client, request.token().run_id)).or_insert(0);
            *answered += 1;
            (*answered <= requests).then(|| request.greeting())
        })
    }

    pub(super) fn address(&self) -> String {
        self.address.to_string()
    }

    /// Waits until this many requests have arrived.
    pub(super) fn wait_for(&self, requests: usize) {
        let (asked, changed) = &*self.asked;
        let asked = asked.lock().expect("no panic");
        let too_few = |asked: &mut usize| *asked < requests;
        let waited = changed.wait_timeout_while(asked, Duration::from_secs(20), too_few);
        let (asked, waited) = waited.expect("no panic");
        assert!(!waited.timed_out(), "{} of {requests} requests arrived within 20 seconds", *asked);
    }

    /// Stops the server, and returns all received requests.
    pub(super) fn finish(mut self) -> Vec<ReceivedRequest> {
        self.stop.store(true, Relaxed);
        self.thread.take().expect("finished once").join().expect("no panic")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
    }
}

/// The longest wait before it checks for a stop.
const HEARTBEAT: Duration = Duration::from_millis(10);

fn receive(socket: &UdpSocket) -> Option<(Vec<u8>, SocketAddr)> {
    let mut buf = [0; 65_536];
    match socket.recv_from(&mut buf) {
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
        received => {
            let (len, client) = received.expect("received");
            Some((buf[..len].to_vec(), client))
        }
    }
}
