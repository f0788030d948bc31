mod exchange;

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hello_proto::{DecodeError, MAX_DATAGRAM_LEN, Request, Retry};
use thiserror::Error;

use self::exchange::{AttemptResult, Exchange, Wait};
use crate::udp::error_class::ErrorClass;

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
    /// The sockets of the last greeting. They keep its ports from being the next one's.
    previous: Vec<Exchange>,
    buf: Vec<u8>,
}

impl Client {
    /// Makes ready to ask at `servers`, and sends nothing yet.
    ///
    /// # Errors
    ///
    /// [`NoAddress`] if there is none.
    pub fn new(
        servers: impl IntoIterator<Item = SocketAddr>,
        retry: Retry,
    ) -> Result<Self, NoAddress> {
        let servers = Vec::from_iter(servers);
        if servers.is_empty() {
            return Err(NoAddress);
        }
        // One byte more than the longest reply, to tell it from a longer datagram.
        let buf = vec![0; MAX_DATAGRAM_LEN + 1];
        Ok(Self { servers, current: 0, retry, previous: Vec::new(), buf })
    }

    /// Asks for one greeting, again and again as the retry schedule says, and shows each step
    /// to `observe`.
    ///
    /// Each call asks from other ports than the one before it, so a reply to that one is never
    /// taken for one to this, not even if the names are equal. Within the call a reply to any
    /// attempt will do. Whatever else arrives is skipped, and moves no deadline.
    ///
    /// # Errors
    ///
    /// [`Unanswered`] when the last attempt's wait is over.
    pub fn greet(
        &mut self,
        request: Request<'_>,
        observe: impl FnMut(Progress<'_>),
    ) -> Result<Greeting, Unanswered> {
        let mut exchanges = Vec::from_iter(self.servers.iter().copied().map(Exchange::new));
        let result = self.ask_in_turn(&mut exchanges, request, observe);
        self.previous = exchanges;
        result
    }

    fn ask_in_turn(
        &mut self,
        exchanges: &mut [Exchange],
        request: Request<'_>,
        mut observe: impl FnMut(Progress<'_>),
    ) -> Result<Greeting, Unanswered> {
        let started = Instant::now();
        let mut attempts = 0;
        for length in self.retry.delays() {
            attempts += 1;
            let start = Instant::now();
            let greeted = |exchange: &Exchange, rtt| {
                let (server, elapsed) = (exchange.server(), started.elapsed());
                Ok(Greeting { server, attempts, rtt, elapsed })
            };
            for others_left in (0..exchanges.len()).rev() {
                let wait = Wait { start, length, is_last: others_left == 0 };
                let exchange = &mut exchanges[self.current];
                observe(Progress::Sending { server: exchange.server(), attempt: attempts });
                match exchange.ask(request, wait, &mut self.buf, &mut observe) {
                    AttemptResult::Answered { rtt } => return greeted(exchange, rtt),
                    AttemptResult::Failed => self.current = (self.current + 1) % exchanges.len(),
                    AttemptResult::Silent => break,
                }
            }
            // One that was asked before may have answered since.
            let silent = self.current;
            for further in 1..exchanges.len() {
                self.current = (silent + further) % exchanges.len();
                let exchange = &mut exchanges[self.current];
                if exchange.poll_reply(request, &mut self.buf, &mut observe) {
                    return greeted(exchange, None);
                }
            }
            self.current = (silent + 1) % exchanges.len();
        }
        let servers = exchanges.iter().filter_map(Exchange::no_reply).collect();
        Err(Unanswered { attempts, elapsed: started.elapsed(), servers })
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
    /// `None` where it cannot be known: the server was asked more than once, and nobody knows
    /// which of the requests was answered (Karn's algorithm, RFC 6298 section 3); or another
    /// server was waited for when the reply came.
    pub rtt: Option<Duration>,
    /// How long the answer took in all, from before the first attempt.
    pub elapsed: Duration,
}

/// A step on the way to a greeting.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// A request is about to be sent.
    Sending {
        /// To whom.
        server: SocketAddr,
        /// In which attempt, from 1.
        attempt: u32,
    },
    /// A request could not be sent, or the network reported that an earlier one did not arrive.
    Failed {
        /// Who was asked.
        server: SocketAddr,
        /// How it failed; see [`ErrorClass::of`].
        error: &'a io::Error,
        /// Whether this attempt still waits: no other server is left to ask in it.
        waits: bool,
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

/// All attempts were made, and no reply came.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("no answer in {attempts} attempts")]
pub struct Unanswered {
    /// How many attempts were made.
    pub attempts: u32,
    /// How long they took.
    pub elapsed: Duration,
    /// Each server that was asked, and why it did not answer.
    pub servers: Vec<NoReply>,
}

/// A server that was asked and did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoReply {
    /// Who was asked.
    pub server: SocketAddr,
    /// What the system or the network reported last, of the last attempt; `None` if nothing.
    pub problem: Option<ErrorClass>,
}

/// There is nobody to ask.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("no address to ask at")]
pub struct NoAddress;
