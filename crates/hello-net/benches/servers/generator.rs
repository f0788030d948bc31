//! The clients: the load generator of this crate, which fills a server's receive buffer, and
//! compares every reply byte for byte.

use std::error::Error;
use std::num::{NonZeroU16, NonZeroU32};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use hello_net::{
    LoadBuilder, LoadEvent, LoadEventKind, LoadGenerator, Pacing, Sources, WaitStrategy,
};

use crate::buffers;
use crate::process::Process;
use crate::stats::Summary;
use crate::workloads::{Figure, Kind, Workload};

/// Lets a server work through an episode, and returns its cost: processor time per reply, or
/// another time, in nanoseconds.
pub(crate) fn episode(workload: &Workload, server: &Process) -> Result<f64, Box<dyn Error>> {
    if let Kind::PingPong(figure) = workload.kind {
        return ping_pong(workload, server, figure);
    }
    // A warm-up first, so that the next server does not pay for what the last one left in caches
    // and in the system's memory pools.
    work_through(workload, server)?;
    if workload.is_spread() {
        server.spread()?;
    }
    work_through(workload, server)
}

/// Lets a server work through requests that wait in its receive buffer.
fn work_through(workload: &Workload, server: &Process) -> Result<f64, Box<dyn Error>> {
    let generator = plan(workload)?.connect(server.address)?;
    if workload.buffer() > buffers::USUAL {
        buffers::set_clients(server.address, workload.buffer())?;
    }
    server.stop()?;
    let before = server.processor_time()?;
    let replies = run(generator, workload, Some(server))?;
    server.wait_for_sleep()?;
    let time = match workload.kind {
        Kind::Workers => {
            let times = replies.iter().map(|reply| reply.at);
            let ends = times.clone().max().zip(times.min());
            ends.map(|(last, first)| last - first).unwrap_or_default()
        }
        _ => server.processor_time()? - before,
    };
    Ok(time.as_nanos() as f64 / replies.len() as f64)
}

/// Sends requests one by one, and returns the chosen figure, in nanoseconds.
fn ping_pong(workload: &Workload, server: &Process, figure: Figure) -> Result<f64, Box<dyn Error>> {
    let generator = plan(workload)?.connect(server.address)?;
    server.wait_for_sleep()?;
    let before = server.processor_time()?;
    let replies = run(generator, workload, None)?;
    server.wait_for_sleep()?;
    let figure = match figure {
        Figure::RoundTripTime => {
            let times = Vec::from_iter(replies.iter().map(|reply| reply.rtt.as_nanos() as f64));
            Summary::of(&times).map(|times| times.median)
        }
        Figure::ProcessorTime => {
            let spent = server.processor_time()? - before;
            Some(spent.as_nanos() as f64 / replies.len() as f64)
        }
    };
    figure.ok_or_else(|| "no requests".into())
}

fn plan(workload: &Workload) -> Result<LoadBuilder, Box<dyn Error>> {
    let (requests, train) = (u32::try_from(workload.requests)?, u16::try_from(workload.train)?);
    let (outstanding, wait_strategy) = match workload.kind {
        // No wait, because the client's own wake-up must not be measured.
        Kind::PingPong(_) => (1, WaitStrategy::Spin),
        // No wait that a reply would end, at the server's expense. A whole train may be
        // outstanding, even if the last is shorter.
        _ => (
            requests.next_multiple_of(train.into()),
            WaitStrategy::Sleep(Duration::from_micros(300)),
        ),
    };
    Ok(LoadGenerator::builder()
        .pacing(Pacing::Closed { outstanding: NonZeroU32::try_from(outstanding)? })
        .count(u64::from(requests))
        .timeout(Duration::from_secs(5))
        .name_len(workload.len..=workload.len)
        .train(NonZeroU16::try_from(train)?)
        .gro(workload.train > 1)
        .sources(Sources::Ports(NonZeroU32::try_from(u32::try_from(workload.sources)?)?))
        .wait_strategy(wait_strategy))
}

/// Sends all requests, and returns all replies, each of which must arrive once and right. When all
/// are sent, `stopped` continues.
fn run(
    generator: LoadGenerator,
    workload: &Workload,
    stopped: Option<&Process>,
) -> Result<Vec<Answer>, Box<dyn Error>> {
    let witness = Mutex::new(Witness {
        workload,
        stopped,
        left: workload.requests,
        replies: Vec::with_capacity(workload.requests),
        failure: None,
    });
    generator.run(|events| {
        let mut witness = witness.lock().unwrap_or_else(PoisonError::into_inner);
        events.iter().for_each(|event| witness.observe(event));
    })?;
    let Witness { replies, failure, .. } =
        witness.into_inner().unwrap_or_else(PoisonError::into_inner);
    match failure {
        Some(failure) => Err(failure.into()),
        None if replies.len() < workload.requests => {
            Err(format!("{} replies of {}", replies.len(), workload.requests).into())
        }
        None => Ok(replies),
    }
}

/// A right reply.
#[derive(Clone, Copy, Debug)]
struct Answer {
    /// When it arrived, by the kernel's timestamp, since the start.
    at: Duration,
    rtt: Duration,
}

/// Sees all events, and reports everything but right replies as the server's failure.
#[derive(Debug)]
struct Witness<'a> {
    workload: &'a Workload,
    /// The server, if it waits until everything is sent.
    stopped: Option<&'a Process>,
    /// The number of requests not sent yet.
    left: usize,
    replies: Vec<Answer>,
    /// The first failure.
    failure: Option<String>,
}

impl Witness<'_> {
    fn observe(&mut self, event: &LoadEvent<'_>) {
        let result = match event.kind {
            LoadEventKind::Sent { count, .. } => self.note_sent(count),
            LoadEventKind::Answered { rtt, .. } => {
                self.replies.push(Answer { at: event.at, rtt });
                Ok(())
            }
            LoadEventKind::Other { reply, datagram } => {
                Err(format!("not a right reply: {reply:?}: {}", datagram.escape_ascii()).into())
            }
            wrong => Err(format!("{wrong:?}").into()),
        };
        if let Err(error) = result {
            self.failure.get_or_insert_with(|| error.to_string());
        }
    }

    /// Continues the server once everything is sent.
    fn note_sent(&mut self, count: u32) -> Result<(), Box<dyn Error>> {
        self.left = self.left.saturating_sub(usize::try_from(count)?);
        let Some(server) = self.stopped.filter(|_| self.left == 0) else { return Ok(()) };
        server.go_on()?;
        if self.workload.is_spread() {
            // Both processors are the server's until it is done.
            thread::sleep(Duration::from_millis(50));
        }
        // Nothing of ours competes with it, and all its replies are there before the first is read.
        server.wait_for_sleep()
    }
}
