//! Lookups of names by a few threads, so that a resolver that hangs delays nothing else.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::args::endpoint::Endpoint;
use crate::args::resolve::ResolveArgs;
use crate::process::exit::error_chain;
use crate::process::lock;

/// Looks names up again and again.
///
/// The system's resolver does not tell how long an address is valid, so all names are looked up at the
/// same interval.
#[derive(Debug)]
pub struct Lookups {
    interval: Duration,
    names: BTreeMap<String, Name>,
    jobs: Sender<Endpoint>,
    answers: Receiver<Answer>,
}

/// The result of a lookup.
#[derive(Debug)]
pub struct Answer {
    /// The name, `HOST:PORT`.
    pub name: String,
    /// Its addresses, of which there is at least one, or why there are none.
    pub addresses: Result<Vec<SocketAddr>, String>,
}

#[derive(Debug)]
struct Name {
    endpoint: Endpoint,
    /// When it is looked up next; `None` during a lookup.
    due: Option<Instant>,
    /// Whether a lookup ended.
    is_known: bool,
}

impl Lookups {
    /// Starts the threads.
    pub(crate) fn start(interval: Duration, hosts: ResolveArgs) -> io::Result<Self> {
        let resolve = move |endpoint: &Endpoint| {
            let host = hosts.resolve(endpoint);
            host.map(|host| host.addresses).map_err(|error| error_chain(&error))
        };
        Self::start_with(interval, hosts, resolve)
    }

    fn start_with(
        interval: Duration,
        hosts: ResolveArgs,
        resolve: impl Fn(&Endpoint) -> Result<Vec<SocketAddr>, String> + Clone + Send + 'static,
    ) -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel();
        let (results, answers) = mpsc::channel();
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..THREADS {
            let (queue, results, resolve) = (Arc::clone(&queue), results.clone(), resolve.clone());
            // None is joined: nothing interrupts a lookup.
            thread::Builder::new().spawn(move || {
                loop {
                    let Ok(endpoint) = lock(&queue).recv() else { return };
                    let (name, addresses) = (hosts.name(&endpoint), resolve(&endpoint));
                    if results.send(Answer { name, addresses }).is_err() {
                        return;
                    }
                }
            })?;
        }
        Ok(Self { interval, names: BTreeMap::new(), jobs, answers })
    }

    /// Sets the names to look up. New ones are due at once.
    pub fn set_names(&mut self, names: BTreeMap<String, Endpoint>) {
        self.names.retain(|name, _| names.contains_key(name));
        for (name, endpoint) in names {
            let new = || Name { endpoint, due: Some(Instant::now()), is_known: false };
            self.names.entry(name).or_insert_with(new);
        }
    }

    /// Starts the lookups that are due. Those that have not ended are not started again.
    pub fn start_due(&mut self, now: Instant) {
        for name in self.names.values_mut() {
            if name.due.is_some_and(|due| due <= now)
                && self.jobs.send(name.endpoint.clone()).is_ok()
            {
                name.due = None;
            }
        }
    }

    /// Returns the next answer, if a lookup ended.
    pub fn poll_answer(&mut self, now: Instant) -> Option<Answer> {
        loop {
            let answer = self.answers.try_recv().ok()?;
            // It may have been removed meanwhile.
            if let Some(name) = self.names.get_mut(&answer.name) {
                name.due = Some(now.checked_add(self.interval).unwrap_or(now));
                name.is_known = true;
                return Some(answer);
            }
        }
    }

    /// Returns whether a lookup of each name ended.
    pub fn are_all_known(&self) -> bool {
        self.names.values().all(|name| name.is_known)
    }
}

/// The threads, each of which waits for one lookup at a time.
const THREADS: usize = 4;

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Tool {
        #[command(flatten)]
        hosts: ResolveArgs,
    }

    fn names(names: &[&str]) -> BTreeMap<String, Endpoint> {
        let endpoint = |name: &&str| ((*name).into(), name.parse().expect("an endpoint"));
        names.iter().map(endpoint).collect()
    }

    fn wait(lookups: &mut Lookups) -> Answer {
        loop {
            if let Some(answer) = lookups.poll_answer(Instant::now()) {
                return answer;
            }
            thread::yield_now();
        }
    }

    #[test]
    fn lookup_that_hangs_delays_no_other_and_is_not_repeated_meanwhile() {
        let address = SocketAddr::from(([192, 0, 2, 1], 1));
        let resolve = move |endpoint: &Endpoint| match &*endpoint.to_string() {
            "hangs:1" => loop {
                thread::park();
            },
            "bad:1" => Err("no such host".into()),
            _ => Ok(vec![address]),
        };
        let hosts = Tool::parse_from(["tool"]).hosts;
        let mut lookups = Lookups::start_with(Duration::ZERO, hosts, resolve).expect("threads");
        lookups.set_names(names(&["hangs:1", "bad:1", "good:1"]));
        for _ in 0..10 {
            lookups.start_due(Instant::now());
            let mut answers = [wait(&mut lookups), wait(&mut lookups)];
            answers.sort_by_key(|answer| answer.name.clone());
            let [bad, good] = answers;
            assert_eq!((&*bad.name, bad.addresses), ("bad:1", Err("no such host".into())));
            assert_eq!((&*good.name, good.addresses), ("good:1", Ok(vec![address])));
            assert!(!lookups.are_all_known());
        }
        lookups.set_names(names(&["good:1"]));
        assert!(lookups.are_all_known());
    }

    #[test]
    fn names_are_looked_up_at_the_interval() {
        let resolve = |_: &Endpoint| Err(String::new());
        let hosts = Tool::parse_from(["tool"]).hosts;
        let minute = Duration::from_secs(60);
        let mut lookups = Lookups::start_with(minute, hosts, resolve).expect("threads");
        lookups.set_names(names(&["a:1"]));
        let start = Instant::now();
        lookups.start_due(start);
        wait(&mut lookups);
        lookups.start_due(start + minute / 2);
        assert!(lookups.names["a:1"].due.is_some(), "not yet");
        lookups.start_due(start + 2 * minute);
        assert!(lookups.names["a:1"].due.is_none());
    }
}
