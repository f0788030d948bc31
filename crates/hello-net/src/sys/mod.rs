//! What the server's loop asks of the operating system.
//!
//! A back end is an implementation of [`Datagrams`]. What is told apart here, and only here, is
//! one system from another.

#[cfg(target_os = "linux")]
mod address;
#[cfg(target_os = "linux")]
mod control;
#[cfg(target_os = "linux")]
mod linux;
mod options;
mod portable;
mod ready;
#[cfg(test)]
pub(crate) mod script;
#[cfg(target_os = "linux")]
mod spares;
mod waiter;

use std::fmt::Debug;
use std::io::{self, IoSlice};
use std::net::UdpSocket;
use std::num::NonZeroUsize;
use std::time::Duration;

#[cfg(all(fuzzing, target_os = "linux"))]
pub use self::control::read_control;
#[cfg(target_os = "linux")]
use self::options::granted;
#[cfg(target_os = "linux")]
pub(crate) use self::options::receive_nothing;
pub(crate) use self::options::{
    AdoptedOptions, Buffer, Fragmentation, report_destinations, verify_before_queueing,
};
pub(crate) use self::ready::Ready;
pub(crate) use self::waiter::Waiter;
use crate::batch::Batch;
use crate::message::Message;
use crate::stop_flags::Latch;

/// By which system calls a server receives and sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Io {
    /// Linux's own: many datagrams for each call (recvmmsg(2), sendmmsg(2)).
    #[cfg(target_os = "linux")]
    Linux,
    /// Those of any system, by way of the `quinn-udp` crate.
    Portable,
}

impl Default for Io {
    /// The fastest this system has.
    #[cfg(target_os = "linux")]
    fn default() -> Self {
        Self::Linux
    }

    /// The fastest this system has.
    #[cfg(not(target_os = "linux"))]
    fn default() -> Self {
        Self::Portable
    }
}

impl Io {
    /// Takes over a bound socket.
    pub(crate) fn take(
        self,
        socket: UdpSocket,
        fragmentation: Fragmentation,
    ) -> io::Result<Box<dyn Datagrams>> {
        verify_before_queueing(&socket);
        Ok(match self {
            #[cfg(target_os = "linux")]
            Self::Linux => {
                if fragmentation != Fragmentation::SystemDefault {
                    fragmentation.apply(&socket)?;
                }
                Box::new(linux::Mmsg::new(socket)?)
            }
            Self::Portable => Box::new(portable::Portable::new(socket, fragmentation)?),
        })
    }

    /// Takes over a socket that is bound alone, with spares to send by while its send buffer is full,
    /// where the system has such a thing.
    pub(crate) fn take_with_spares(
        self,
        socket: UdpSocket,
        fragmentation: Fragmentation,
    ) -> io::Result<Box<dyn Datagrams>> {
        #[cfg(target_os = "linux")]
        return Ok(Box::new(spares::Spared::new(self, socket, fragmentation)?));
        #[cfg(not(target_os = "linux"))]
        self.take(socket, fragmentation)
    }
}

/// A socket of the server's: datagrams in, replies out. Several threads may use it at once.
pub(crate) trait Datagrams: Debug + Send + Sync {
    /// Receives what is there, up to a batch; with `wait`, waits for a first datagram.
    ///
    /// An error of the kind `WouldBlock` or `TimedOut` says that there was none, or none for
    /// [`RECV_TIMEOUT`].
    fn receive(&self, batch: &mut Batch, wait: bool) -> io::Result<()>;

    /// Sends messages, and fails rather than wait. `parts` are the bytes of all of them; each
    /// message knows which are its own.
    ///
    /// Returns how many the system took before it stopped at one, or at a limit of its own. An
    /// error is that of the first message.
    fn send(&self, messages: &[Message], parts: &[IoSlice<'_>]) -> io::Result<NonZeroUsize>;

    /// Returns what a worker waits by for a datagram or the flag.
    fn waiter(&self, flag: &Latch) -> io::Result<Waiter>;

    /// Waits until there is a datagram or the flag is raised, however long that takes.
    fn wait(&self, waiter: &Waiter) -> io::Result<()> {
        waiter.wait()
    }

    /// Returns how many messages the system has dropped before they could be received, modulo 2^32:
    /// the receive buffer was full, or the checksum wrong. `None` if it does not say.
    fn drops(&self) -> Option<u32>;

    /// Waits before a receive that follows an error, so that no error can keep the loop busy; not
    /// after the flag is raised.
    fn pause(&self, wait: Duration, latch: &Latch) {
        latch.sleep(wait);
    }
}

/// Returns what [`Datagrams::drops`] is to return of a socket.
#[cfg(target_os = "linux")]
fn drops(socket: &UdpSocket) -> Option<u32> {
    linux::drops(socket)
}

#[cfg(not(target_os = "linux"))]
fn drops(_: &UdpSocket) -> Option<u32> {
    None
}

/// Has the system tell when it received each datagram, where it does that.
pub(crate) fn ask_for_times(socket: &UdpSocket) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    linux::ask_for_times(socket)?;
    #[cfg(not(target_os = "linux"))]
    let _ = socket;
    Ok(())
}

/// Has the system cut what a back end would have delivered in one piece, where it does that.
pub(crate) fn refuse_trains(socket: &UdpSocket) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    linux::refuse_trains(socket)?;
    #[cfg(not(target_os = "linux"))]
    let _ = socket;
    Ok(())
}

/// How long a receive call waits at most. A worker that got nothing for as long waits for a datagram
/// or a stop, whichever comes first; but while datagrams come, it makes no call more than it must.
pub(crate) const RECV_TIMEOUT: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use super::*;
    use crate::Outcome;
    use crate::replies::Replies;
    use crate::socket::{self, Sharing};
    use crate::sys::script::{answer, datagram, train};

    const BACK_ENDS: &[Io] = &[
        #[cfg(target_os = "linux")]
        Io::Linux,
        Io::Portable,
    ];

    fn open(io: Io) -> (Box<dyn Datagrams>, SocketAddr) {
        let socket = socket::bind((Ipv4Addr::LOCALHOST, 0).into(), Sharing::Alone);
        let socket = socket.expect("a free port");
        let address = socket.local_addr().expect("bound");
        (io.take(socket, Fragmentation::Never).expect("a UDP socket"), address)
    }

    fn outcomes(replies: &Replies) -> Vec<Outcome> {
        replies.datagrams().iter().map(|datagram| datagram.outcome).collect()
    }

    /// Receives one message, and returns its datagrams.
    fn receive(socket: &dyn Datagrams) -> Vec<Vec<u8>> {
        let mut batch = Batch::new();
        socket.receive(&mut batch, true).expect("a message in time");
        assert_eq!(batch.arrivals().len(), 1);
        batch.places(0).map(|place| batch.bytes(place).to_vec()).collect()
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_train_leaves_and_arrives_in_one_piece() {
        for &io in BACK_ENDS {
            let ((here, _), (there, address)) = (open(io), open(io));
            let long = [[b'x'; 500], [b'y'; 500]];
            let mut names: Vec<Vec<u8>> = vec![b"Sarah".into(), b"Tracy".into(), b"Al".into()];
            for _ in 0..2 {
                let outcomes = outcomes(&answer(&*here, vec![train(&names, address)]));
                assert_eq!(outcomes, vec![Outcome::Answered; names.len()], "{io:?}");
                let greeting = |name: &Vec<u8>| [b"Hello, ", &name[..], b"!"].concat();
                assert_eq!(receive(&*there), Vec::from_iter(names.iter().map(greeting)));
                names = long.map(Vec::from).into();
            }
        }
    }

    #[test]
    fn nothing_there_is_an_idle_wait_and_no_error() {
        for &io in BACK_ENDS {
            let (socket, _) = open(io);
            for wait in [false, true] {
                let error = socket.receive(&mut Batch::new(), wait).expect_err("nobody sends");
                assert_eq!(crate::ErrorClass::of(&error), crate::ErrorClass::WouldBlock);
            }
        }
    }

    #[test]
    fn what_this_system_does_not_take_costs_no_other_reply_wherever_it_stands() {
        let port_0: SocketAddr = (Ipv4Addr::LOCALHOST, 0).into();
        let everybody: SocketAddr = (Ipv4Addr::BROADCAST, 40_001).into();
        for &io in BACK_ENDS {
            let (here, _) = open(io);
            for poison in [port_0, everybody] {
                for poisoned in 0..5 {
                    let peers: [_; 5] = std::array::from_fn(|_| open(io));
                    let to = |i: usize| if i == poisoned { poison } else { peers[i].1 };
                    let received = (0..5).map(|i| datagram(b"Tracy", to(i)));
                    let outcomes = outcomes(&answer(&*here, received.collect()));
                    for (i, outcome) in outcomes.into_iter().enumerate() {
                        let failed = matches!(outcome, Outcome::SendFailed(_));
                        assert_eq!(failed, i == poisoned, "{io:?}: {i} of {poisoned}: {outcome:?}");
                        if !failed {
                            assert_eq!(receive(&*peers[i].0), [b"Hello, Tracy!"]);
                        }
                    }
                }
            }
        }
    }
}
