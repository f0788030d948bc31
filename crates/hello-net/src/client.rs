pub(crate) mod builder;
pub(crate) mod event;
mod exchange;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hello_proto::{MAX_DATAGRAM_LEN, Request, Retry};

use self::event::{Greeting, Progress, Unanswered, UnansweredCause};
use self::exchange::{AttemptResult, Exchange, Wait};
use crate::stopper::Stopper;

/// Sends requests, one at a time, and waits for their replies.
///
/// A server may have several addresses, as host names do. The client stays with one while that
/// answers. It goes on to the next when one is silent for a whole attempt, and within the attempt
/// when one reports an error, as where nothing listens.
///
/// ```
/// # #[cfg(all(feature = "server", feature = "client"))]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::net::Ipv4Addr;
///
/// use hello_net::{Client, Server};
/// use hello_proto::Request;
///
/// let server = Server::builder().bind([(Ipv4Addr::LOCALHOST, 0).into()])?;
/// let mut client = Client::builder().connect(server.local_addrs())?;
/// let request = Request::new(b"Tracy")?;
/// let greet = || client.greet(request, |_progress| ());
/// let greeting = server.serve_while(|_event| (), greet)??;
/// assert_eq!(greeting.attempts, 1);
/// # Ok(())
/// # }
/// # #[cfg(not(all(feature = "server", feature = "client")))]
/// # fn main() {}
/// ```
#[derive(Debug)]
pub struct Client {
    servers: Vec<SocketAddr>,
    /// Which of the servers gets the next request.
    current: usize,
    retry: Retry,
    deadline: Option<Duration>,
    stopper: Stopper,
    /// The sockets of the last greeting. They keep its ports from being the next one's.
    previous: Vec<Exchange>,
    buf: Vec<u8>,
}

impl Client {
    /// Makes a client of options that were checked.
    pub(crate) fn new(
        servers: Vec<SocketAddr>,
        retry: Retry,
        deadline: Option<Duration>,
        stopper: Stopper,
    ) -> Self {
        // One byte more than the longest reply, to recognise a longer datagram.
        let buf = vec![0; MAX_DATAGRAM_LEN + 1];
        Self { servers, current: 0, retry, deadline, stopper, previous: Vec::new(), buf }
    }

    /// Sends a request, repeats it as the retry schedule says until a reply arrives, and shows each
    /// step to `observe`.
    ///
    /// Each call sends from other ports than the call before, so a reply to that one is never taken
    /// for a reply to this one, even if the names are equal. Within the call a reply to any attempt
    /// counts. Whatever else arrives is skipped, and moves no deadline.
    ///
    /// # Errors
    ///
    /// [`Unanswered`] when the last attempt's wait is over, when the deadline passes, or when a
    /// [`Stopper`] ends the greeting.
    pub fn greet(
        &mut self,
        request: Request<'_>,
        observe: impl FnMut(Progress<'_>),
    ) -> Result<Greeting, Unanswered> {
        let started = Instant::now();
        let mut exchanges = Vec::from_iter(self.servers.iter().copied().map(Exchange::new));
        let mut attempts = 0;
        let result = self.attempt_all(&mut exchanges, started, &mut attempts, request, observe);
        let elapsed = started.elapsed();
        let result = match result {
            Ok((server, rtt)) => Ok(Greeting { server, attempts, rtt, elapsed }),
            Err(cause) => {
                let servers = exchanges.iter().filter_map(Exchange::no_reply).collect();
                Err(Unanswered { cause, attempts, elapsed, servers })
            }
        };
        self.previous = exchanges;
        result
    }

    /// Returns what ends greetings: the one in progress, and all after it. A
    /// [stop](Stopper::stop) still waits for a reply to the attempt in progress.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Makes one attempt after the other, and returns who answered, and the round-trip time if it
    /// is known.
    fn attempt_all(
        &mut self,
        exchanges: &mut [Exchange],
        started: Instant,
        attempts: &mut u32,
        request: Request<'_>,
        mut observe: impl FnMut(Progress<'_>),
    ) -> Result<(SocketAddr, Option<Duration>), UnansweredCause> {
        for delay in self.retry.delays() {
            let start = Instant::now();
            let length = delay.min(self.time_left(started)?);
            *attempts += 1;
            for others_left in (0..exchanges.len()).rev() {
                let is_last = others_left == 0;
                let wait = Wait { start, length, is_last, abort: self.stopper.abort_latch() };
                let exchange = &mut exchanges[self.current];
                observe(Progress::Sending { server: exchange.server(), attempt: *attempts });
                match exchange.attempt(request, wait, &mut self.buf, &mut observe) {
                    AttemptResult::Answered { rtt } => return Ok((exchange.server(), rtt)),
                    AttemptResult::Failed => {
                        self.current = (self.current + 1) % exchanges.len();
                        if self.stopper.is_stopped() {
                            return Err(UnansweredCause::Cancelled);
                        }
                    }
                    AttemptResult::Silent => break,
                    AttemptResult::Cancelled => return Err(UnansweredCause::Cancelled),
                }
            }
            // One that got the request before may have answered since.
            let silent = self.current;
            for further in 1..exchanges.len() {
                self.current = (silent + further) % exchanges.len();
                let exchange = &mut exchanges[self.current];
                let abort = self.stopper.abort_latch();
                if exchange.poll_reply(request, abort, &mut self.buf, &mut observe) {
                    return Ok((exchange.server(), None));
                }
            }
            self.current = (silent + 1) % exchanges.len();
        }
        Err(self.time_left(started).err().unwrap_or(UnansweredCause::AttemptsExhausted))
    }

    /// Returns how long a greeting may still take.
    fn time_left(&self, started: Instant) -> Result<Duration, UnansweredCause> {
        if self.stopper.is_stopped() {
            return Err(UnansweredCause::Cancelled);
        }
        let left = self
            .deadline
            .map_or(Duration::MAX, |deadline| deadline.saturating_sub(started.elapsed()));
        if left.is_zero() { Err(UnansweredCause::DeadlineExceeded) } else { Ok(left) }
    }
}
