use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use hello_proto::{DecodeError, MAX_DATAGRAM_LEN, Reply, Request, Retry};
use thiserror::Error;

use crate::{ErrorClass, socket};

/// Asks for greetings, one at a time.
///
/// A server may have several addresses, as host names do. The client stays with one while it
/// answers. It goes on to the next when one is silent for a whole attempt, and within the
/// attempt when one reports an error, as where nothing listens.
#[derive(Debug)]
pub struct Client {
    servers: Vec<SocketAddr>,
    /// Which of the servers is asked next.
    current: usize,
    retry: Retry,
    buf: Vec<u8>,
}

impl Client {
    /// Makes ready to ask at `servers`, and leaves out those that cannot be sent to from here.
    ///
    /// No datagram is sent, so this says nothing about whether anybody listens there.
    ///
    /// # Errors
    ///
    /// What the system said of the last address if none can be sent to; `InvalidInput` if there
    /// is none.
    pub fn connect(
        servers: impl IntoIterator<Item = SocketAddr>,
        retry: Retry,
    ) -> io::Result<Self> {
        let mut usable = Vec::new();
        let mut failure = io::Error::new(io::ErrorKind::InvalidInput, "no address to ask at");
        for server in servers {
            match socket::connect(server) {
                Ok(_) => usable.push(server),
                Err(error) => failure = error,
            }
        }
        if usable.is_empty() {
            return Err(failure);
        }
        // One byte more than the longest reply, to tell it from a longer datagram.
        Ok(Self { servers: usable, current: 0, retry, buf: vec![0; MAX_DATAGRAM_LEN + 1] })
    }

    /// Asks for one greeting, again and again as the retry schedule says, and shows each step
    /// to `observe`.
    ///
    /// Each call asks from a port of its own, so a reply to an earlier call is never taken for
    /// one to this, not even if the names are equal. Within the call a reply to any attempt will
    /// do. Whatever else arrives is skipped, and moves no deadline.
    ///
    /// # Errors
    ///
    /// [`GreetError::Unanswered`] when the last attempt's wait is over, [`GreetError::Socket`]
    /// if no socket can be opened.
    pub fn greet(
        &mut self,
        request: Request<'_>,
        mut observe: impl FnMut(Progress<'_>),
    ) -> Result<Greeting, GreetError> {
        let started = Instant::now();
        let mut flows: Vec<Option<Flow>> = self.servers.iter().map(|_| None).collect();
        let mut problem = None;
        let mut observe = |progress: Progress<'_>| {
            if let Progress::Failed { class, .. } = progress {
                problem = Some(class);
            }
            observe(progress);
        };
        let mut attempts = 0;
        for wait in self.retry.waits() {
            attempts += 1;
            let start = Instant::now();
            for others_left in (0..flows.len()).rev() {
                let attempt = Attempt { number: attempts, start, wait, alone: others_left == 0 };
                let flow = match &mut flows[self.current] {
                    Some(flow) => flow,
                    none => none.insert(Flow::open(self.servers[self.current])?),
                };
                match flow.ask(request, attempt, &mut self.buf, &mut observe) {
                    Verdict::Answered { rtt } => {
                        let (server, elapsed) = (flow.server, started.elapsed());
                        return Ok(Greeting { server, attempts, rtt, elapsed });
                    }
                    Verdict::Failed => self.current = (self.current + 1) % flows.len(),
                    Verdict::Silent => break,
                }
            }
            self.current = (self.current + 1) % flows.len();
        }
        Err(GreetError::Unanswered { attempts, elapsed: started.elapsed(), problem })
    }

    /// Yields the addresses that are asked.
    pub fn servers(&self) -> impl Iterator<Item = SocketAddr> {
        self.servers.iter().copied()
    }
}

/// An answered request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// Who answered.
    pub server: SocketAddr,
    /// How many attempts were made, from 1.
    pub attempts: u32,
    /// The round-trip time, from just before the send to just after the receive.
    ///
    /// `None` if the server was asked more than once: nobody knows which of the requests was
    /// answered (Karn's algorithm, RFC 6298 section 3).
    pub rtt: Option<Duration>,
    /// How long the answer took in all, from before the first attempt.
    pub elapsed: Duration,
}

/// A step on the way to a greeting.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// A request was sent.
    Asked {
        /// To whom.
        server: SocketAddr,
        /// In which attempt, from 1.
        attempt: u32,
    },
    /// A send failed, or the network reported that an earlier one did.
    Failed {
        /// Who was asked.
        server: SocketAddr,
        /// How it failed.
        class: ErrorClass,
    },
    /// The server sent something that is not the reply.
    Skipped {
        /// Who sent it.
        server: SocketAddr,
        /// Its bytes.
        datagram: &'a [u8],
        /// Why it is no reply at all; `None` if it is one to another name.
        error: Option<DecodeError>,
    },
}

/// There is no greeting.
#[derive(Debug, Error)]
pub enum GreetError {
    /// All attempts were made, and no reply came.
    #[error("{}", problem.map_or("no answer".into(), |class| class.to_string()))]
    Unanswered {
        /// How many attempts were made.
        attempts: u32,
        /// How long they took.
        elapsed: Duration,
        /// What the system or the network said last, if anything; silence if not.
        problem: Option<ErrorClass>,
    },
    /// No socket could be opened.
    #[error("cannot open a socket")]
    Socket(#[from] io::Error),
}

/// A socket connected to one of the servers, for one greeting.
#[derive(Debug)]
struct Flow {
    server: SocketAddr,
    socket: UdpSocket,
    /// How many requests were sent.
    sent: u32,
}

/// One wait of the schedule.
#[derive(Clone, Copy)]
struct Attempt {
    number: u32,
    start: Instant,
    wait: Duration,
    /// No other server is left to ask in this attempt.
    alone: bool,
}

enum Verdict {
    Answered {
        rtt: Option<Duration>,
    },
    /// An error was reported, and another server is left to ask.
    Failed,
    Silent,
}

impl Flow {
    fn open(server: SocketAddr) -> io::Result<Self> {
        Ok(Self { server, socket: socket::connect(server)?, sent: 0 })
    }

    /// Sends the request once, and waits for its reply until the deadline.
    ///
    /// Where no other server is left, an error is a diagnosis and not the end: somebody may
    /// listen there in a moment.
    fn ask(
        &mut self,
        request: Request<'_>,
        attempt: Attempt,
        buf: &mut [u8],
        observe: &mut impl FnMut(Progress<'_>),
    ) -> Verdict {
        let server = self.server;
        let asked = Instant::now();
        match self.send(request, observe) {
            Ok(()) => observe(Progress::Asked { server, attempt: attempt.number }),
            Err(_) if !attempt.alone => return Verdict::Failed,
            Err(_) => (),
        }
        loop {
            let remaining = attempt.remaining();
            match self.receive(remaining, buf) {
                Ok(datagram) => match Reply::decode(datagram) {
                    Ok(reply) if reply.answers(request) => {
                        let rtt = (self.sent == 1).then(|| asked.elapsed());
                        return Verdict::Answered { rtt };
                    }
                    other => {
                        let error = other.err();
                        observe(Progress::Skipped { server, datagram, error });
                    }
                },
                Err(error) => match ErrorClass::of(&error) {
                    ErrorClass::Interrupted => continue,
                    ErrorClass::WouldBlock => (),
                    class => {
                        observe(Progress::Failed { server, class });
                        if !attempt.alone {
                            return Verdict::Failed;
                        }
                        // Should the error be there to stay, this keeps it from keeping us busy.
                        thread::sleep(Duration::from_millis(1));
                    }
                },
            }
            // Only now: a reply that came while this process was stopped is no silence.
            if remaining.is_zero() {
                return Verdict::Silent;
            }
        }
    }

    /// Sends the request.
    ///
    /// What ICMP reported since the last call comes out of the next send, which then has sent
    /// nothing (`udp(7)`). So one error is no reason yet not to send.
    fn send(
        &mut self,
        request: Request<'_>,
        observe: &mut impl FnMut(Progress<'_>),
    ) -> io::Result<()> {
        if let Err(error) = self.socket.send(request.encode()) {
            observe(Progress::Failed { server: self.server, class: ErrorClass::of(&error) });
            self.socket.send(request.encode())?;
        }
        self.sent += 1;
        Ok(())
    }

    /// Waits for a datagram; with a timeout of zero, it looks whether there is one.
    fn receive<'b>(&self, timeout: Duration, buf: &'b mut [u8]) -> io::Result<&'b [u8]> {
        // Zero would mean to wait for ever (socket(7)), and is an error to std.
        self.socket.set_read_timeout(Some(timeout.max(Duration::from_micros(1))))?;
        let len = self.socket.recv(buf)?;
        Ok(&buf[..len])
    }
}

impl Attempt {
    fn remaining(&self) -> Duration {
        self.wait.saturating_sub(self.start.elapsed())
    }
}
