use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use hello_proto::{Frame, Guard, OVERHEAD, Refusal, Retry, Waits};

use crate::counters::Tally;
use crate::sys::Datagrams;
use crate::{Counters, ErrorClass, Event, Outcome, socket};

/// The server's loop at one bound address: its socket, and what was counted there.
#[derive(Debug)]
pub(crate) struct Worker<S> {
    socket: S,
    local: SocketAddr,
    tally: Tally,
}

impl Worker<UdpSocket> {
    pub(crate) fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = socket::bind(address)?;
        socket.set_read_timeout(Some(STOP_CHECK))?;
        let local = socket.local_addr()?;
        Ok(Self { socket, local, tally: Tally::default() })
    }
}

impl<S: Datagrams> Worker<S> {
    /// A datagram in, at most one reply out, one count up, until told to stop.
    ///
    /// # Errors
    ///
    /// The socket's last error, when it has done nothing but fail for as long as [`PATIENCE`]
    /// lasts.
    pub(crate) fn run(
        &self,
        guard: &Guard,
        stopping: &AtomicBool,
        observe: impl Fn(&Event<'_>),
    ) -> io::Result<()> {
        let mut buf = vec![0; guard.max_name_len() + OVERHEAD];
        let mut frame = Frame::new(&mut buf).map_err(io::Error::other)?;
        let mut patience = PATIENCE.waits();

        while !stopping.load(Relaxed) {
            match self.socket.receive(frame.space()) {
                Ok((len, source)) => {
                    patience = PATIENCE.waits();
                    self.tally.receive();
                    let outcome = self.answer(guard, &mut frame, len, source);
                    self.tally.settle(outcome);
                    let cut = len > frame.max_name_len();
                    let name = &frame.space()[..len];
                    observe(&Event { source, local: self.local, name, cut, outcome });
                }
                Err(error) if ErrorClass::of(&error) == ErrorClass::WouldBlock => {
                    patience = PATIENCE.waits();
                }
                Err(error) => self.endure(error, &mut patience)?,
            }
        }
        Ok(())
    }

    pub(crate) fn local(&self) -> SocketAddr {
        self.local
    }

    pub(crate) fn counters(&self) -> Counters {
        self.tally.snapshot()
    }

    fn answer(
        &self,
        guard: &Guard,
        frame: &mut Frame<'_>,
        len: usize,
        source: SocketAddr,
    ) -> Outcome {
        if let Err(refusal) = guard.check(source, self.local, &frame.space()[..len]) {
            return Outcome::Refused(refusal);
        }
        let Ok(reply) = frame.reply(len) else {
            return Outcome::Refused(Refusal::NameTooLong);
        };
        match self.socket.send_reply(reply, source) {
            Ok(()) => Outcome::Answered,
            Err(error) => Outcome::SendFailed(ErrorClass::of(&error)),
        }
    }

    /// Counts a receive error and waits a little, or gives up if there were too many in a row.
    /// Signals come as often as somebody sends them, and say nothing about the socket.
    fn endure(&self, error: io::Error, patience: &mut Waits) -> io::Result<()> {
        let class = ErrorClass::of(&error);
        self.tally.receive_error(class);
        let wait = match class {
            ErrorClass::Interrupted => SHORTEST_PAUSE,
            _ => patience.next().ok_or(error)?,
        };
        self.socket.pause(wait);
        Ok(())
    }
}

/// How often a worker without datagrams looks whether it is to stop.
const STOP_CHECK: Duration = Duration::from_millis(100);

const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

/// How long a worker waits after each error of its socket, and how many in a row it stands:
/// about three seconds of nothing else.
const PATIENCE: Retry = Retry::new(
    SHORTEST_PAUSE,
    NonZeroU32::new(12).expect("twelve is not zero"),
    Duration::from_secs(1),
);

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::sys::script::{Arrival, Script};

    fn worker(arrivals: impl IntoIterator<Item = Arrival>) -> Worker<Script> {
        let arrivals = RefCell::new(arrivals.into_iter().collect());
        let socket = Script { arrivals, ..Script::default() };
        Worker { socket, local: ([192, 0, 2, 1], 9999).into(), tally: Tally::default() }
    }

    fn run(worker: &Worker<Script>) -> io::Result<()> {
        worker.run(&Guard::new(), &worker.socket.stopping, |_| ())
    }

    fn client(port: u16) -> SocketAddr {
        ([198, 51, 100, 7], port).into()
    }

    fn errno(code: i32) -> io::Error {
        io::Error::from_raw_os_error(code)
    }

    #[test]
    fn every_datagram_has_one_outcome_and_the_next_is_answered() {
        let guard = Guard::new().with_max_name_len(32);
        let arrivals: [(&[u8], u16); 7] = [
            (b"Michael", 40_001),
            (b"", 40_002),
            (b"port 0", 0),
            (b"a name of more than thirty-two bytes", 40_003),
            (b"Hello, Hello, World!!", 40_004),
            (b"no way there", 40_005),
            (b"Sarah", 40_006),
        ];
        let worker = worker(arrivals.map(|(name, port)| Ok((name, client(port)))));
        let unreachable = errno(libc::ENETUNREACH);
        worker.socket.sends.replace([Ok(()), Ok(()), Err(unreachable)].into());
        let seen = RefCell::new(Vec::new());

        let observe = |event: &Event<'_>| {
            assert_eq!(event.local, worker.local);
            assert_eq!(event.cut, event.name.len() > 32);
            seen.borrow_mut().push((event.name.to_vec(), event.source.port(), event.outcome));
        };
        worker.run(&guard, &worker.socket.stopping, observe).expect("no error of our own");

        let outcomes = [
            Outcome::Answered,
            Outcome::Answered,
            Outcome::Refused(Refusal::SourcePortZero),
            Outcome::Refused(Refusal::NameTooLong),
            Outcome::Refused(Refusal::GreetedTwice),
            Outcome::SendFailed(ErrorClass::Unreachable),
            Outcome::Answered,
        ];
        let expected = arrivals
            .iter()
            .zip(outcomes)
            .map(|((name, port), outcome)| (name[..name.len().min(33)].to_vec(), *port, outcome));
        assert_eq!(seen.into_inner(), Vec::from_iter(expected));
        let sent = [
            (b"Hello, Michael!".to_vec(), client(40_001)),
            (b"Hello, !".to_vec(), client(40_002)),
            (b"Hello, Sarah!".to_vec(), client(40_006)),
        ];
        assert_eq!(worker.socket.sent.take(), sent);
        let counters = worker.counters();
        assert_eq!((counters.received(), counters.answered()), (7, 3));
        assert_eq!((counters.refused_total(), counters.send_failed_total()), (3, 1));
    }

    #[test]
    fn each_failed_send_costs_one_reply_and_is_counted_by_class() {
        let codes = [
            (libc::EPERM, ErrorClass::Denied),
            (libc::EACCES, ErrorClass::Denied),
            (libc::EINTR, ErrorClass::Interrupted),
            (libc::EAGAIN, ErrorClass::WouldBlock),
            (libc::ENOBUFS, ErrorClass::NoBuffers),
            (libc::EINVAL, ErrorClass::Invalid),
            (libc::EMSGSIZE, ErrorClass::TooLong),
            (libc::EHOSTUNREACH, ErrorClass::Unreachable),
            (libc::ECONNREFUSED, ErrorClass::ConnectionRefused),
        ];
        for (code, class) in codes {
            let worker =
                worker([Ok((&b"first"[..], client(40_001))), Ok((b"second", client(40_002)))]);
            worker.socket.sends.replace([Err(errno(code))].into());
            run(&worker).expect("no error of our own");
            let counters = worker.counters();
            assert_eq!((counters.answered(), counters.send_failed(class)), (1, 1), "{class}");
            assert_eq!(
                worker.socket.sent.into_inner(),
                [(b"Hello, second!".to_vec(), client(40_002))]
            );
        }
    }

    #[test]
    fn errors_between_datagrams_are_counted_and_paused_after() {
        let worker = worker([
            Err(errno(libc::ENETDOWN)),
            Err(errno(libc::ENOMEM)),
            Ok((&b"Michael"[..], client(40_001))),
            Err(errno(libc::EPERM)),
            Err(errno(libc::EAGAIN)),
            Err(errno(libc::EPERM)),
            Ok((b"Tracy", client(40_001))),
        ]);
        run(&worker).expect("no error of our own");
        let counters = worker.counters();
        assert_eq!((counters.received(), counters.answered()), (2, 2));
        assert_eq!(counters.receive_errors(ErrorClass::Unreachable), 1);
        assert_eq!(counters.receive_errors(ErrorClass::NoBuffers), 1);
        assert_eq!(counters.receive_errors(ErrorClass::Denied), 2);
        assert_eq!(counters.receive_errors(ErrorClass::WouldBlock), 0, "idle is no error");
        // Twice as long after the second in a row; a datagram or an idle wait starts anew.
        assert_eq!(worker.socket.pauses.into_inner(), [1, 2, 1, 1].map(Duration::from_millis));
    }

    #[test]
    fn a_socket_that_does_nothing_but_fail_is_given_up() {
        let worker = worker((0..99).map(|_| Err(errno(libc::EBADF))));
        let error = run(&worker).expect_err("a broken socket");
        assert_eq!(error.raw_os_error(), Some(libc::EBADF));
        assert_eq!(worker.counters().receive_errors(ErrorClass::Other), 13);
        let waited: Duration = worker.socket.pauses.into_inner().iter().sum();
        assert_eq!(waited, PATIENCE.waits().sum());
    }

    #[test]
    fn no_number_of_signals_ends_the_server() {
        let signals = (0..999).map(|_| Err(errno(libc::EINTR)));
        let worker = worker(signals.chain([Ok((&b"Tracy"[..], client(40_001)))]));
        run(&worker).expect("no error of our own");
        let counters = worker.counters();
        assert_eq!(
            (counters.receive_errors(ErrorClass::Interrupted), counters.answered()),
            (999, 1)
        );
        assert_eq!(worker.socket.pauses.into_inner(), [SHORTEST_PAUSE; 999]);
    }
}
