use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use hello_measure::Cause;
use hello_proto::{Reply, Request};

use super::event::{NoReply, Progress};
use crate::sys;
use crate::sys::error_class::ErrorClass;
use crate::sys::latch::Latch;
use crate::sys::queued_error::{MAX_QUOTE, QueuedError};
use crate::sys::socket;
use crate::udp::earlier_send::{MAX_QUEUED, is_from_earlier_send, send_past_reports};
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
    /// The last error of the last attempt that had one.
    problem: Option<Failure>,
}

/// An error about a request.
#[derive(Clone, Copy, Debug)]
struct Failure {
    error: SocketError,
    /// What the network reported, if the error is from there.
    cause: Option<Cause>,
}

impl From<&io::Error> for Failure {
    fn from(error: &io::Error) -> Self {
        Self { error: SocketError::of(error), cause: None }
    }
}

/// The result of waiting for something to receive.
enum Received<'b> {
    Datagram(&'b [u8]),
    Nothing,
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
        let (socket, sent) = (None, Sent::Nothing);
        Self { server, peer, socket, tried: false, sent, problem: None }
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
        // Those of earlier attempts do not end this one.
        let (queued, _) = self.take_errors(request);
        queued.into_iter().for_each(|failure| self.fail(failure, true, observe));
        let (sent, earlier) = send_past_reports(|| self.send(request));
        if !earlier.is_empty() {
            self.fail_for_all(request, &earlier, true, observe);
        }
        if let Err(error) = sent {
            self.fail((&error).into(), wait.is_last, observe);
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
        let (problem, cause) = match self.problem {
            Some(Failure { error, cause }) => (Some(error), cause),
            None => (None, None),
        };
        self.tried.then_some(NoReply { server: self.server, problem, cause })
    }

    fn send(&mut self, request: Request<'_>) -> io::Result<()> {
        let socket = match &mut self.socket {
            Some(socket) => socket,
            none => {
                let socket = socket::connect(self.server)?;
                // Without it, the system reports only some errors.
                let _ = sys::queue_errors(&socket);
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
                Ok(Received::Datagram(datagram)) => match Reply::decode(datagram) {
                    Ok(reply) if reply.answers(request) => {
                        return AttemptResult::Answered { rtt: self.sent.rtt() };
                    }
                    other => {
                        let (server, error) = (self.server, other.err());
                        observe(Progress::Skipped { server, datagram, error });
                    }
                },
                Ok(Received::Nothing) => (),
                Err(error) => match ErrorClass::of(&error) {
                    ErrorClass::Interrupted => continue,
                    ErrorClass::WouldBlock if remaining.is_zero() => return AttemptResult::Silent,
                    ErrorClass::WouldBlock => (),
                    _ => {
                        let waits = wait.is_last && !remaining.is_zero();
                        let failed = if is_from_earlier_send(&error) {
                            self.fail_for_all(request, &[error], waits, observe)
                        } else {
                            self.fail((&error).into(), waits, observe);
                            // It may be permanent, and must not make this loop spin.
                            thread::sleep(Duration::from_millis(1));
                            true
                        };
                        if failed && !wait.is_last {
                            return AttemptResult::Failed;
                        }
                    }
                },
            }
            if remaining.is_zero() && last_looks.next().is_none() {
                return AttemptResult::Silent;
            }
        }
    }

    /// Waits for a datagram from the server; with a timeout of zero, returns one that has
    /// arrived. Without a socket, just waits.
    fn receive<'b>(
        &self,
        timeout: Duration,
        abort: &Latch,
        buf: &'b mut [u8],
    ) -> io::Result<Received<'b>> {
        let Some(socket) = &self.socket else {
            abort.sleep(timeout);
            return Err(ErrorKind::WouldBlock.into());
        };
        if !timeout.is_zero() {
            sys::wait_readable(socket, Some(abort), timeout)?;
        }
        let (len, source) = socket.recv_from(buf)?;
        // The system gives a socket its port a moment before it connects it, and what somebody else
        // sends in that moment stays in it.
        if (source.ip(), source.port()) != (self.peer.ip(), self.peer.port()) {
            return Ok(Received::Nothing);
        }
        Ok(Received::Datagram(&buf[..len]))
    }

    /// Takes the queued errors, up to a bound, and returns those about the request, as far as what they
    /// quote tells. Others are forged. Also returns how many there were.
    fn take_errors(&self, request: Request<'_>) -> (Vec<Failure>, usize) {
        let (request, mut quote) = (request.encode(), [0; MAX_QUOTE]);
        let (mut failures, mut taken) = (Vec::new(), 0);
        while let Some(QueuedError { code, cause, quoted, .. }) =
            self.socket.as_ref().and_then(|socket| sys::take_error(sys::borrow(socket), &mut quote))
        {
            taken += 1;
            // It may be cut, and padded.
            let len = quoted.min(request.len());
            if quote[..len] == request[..len] {
                let error = SocketError::of(&io::Error::from_raw_os_error(code));
                failures.push(Failure { error, cause: Some(cause) });
            }
            if taken >= MAX_QUEUED {
                break;
            }
        }
        (failures, taken)
    }

    /// Reports the errors that calls returned about earlier requests: those that the system queued, or
    /// else the errors themselves. Returns whether any is about this request.
    fn fail_for_all(
        &mut self,
        request: Request<'_>,
        returned: &[io::Error],
        waits: bool,
        observe: &mut impl FnMut(Progress<'_>),
    ) -> bool {
        let (mut failures, taken) = self.take_errors(request);
        failures.extend(returned.iter().skip(taken).map(Failure::from));
        let failed = !failures.is_empty();
        failures.into_iter().for_each(|failure| self.fail(failure, waits, observe));
        failed
    }

    fn fail(&mut self, failure: Failure, waits: bool, observe: &mut impl FnMut(Progress<'_>)) {
        self.problem = Some(failure);
        let Failure { error, cause } = failure;
        observe(Progress::Failed { server: self.server, error, cause, waits });
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
