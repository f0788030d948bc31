use std::hint;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use hello_proto::{Guard, Retry, Waits};

use crate::batch::{Arrival, Batch, Destination};
use crate::counters::Tally;
use crate::endpoint::Endpoint;
use crate::replies::{Replies, Route};
use crate::sys::STOP_CHECK;
use crate::{Counters, ErrorClass, Event, Outcome};

/// The server's loop on one thread: the socket it serves, and what it counted.
#[derive(Debug)]
pub(crate) struct Worker {
    endpoint: Arc<Endpoint>,
    /// For how long to ask for a datagram again and again before waiting for one.
    spin: Duration,
    tally: Tally,
}

impl Worker {
    pub(crate) fn new(endpoint: Arc<Endpoint>, spin: Duration) -> Self {
        Self { endpoint, spin, tally: Tally::default() }
    }

    /// Datagrams in, at most one reply out for each, one count up for each, until told to stop.
    ///
    /// # Errors
    ///
    /// The socket's last error, when it is broken: it has done nothing but fail for as long as
    /// [`PATIENCE`] lasts, and nothing but the socket can be the cause.
    pub(crate) fn run(
        &self,
        guard: &Guard,
        stopping: &AtomicBool,
        observe: impl Fn(&Event<'_>),
    ) -> io::Result<()> {
        let mut batch = Batch::new();
        let mut replies = Replies::new();
        let mut patience = Patience::default();

        for round in (0..DROPS_CHECK).cycle() {
            if stopping.load(Relaxed) {
                break;
            }
            match self.receive(&mut batch, stopping) {
                Ok(()) => {
                    patience = Patience::default();
                    self.tally.receive(batch.datagrams());
                    let mut arrivals = 0..batch.arrivals().len();
                    while !arrivals.is_empty() {
                        self.decide(guard, &mut arrivals, &mut batch, &mut replies);
                        replies.send(&*self.endpoint.socket, &batch);
                        self.tally.settle(replies.datagrams().iter().map(|one| one.outcome));
                        self.show(&batch, &replies, &observe);
                    }
                }
                Err(error) => self.endure(error, &mut patience)?,
            }
            if round == 0 {
                self.endpoint.dropped();
            }
        }
        Ok(())
    }

    pub(crate) fn local(&self) -> SocketAddr {
        self.endpoint.local()
    }

    pub(crate) fn counters(&self) -> Counters {
        self.tally.snapshot()
    }

    /// Waits for datagrams, at first without giving the processor away.
    fn receive(&self, batch: &mut Batch, stopping: &AtomicBool) -> io::Result<()> {
        let socket = &self.endpoint.socket;
        if !self.spin.is_zero() {
            let start = Instant::now();
            while start.elapsed() < self.spin && !stopping.load(Relaxed) {
                match socket.receive(batch, false) {
                    Err(error) if ErrorClass::of(&error) == ErrorClass::WouldBlock => {
                        hint::spin_loop();
                    }
                    received => return received,
                }
            }
        }
        socket.receive(batch, true)
    }

    /// Decides which datagrams of the arrivals are answered, and prepares their replies.
    ///
    /// Stops when there are enough, lest trains of tiny datagrams take memory without bounds.
    fn decide(
        &self,
        guard: &Guard,
        arrivals: &mut Range<usize>,
        batch: &mut Batch,
        replies: &mut Replies,
    ) {
        replies.clear();
        while replies.datagrams().len() < ENOUGH
            && let Some(index) = arrivals.next()
        {
            let arrival = batch.arrivals()[index];
            let asked = arrival.destination.map(Destination::scope);
            let local = self.asked_at(asked);
            let from = arrival.destination.map(|destination| destination.own);
            let lane = replies.lane(Route { to: arrival.source, from });
            let addresses = guard.check_addresses(arrival.source, local);
            let alone = arrival.len <= arrival.segment;
            for name in batch.places(index) {
                let refused = addresses
                    .and_then(|()| guard.check_name(batch.bytes(name.clone())).map(|_request| ()));
                match refused {
                    Ok(()) => {
                        let reply = batch.write(&name, alone);
                        replies.answer(index, name, reply, &lane);
                    }
                    Err(refusal) => replies.refuse(index, name, Outcome::Refused(refusal)),
                }
            }
        }
    }

    fn show(&self, batch: &Batch, replies: &Replies, observe: impl Fn(&Event<'_>)) {
        for datagram in replies.datagrams() {
            let Arrival { source, destination, .. } = batch.arrivals()[datagram.arrival];
            let local = self.asked_at(destination.map(|destination| destination.address));
            let (name, outcome) = (batch.bytes(datagram.name.clone()), datagram.outcome);
            observe(&Event { source, local, name, outcome });
        }
    }

    /// Returns the bound address, with the one that was asked, if it is known.
    fn asked_at(&self, address: Option<IpAddr>) -> SocketAddr {
        let local = self.endpoint.local();
        address.map_or(local, |address| (address, local.port()).into())
    }

    /// Counts a receive error and waits a little, or gives up.
    fn endure(&self, error: io::Error, patience: &mut Patience) -> io::Result<()> {
        let class = ErrorClass::of(&error);
        if class != ErrorClass::WouldBlock {
            self.tally.receive_error(class);
        }
        if let Some(wait) = patience.wait(class, Instant::now()).ok_or(error)? {
            self.endpoint.socket.pause(wait);
        }
        Ok(())
    }
}

/// How long a worker waits before it receives again, so that no error keeps it busy.
#[derive(Debug)]
struct Patience {
    waits: Waits,
    /// When nothing was received last.
    nothing: Option<Instant>,
    /// How often in a row nothing was received sooner than an idle wait takes.
    hasty: u32,
}

impl Patience {
    /// Returns how long to wait after a receive call that brought nothing, at `now`; `None` if the
    /// socket is broken.
    ///
    /// - An idle wait takes its time by itself, and so does one that a signal ends. Only a system
    ///   that says so again and again at once has to be waited for.
    /// - What else the system reports is waited after, longer each time.
    /// - Where that can have a cause outside of the socket, such as a system short of memory, it
    ///   may pass, however long it takes. Else the socket is broken, and whoever supervises the
    ///   process can help; but not we.
    fn wait(&mut self, class: ErrorClass, now: Instant) -> Option<Option<Duration>> {
        let last = self.nothing.replace(now);
        match class {
            ErrorClass::WouldBlock | ErrorClass::Interrupted => {
                self.waits = PATIENCE.waits();
                let hasty = last.is_some_and(|last| now.duration_since(last) < HASTE);
                self.hasty = if hasty { self.hasty.saturating_add(1) } else { 0 };
                Some((self.hasty >= MAX_HASTY).then_some(SHORTEST_PAUSE))
            }
            ErrorClass::Invalid | ErrorClass::Other => self.waits.next().map(Some),
            _ => Some(Some(self.waits.next().unwrap_or(PATIENCE.max()))),
        }
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self { waits: PATIENCE.waits(), nothing: None, hasty: 0 }
    }
}

/// How many datagrams are answered together, unless one arrival has more: as many as there are in a
/// batch of trains as long as Linux sends them (UDP_MAX_SEGMENTS).
const ENOUGH: usize = 128 * Batch::CAPACITY;

/// Every how many rounds the system's count of drops is looked at, lest it comes round unseen.
const DROPS_CHECK: u32 = 1024;

const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

/// What is shorter is no idle wait.
const HASTE: Duration = STOP_CHECK.checked_div(4).expect("four is not zero");

/// After how many receive calls in a row that were too short to be idle waits a worker waits by
/// itself. A few there are: signals, and datagrams that another worker was faster to take.
const MAX_HASTY: u32 = 16;

/// How long a worker waits after each error of its socket, and how many in a row it stands of
/// those that a socket does not recover from: about three seconds of nothing else.
const PATIENCE: Retry = Retry::new(
    SHORTEST_PAUSE,
    NonZeroU32::new(12).expect("twelve is not zero"),
    Duration::from_secs(1),
);

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::net::Ipv4Addr;

    use hello_proto::Refusal;

    use super::*;
    use crate::batch::Origin;
    use crate::sys::script::{Received, Script, datagram, train};

    type Receive = io::Result<Vec<Received>>;
    type Seen = Vec<(Vec<u8>, SocketAddr, Outcome)>;

    fn worker(receives: impl IntoIterator<Item = Receive>) -> (Worker, Script) {
        let script = Script::default();
        script.scenes().receives = receives.into_iter().collect();
        let endpoint = Endpoint::of(([192, 0, 2, 1], 9999).into(), script.clone());
        (Worker::new(Arc::new(endpoint), Duration::ZERO), script)
    }

    /// Runs to the end of the script, and returns what was observed.
    fn run(worker: &Worker, script: &Script, guard: &Guard) -> io::Result<Seen> {
        let seen = RefCell::new(Vec::new());
        worker.run(guard, &script.stopping, |event| {
            seen.borrow_mut().push((event.name.to_vec(), event.local, event.outcome));
        })?;
        Ok(seen.into_inner())
    }

    fn client(port: u16) -> SocketAddr {
        ([198, 51, 100, 7], port).into()
    }

    fn errno(code: i32) -> io::Error {
        io::Error::from_raw_os_error(code)
    }

    fn alone(name: &[u8]) -> Receive {
        Ok(vec![datagram(name, client(40_001))])
    }

    #[test]
    fn every_datagram_has_one_outcome_however_it_comes() {
        let guard = Guard::new().with_max_name_len(32);
        let expected: [(&[u8], u16, Outcome); 7] = [
            (b"Michael", 40_001, Outcome::Answered),
            (b"", 40_002, Outcome::Answered),
            (b"port 0", 0, Outcome::Refused(Refusal::SourcePortZero)),
            (&[b'x'; 33], 40_003, Outcome::Refused(Refusal::NameTooLong)),
            (b"Hello, Hello, World!!", 40_004, Outcome::Refused(Refusal::GreetedTwice)),
            (b"no way", 40_005, Outcome::SendFailed(ErrorClass::Unreachable)),
            (b"Sarah", 40_006, Outcome::Answered),
        ];
        let messages = expected.map(|(name, port, _)| datagram(name, client(port)));
        let batches =
            [vec![Ok(messages.to_vec())], messages.map(|message| Ok(vec![message])).into()];
        for batches in batches {
            let (worker, script) = worker(batches);
            script.scenes().verdict = Some(Box::new(|to, _| match to.port() {
                40_005 => Err(errno(libc::ENETUNREACH)),
                _ => Ok(()),
            }));
            let seen = run(&worker, &script, &guard).expect("no error of our own");

            let local = worker.local();
            let all = expected.map(|(name, _, outcome)| (name.to_vec(), local, outcome));
            assert_eq!(seen, all);
            let sent = [
                (client(40_001), vec![b"Hello, Michael!".to_vec()]),
                (client(40_002), vec![b"Hello, !".to_vec()]),
                (client(40_006), vec![b"Hello, Sarah!".to_vec()]),
            ];
            assert_eq!(script.scenes().sent, sent);
            let counters = worker.counters();
            assert_eq!((counters.received(), counters.answered()), (7, 3));
            assert_eq!((counters.refused_total(), counters.send_failed_total()), (3, 1));
        }
    }

    #[test]
    fn a_train_is_judged_datagram_by_datagram() {
        let names: [&[u8]; 4] =
            [b"Michael, Jackson", b"Hello, Hello, M!", b"Hello, Michael!!", b"Tracy"];
        let (worker, script) = worker([Ok(vec![train(&names, client(40_001))])]);
        let seen = run(&worker, &script, &Guard::new()).expect("no error of our own");
        let refused = Outcome::Refused(Refusal::GreetedTwice);
        let outcomes = [Outcome::Answered, refused, Outcome::Answered, Outcome::Answered];
        let expected = names
            .iter()
            .zip(outcomes)
            .map(|(name, outcome)| (name.to_vec(), worker.local(), outcome));
        assert_eq!(seen, Vec::from_iter(expected));
        let replies =
            [&b"Hello, Michael, Jackson!"[..], b"Hello, Hello, Michael!!!", b"Hello, Tracy!"];
        assert_eq!(script.scenes().sent, [(client(40_001), replies.map(<[u8]>::to_vec).into())]);
        assert_eq!((worker.counters().received(), worker.counters().answered()), (4, 3));
    }

    #[test]
    fn trains_of_tiny_datagrams_are_answered_in_portions() {
        let all = vec![b"x"; 65_535];
        let (worker, script) = worker([Ok(vec![train(&all, client(40_001)); 2])]);
        let seen = run(&worker, &script, &Guard::new()).expect("no error of our own");
        assert_eq!(seen.len(), 2 * all.len());
        assert_eq!(worker.counters().received(), 2 * all.len() as u64);
        assert_eq!(worker.counters().answered(), 2 * all.len() as u64);
        let sent = script.scenes().sent.iter().map(|(_, replies)| replies.len()).sum::<usize>();
        assert_eq!(sent, 2 * all.len());
        assert_eq!(script.scenes().send_calls, 2);
    }

    #[test]
    fn who_asks_an_address_that_is_not_ours_alone_is_refused_and_sees_which() {
        let asked = |address: [u8; 4], own: [u8; 4]| {
            let (mut arrival, bytes) = datagram(b"Tracy", client(40_001));
            let own = Origin { address: own.into(), interface: 0 };
            arrival.destination = Some(Destination { address: address.into(), own });
            (arrival, bytes)
        };
        let here = [192, 0, 2, 1];
        let messages = [
            asked(here, here),
            asked([192, 0, 2, 255], here),
            asked([255; 4], here),
            asked([224, 0, 0, 1], here),
        ];
        let (worker, script) = worker([Ok(messages.to_vec())]);
        let seen = run(&worker, &script, &Guard::new()).expect("no error of our own");
        let [broadcast, multicast] = [Refusal::DestinationBroadcast, Refusal::DestinationMulticast];
        let expected = [
            (here, Outcome::Answered),
            ([192, 0, 2, 255], Outcome::Refused(broadcast)),
            ([255; 4], Outcome::Refused(broadcast)),
            ([224, 0, 0, 1], Outcome::Refused(multicast)),
        ]
        .map(|(address, outcome)| {
            (b"Tracy".to_vec(), (Ipv4Addr::from(address), 9999).into(), outcome)
        });
        assert_eq!(seen, expected);
        assert_eq!(script.scenes().sent.len(), 1);
    }

    #[test]
    fn errors_between_datagrams_are_counted_and_paused_after() {
        let (worker, script) = worker([
            Err(errno(libc::ENETDOWN)),
            Err(errno(libc::ENOMEM)),
            alone(b"Michael"),
            Err(errno(libc::EPERM)),
            Err(errno(libc::EAGAIN)),
            Err(errno(libc::EPERM)),
            alone(b"Tracy"),
        ]);
        run(&worker, &script, &Guard::new()).expect("no error of our own");
        let counters = worker.counters();
        assert_eq!((counters.received(), counters.answered()), (2, 2));
        assert_eq!(counters.receive_errors(ErrorClass::Unreachable), 1);
        assert_eq!(counters.receive_errors(ErrorClass::NoBuffers), 1);
        assert_eq!(counters.receive_errors(ErrorClass::Denied), 2);
        assert_eq!(counters.receive_errors(ErrorClass::WouldBlock), 0, "idle is no error");
        // Twice as long after the second in a row; a datagram or an idle wait starts anew.
        assert_eq!(script.scenes().pauses, [1, 2, 1, 1].map(Duration::from_millis));
    }

    #[test]
    fn a_socket_that_does_nothing_but_fail_is_given_up() {
        let (worker, script) = worker((0..99).map(|_| Err(errno(libc::EBADF))));
        let error = run(&worker, &script, &Guard::new()).expect_err("a broken socket");
        assert_eq!(error.raw_os_error(), Some(libc::EBADF));
        assert_eq!(worker.counters().receive_errors(ErrorClass::Other), 13);
        let waited: Duration = script.scenes().pauses.iter().sum();
        assert_eq!(waited, PATIENCE.waits().sum());
    }

    #[test]
    fn what_may_pass_by_itself_is_endured_however_long_it_lasts() {
        for code in [libc::ENOMEM, libc::ENOBUFS, libc::ENETDOWN, libc::EPERM, libc::ECONNREFUSED] {
            let errors = (0..999).map(|_| Err(errno(code)));
            let (worker, script) = worker(errors.chain([alone(b"Tracy")]));
            run(&worker, &script, &Guard::new()).expect("no error of our own");
            let counters = worker.counters();
            let class = ErrorClass::of(&errno(code));
            assert_eq!((counters.receive_errors(class), counters.answered()), (999, 1));
            let pauses = &script.scenes().pauses;
            assert_eq!(pauses.len(), 999);
            assert!(pauses[20..].iter().all(|pause| *pause == PATIENCE.max()));
        }
    }

    #[test]
    fn neither_signals_nor_idle_waits_that_take_no_time_end_the_server_or_keep_it_busy() {
        for (code, counted) in [(libc::EINTR, 999), (libc::EAGAIN, 0)] {
            let errors = (0..999).map(|_| Err(errno(code)));
            let (worker, script) = worker(errors.chain([alone(b"Tracy")]));
            run(&worker, &script, &Guard::new()).expect("no error of our own");
            let counters = worker.counters();
            let interruptions = counters.receive_errors(ErrorClass::Interrupted);
            assert_eq!((interruptions, counters.answered()), (counted, 1));
            // All but the first few, unless this machine stands still between two of them.
            let pauses = script.scenes().pauses.len();
            assert!((900..999).contains(&pauses), "{pauses}");
        }
    }

    #[test]
    fn a_few_signals_and_idle_waits_as_long_as_they_should_be_cost_no_pause() {
        let start = Instant::now();
        let mut patience = Patience::default();
        for round in 0..999 {
            let idle = patience.wait(ErrorClass::WouldBlock, start + STOP_CHECK * round);
            assert_eq!(idle, Some(None));
        }
        let now = start + STOP_CHECK * 999;
        for _ in 1..MAX_HASTY {
            assert_eq!(patience.wait(ErrorClass::Interrupted, now), Some(None));
        }
    }

    #[test]
    fn only_a_spinning_worker_asks_before_it_waits() {
        for (spin, waits) in [(0, &[true, true][..]), (60, &[false, false, true])] {
            let (mut worker, script) = worker([alone(b"Tracy")]);
            worker.spin = Duration::from_secs(spin);
            run(&worker, &script, &Guard::new()).expect("no error of our own");
            assert_eq!(worker.counters().answered(), 1);
            assert_eq!(script.scenes().waits, waits);
        }
    }
}
