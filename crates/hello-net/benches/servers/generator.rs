//! The clients: the load generator of this crate, which fills a server's receive buffer and
//! compares every reply byte for byte.

use std::error::Error;
use std::num::{NonZeroU16, NonZeroU32};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use hello_net::{
    LoadEvent, LoadEventKind, LoadGenerator, LoadPlan, Observer, Pacing, Sources, WaitStrategy,
};

use crate::process::Process;
use crate::stats::Summary;
use crate::workloads::{Figure, Kind, Workload};

/// Runs one episode against a server, and returns its CPU time per reply or another time, in
/// nanoseconds.
pub(crate) fn episode(workload: &Workload, server: &Process) -> Result<f64, Box<dyn Error>> {
    if let Kind::PingPong(figure) = workload.kind {
        return ping_pong(workload, server, figure);
    }
    // Warms up first, so that no server pays for what the previous one left in caches and in the
    // kernel's memory pools.
    answer_queue(workload, server)?;
    if workload.is_spread() {
        server.spread()?;
    }
    answer_queue(workload, server)
}

/// Lets a server answer the requests queued in its receive buffer.
fn answer_queue(workload: &Workload, server: &Process) -> Result<f64, Box<dyn Error>> {
    let loader = LoadGenerator::new(server.address, plan(workload)?)?;
    server.stop()?;
    let before = server.processor_time()?;
    let replies = run(&loader, workload, Some(server))?;
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

/// Sends one request at a time, and returns the selected figure, in nanoseconds.
fn ping_pong(workload: &Workload, server: &Process, figure: Figure) -> Result<f64, Box<dyn Error>> {
    let loader = LoadGenerator::new(server.address, plan(workload)?)?;
    server.wait_for_sleep()?;
    let before = server.processor_time()?;
    let replies = run(&loader, workload, None)?;
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

fn plan(workload: &Workload) -> Result<LoadPlan, Box<dyn Error>> {
    let requests = u32::try_from(workload.requests())?;
    let (outstanding, idle) = match workload.kind {
        // Busy-waits, because the client's own wake-up must not be measured.
        Kind::PingPong(_) => (1, WaitStrategy::Spin),
        // A wait that no reply ends, because waking the client would cost the server time.
        _ => (requests, WaitStrategy::Sleep(Duration::from_micros(300))),
    };
    let train = if workload.kind == Kind::Trains { workload.train() } else { 1 };
    Ok(LoadPlan {
        offer: Pacing::Closed { outstanding: NonZeroU32::try_from(outstanding)? },
        count: Some(requests.into()),
        timeout: Duration::from_secs(5),
        name_len: workload.len..=workload.len,
        train: NonZeroU16::try_from(u16::try_from(train)?)?,
        gro: workload.kind == Kind::Trains,
        sources: Sources::Ports(NonZeroU32::try_from(u32::try_from(workload.sources)?)?),
        idle,
        ..LoadPlan::default()
    })
}

/// Sends every request, and returns the replies, each of which must arrive once and be correct.
/// Once everything is sent, `stopped` continues.
fn run(
    loader: &LoadGenerator,
    workload: &Workload,
    stopped: Option<&Process>,
) -> Result<Vec<Answer>, Box<dyn Error>> {
    let witness = Mutex::new(Witness {
        workload,
        stopped,
        left: workload.requests(),
        replies: Vec::with_capacity(workload.requests()),
        failure: None,
    });
    loader.run(std::slice::from_ref(&witness))?;
    let Witness { replies, failure, .. } =
        witness.into_inner().unwrap_or_else(PoisonError::into_inner);
    match failure {
        Some(failure) => Err(failure.into()),
        None if replies.len() < workload.requests() => {
            Err(format!("{} replies of {}", replies.len(), workload.requests()).into())
        }
        None => Ok(replies),
    }
}

/// A correct reply.
#[derive(Clone, Copy, Debug)]
struct Answer {
    /// The kernel's timestamp of its arrival, since the start.
    at: Duration,
    rtt: Duration,
}

/// Observes all events, and treats everything except a correct reply as an error.
#[derive(Debug)]
struct Witness<'a> {
    workload: &'a Workload,
    /// The server, if it is stopped until everything is sent.
    stopped: Option<&'a Process>,
    /// The number of requests not sent yet.
    left: usize,
    replies: Vec<Answer>,
    /// The first error.
    failure: Option<String>,
}

impl Observer for Witness<'_> {
    fn observe(&mut self, event: &LoadEvent<'_>) {
        let result = match event.kind {
            LoadEventKind::Sent { count, .. } => self.note_sent(count),
            LoadEventKind::Answered { rtt, .. } => {
                self.replies.push(Answer { at: event.at, rtt });
                Ok(())
            }
            LoadEventKind::Other { arrival, datagram } => {
                Err(format!("not a correct reply: {arrival:?}: {}", datagram.escape_ascii()).into())
            }
            wrong => Err(format!("{wrong:?}").into()),
        };
        if let Err(error) = result {
            self.failure.get_or_insert_with(|| error.to_string());
        }
    }
}

impl Witness<'_> {
    /// Continues the server once everything is sent.
    fn note_sent(&mut self, count: u32) -> Result<(), Box<dyn Error>> {
        self.left = self.left.saturating_sub(usize::try_from(count)?);
        let Some(server) = self.stopped.filter(|_| self.left == 0) else { return Ok(()) };
        server.resume()?;
        if self.workload.is_spread() {
            // Both processors belong to the server until it has finished.
            thread::sleep(Duration::from_millis(50));
        }
        // The clients do not compete with it, and all of its replies are queued before the first
        // one is read.
        server.wait_for_sleep()
    }
}
