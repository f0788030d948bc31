use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use hello_proto::{Reply, Request};

use crate::{ErrorClass, Progress, Silence, socket};

/// Asks one server for one greeting, in one attempt or more, from one port.
#[derive(Debug)]
pub(crate) struct Flow {
    server: SocketAddr,
    /// Connected to the server; `None` as long as that failed.
    socket: Option<UdpSocket>,
    /// In how many attempts the server was asked.
    attempts: u32,
    /// How many requests were sent.
    sent: u32,
    /// What was reported last, of the last attempt.
    problem: Option<ErrorClass>,
}

/// One wait of the schedule.
#[derive(Clone, Copy)]
pub(crate) struct Attempt {
    pub(crate) number: u32,
    pub(crate) start: Instant,
    pub(crate) wait: Duration,
    /// No other server is left to ask in this attempt.
    pub(crate) alone: bool,
}

pub(crate) enum Verdict {
    Answered {
        rtt: Option<Duration>,
    },
    /// An error was reported, and another server is left to ask.
    Failed,
    Silent,
}

impl Flow {
    pub(crate) fn new(server: SocketAddr) -> Self {
        Self { server, socket: None, attempts: 0, sent: 0, problem: None }
    }

    /// Sends the request once, and waits for its reply until the attempt is over.
    ///
    /// Where no other server is left, an error is a diagnosis and not the end: somebody may
    /// listen there in a moment.
    pub(crate) fn ask(
        &mut self,
        request: Request<'_>,
        attempt: Attempt,
        buf: &mut [u8],
        observe: &mut impl FnMut(Progress<'_>),
    ) -> Verdict {
        self.attempts += 1;
        self.problem = None;
        observe(Progress::Asks { server: self.server, attempt: attempt.number });
        let asked = Instant::now();
        if let Err(error) = self.send(request) {
            self.fail(&error, attempt.alone, observe);
            // What ICMP reported since the last call comes out of the next send, which then has
            // sent nothing (udp(7)). So one error is no reason yet not to send.
            if self.send(request).is_err() && !attempt.alone {
                return Verdict::Failed;
            }
        }
        self.listen(request, attempt, Some(asked), buf, observe)
    }

    /// Tells whether a reply came since the server was last waited for.
    pub(crate) fn look(
        &mut self,
        request: Request<'_>,
        buf: &mut [u8],
        observe: &mut impl FnMut(Progress<'_>),
    ) -> bool {
        if self.sent == 0 {
            return false;
        }
        let over = Attempt { number: 0, start: Instant::now(), wait: Duration::ZERO, alone: true };
        matches!(self.listen(request, over, None, buf, observe), Verdict::Answered { .. })
    }

    pub(crate) fn server(&self) -> SocketAddr {
        self.server
    }

    /// Returns why the server did not answer, if it was asked.
    pub(crate) fn silence(&self) -> Option<Silence> {
        (self.attempts > 0).then_some(Silence { server: self.server, problem: self.problem })
    }

    fn send(&mut self, request: Request<'_>) -> io::Result<()> {
        let socket = match &mut self.socket {
            Some(socket) => socket,
            none => none.insert(socket::connect(self.server)?),
        };
        socket.send(request.encode())?;
        self.sent += 1;
        Ok(())
    }

    /// Receives until there is the reply or the attempt is over; what is in the socket by then is
    /// still looked at, for this process may have been stopped meanwhile.
    fn listen(
        &mut self,
        request: Request<'_>,
        attempt: Attempt,
        asked: Option<Instant>,
        buf: &mut [u8],
        observe: &mut impl FnMut(Progress<'_>),
    ) -> Verdict {
        let server = self.server;
        let mut last_looks = 0..LAST_LOOKS;
        loop {
            let remaining = attempt.wait.saturating_sub(attempt.start.elapsed());
            match receive(self.socket.as_ref(), remaining, buf) {
                Ok(datagram) => match Reply::decode(datagram) {
                    Ok(reply) if reply.answers(request) => {
                        let rtt = asked.filter(|_| self.sent == 1).map(|asked| asked.elapsed());
                        return Verdict::Answered { rtt };
                    }
                    other => {
                        let error = other.err();
                        observe(Progress::Skipped { server, datagram, error });
                    }
                },
                Err(error) => match ErrorClass::of(&error) {
                    ErrorClass::Interrupted => continue,
                    ErrorClass::WouldBlock if remaining.is_zero() => return Verdict::Silent,
                    ErrorClass::WouldBlock => (),
                    _ => {
                        self.fail(&error, attempt.alone, observe);
                        if !attempt.alone {
                            return Verdict::Failed;
                        }
                        // Should the error be there to stay, this keeps it from keeping us busy.
                        thread::sleep(Duration::from_millis(1));
                    }
                },
            }
            if remaining.is_zero() && last_looks.next().is_none() {
                return Verdict::Silent;
            }
        }
    }

    fn fail(&mut self, error: &io::Error, waits: bool, observe: &mut impl FnMut(Progress<'_>)) {
        self.problem = Some(ErrorClass::of(error));
        observe(Progress::Failed { server: self.server, error, waits });
    }
}

/// How many datagrams are looked at after the end of an attempt.
const LAST_LOOKS: u32 = 256;

/// Waits for a datagram; with a timeout of zero, it looks whether there is one. Without a socket
/// it waits for nothing, as long.
fn receive<'b>(
    socket: Option<&UdpSocket>,
    timeout: Duration,
    buf: &'b mut [u8],
) -> io::Result<&'b [u8]> {
    let Some(socket) = socket else {
        thread::sleep(timeout);
        return Err(io::ErrorKind::WouldBlock.into());
    };
    // Zero would mean to wait for ever (socket(7)), and is an error to std.
    socket.set_read_timeout(Some(timeout.max(Duration::from_micros(1))))?;
    let len = socket.recv(buf)?;
    Ok(&buf[..len])
}
