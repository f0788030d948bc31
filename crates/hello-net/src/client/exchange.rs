use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use hello_proto::{Reply, Request};

use super::event::{NoReply, Progress};
use crate::sys;
use crate::sys::latch::Latch;
use crate::udp::earlier_send::{is_from_earlier_send, queued_reports, send_past_reports};
use crate::udp::error_class::ErrorClass;
use crate::udp::socket;
use crate::udp::socket_error::SocketError;

/// One greeting from one server: a port, and the attempts made from it.
#[derive(Debug)]
pub(crate) struct Exchange {
    server: SocketAddr,
    /// The address that the server answers from: its own, or an address of this machine if that is
    /// unspecified (0.0.0.0 or `::`).
    peer: SocketAddr,
    /// Connected to the server; `None` while that fails.
    socket: Option<UdpSocket>,
    tried: bool,
    sent: Sent,
    /// The last error of the last attempt.
    problem: Option<SocketError>,
}

/// What was sent so far, as far as the round-trip time depends on it.
#[derive(Clone, Copy, Debug)]
enum Sent {
    Nothing,
    Once(Instant),
    /// More than once, so nobody knows which of them a reply answers.
    Again,
}

impl Sent {
    /// Returns the round-trip time of a reply that arrives now, where it is known.
    fn rtt(self) -> Option<Duration> {
        match self {
            Self::Once(at) => Some(at.elapsed()),
            Self::Nothing | Self::Again => None,
        }
    }
}

/// One wait of the schedule.
#[derive(Clone, Copy)]
pub(crate) struct Wait<'a> {
    pub(crate) start: Instant,
    pub(crate) length: Duration,
    /// No other server is left to try in this attempt.
    pub(crate) is_last: bool,
    /// Cancels the wait.
    pub(crate) abort: &'a Latch,
}

pub(crate) enum AttemptResult {
    Answered {
        rtt: Option<Duration>,
    },
    /// An error was reported, and another server is left to try.
    Failed,
    Silent,
    Cancelled,
}

impl Exchange {
    pub(crate) fn new(server: SocketAddr) -> Self {
        let peer = server;
        Self { server, peer, socket: None, tried: false, sent: Sent::Nothing, problem: None }
    }

    /// Sends the request once, and waits for its reply.
    ///
    /// Where no other server is left, an error does not end the attempt: a server may start to
    /// listen in a moment.
    pub(crate) fn attempt(
        &mut self,
        request: Request<'_>,
        wait: Wait<'_>,
        buf: &mut [u8],
        observe: &mut impl FnMut(Progress<'_>),
    ) -> AttemptResult {
        self.tried = true;
        self.problem = None;
        // Those of earlier attempts do not end this one.
        let queued = Vec::from_iter(self.socket.iter().flat_map(queued_reports));
        queued.iter().for_each(|error| self.fail(error, true, observe));
        let (sent, earlier) = send_past_reports(|| self.send(request));
        earlier.iter().for_each(|error| self.fail(error, true, observe));
        if let Err(error) = sent {
            self.fail(&error, wait.is_last, observe);
            if !wait.is_last {
                return AttemptResult::Failed;
            }
        }
        self.await_reply(request, wait, buf, observe)
    }

    /// Returns whether a reply arrived since the last wait for the server.
    pub(crate) fn poll_reply(
        &mut self,
        request: Request<'_>,
        abort: &Latch,
        buf: &mut [u8],
        observe: &mut impl FnMut(Progress<'_>),
    ) -> bool {
        let over = Wait { start: Instant::now(), length: Duration::ZERO, is_last: true, abort };
        !matches!(self.sent, Sent::Nothing)
            && matches!(
                self.await_reply(request, over, buf, observe),
                AttemptResult::Answered { .. }
            )
    }

    pub(crate) fn server(&self) -> SocketAddr {
        self.server
    }

    /// Returns why the server did not answer, if a request was sent to it.
    pub(crate) fn no_reply(&self) -> Option<NoReply> {
        self.tried.then_some(NoReply { server: self.server, problem: self.problem })
    }

    fn send(&mut self, request: Request<'_>) -> io::Result<()> {
        let socket = match &mut self.socket {
            Some(socket) => socket,
            none => {
                let socket = socket::connect(self.server)?;
                // Without it, the system reports only some errors.
                let _ = sys::queue_reports(&socket, self.server);
                socket.set_nonblocking(true)?;
                self.peer = socket.peer_addr()?;
                none.insert(socket)
            }
        };
        let now = Instant::now();
        socket.send(request.encode())?;
        self.sent = match self.sent {
            Sent::Nothing => Sent::Once(now),
            Sent::Once(_) | Sent::Again => Sent::Again,
        };
        Ok(())
    }

    /// Receives until the reply arrives or the wait is over. What is in the socket by then is still
    /// read, because this process may have been suspended meanwhile.
    fn await_reply(
        &mut self,
        request: Request<'_>,
        wait: Wait<'_>,
        buf: &mut [u8],
        observe: &mut impl FnMut(Progress<'_>),
    ) -> AttemptResult {
        let mut last_looks = 0..MAX_LATE_DATAGRAMS;
        loop {
            if wait.abort.is_raised() {
                return AttemptResult::Cancelled;
            }
            let remaining = wait.length.saturating_sub(wait.start.elapsed());
            match self.receive(remaining, wait.abort, buf) {
                Ok(datagram) => match Reply::decode(datagram) {
                    Ok(reply) if reply.answers(request) => {
                        return AttemptResult::Answered { rtt: self.sent.rtt() };
                    }
                    other => {
                        let (server, error) = (self.server, other.err());
                        observe(Progress::Skipped { server, datagram, error });
                    }
                },
                Err(error) => match ErrorClass::of(&error) {
                    ErrorClass::Interrupted => continue,
                    ErrorClass::WouldBlock if remaining.is_zero() => return AttemptResult::Silent,
                    ErrorClass::WouldBlock => (),
                    _ => {
                        self.fail(&error, wait.is_last && !remaining.is_zero(), observe);
                        if !wait.is_last {
                            return AttemptResult::Failed;
                        }
                        // An error of the socket itself may be permanent, and must not make this
                        // loop spin. A report is gone, and the reply may have arrived already.
                        if !is_from_earlier_send(&error) {
                            thread::sleep(Duration::from_millis(1));
                        }
                    }
                },
            }
            if remaining.is_zero() && last_looks.next().is_none() {
                return AttemptResult::Silent;
            }
        }
    }

    /// Waits for a datagram from the server; with a timeout of zero, returns one that has arrived.
    /// Without a socket, just waits.
    fn receive<'b>(
        &self,
        timeout: Duration,
        abort: &Latch,
        buf: &'b mut [u8],
    ) -> io::Result<&'b [u8]> {
        let Some(socket) = &self.socket else {
            abort.sleep(timeout);
            return Err(ErrorKind::WouldBlock.into());
        };
        if !timeout.is_zero() {
            sys::wait_readable(socket, Some(abort), timeout)?;
        }
        if let Some(error) = sys::take_report(socket) {
            return Err(error);
        }
        let (len, source) = socket.recv_from(buf)?;
        // The system gives a socket its port a moment before it connects it, and what somebody else
        // sends in that moment stays in it. To the loop above it is a wait cut short.
        if (source.ip(), source.port()) != (self.peer.ip(), self.peer.port()) {
            return Err(ErrorKind::Interrupted.into());
        }
        Ok(&buf[..len])
    }

    fn fail(&mut self, error: &io::Error, waits: bool, observe: &mut impl FnMut(Progress<'_>)) {
        let error = SocketError::of(error);
        self.problem = Some(error);
        observe(Progress::Failed { server: self.server, error, waits });
    }
}

/// The most datagrams that are read after the end of a wait.
const MAX_LATE_DATAGRAMS: u32 = 256;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn datagram_from_before_the_socket_was_connected_is_no_reply() {
        let [socket, server, stranger] =
            [(); 3].map(|()| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port"));
        let here = socket.local_addr().expect("bound");
        let mut exchange = Exchange::new(server.local_addr().expect("bound"));
        stranger.send_to(b"Hello, Tracy!", here).expect("sent");
        socket.connect(exchange.server).expect("loopback has a route");
        socket.set_nonblocking(true).expect("possible");
        (exchange.socket, exchange.sent) = (Some(socket), Sent::Once(Instant::now()));

        let request = Request::new(b"Tracy").expect("short");
        let (mut buf, abort) = ([0; 64], Latch::new().expect("sockets"));
        assert!(!exchange.poll_reply(request, &abort, &mut buf, &mut |_| ()));
        server.send_to(b"Hello, Tracy!", here).expect("sent");
        assert!(exchange.poll_reply(request, &abort, &mut buf, &mut |_| ()));
    }
}
