//! Probers of several targets: they are opened together, and run until every one has ended.

use std::error::Error;
use std::sync::Arc;
use std::thread;

use hello_net::{ProbeError, Prober, Stopper};

use super::args::{Args, Unreachable};
use crate::args::first_reply::Destination;
use crate::output::console;
use crate::output::escape::Escaped;
use crate::output::style::{BAD, paint};
use crate::process::exit::error_chain;
use crate::process::signals::Signals;

/// A message to the main thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Stop sending.
    Stop,
    /// Stop sending, and do not wait for replies.
    Abort,
    /// Print the summary, and continue.
    Snapshot,
    /// Nothing more can be printed.
    OutputFailed,
    /// Every prober has ended.
    End,
}

/// Prints the hints about the targets, and resolves them. Signals are not handled yet, because only
/// their default action interrupts a lookup.
///
/// # Errors
///
/// Returns the error for standard error.
pub(super) fn resolve(args: &Args) -> Result<(Vec<Destination>, Vec<Unreachable>), Box<dyn Error>> {
    let color = args.common.color();
    args.hints().for_each(|hint| console::warn(color, &format!("hello-ping: {hint}")));
    args.destinations()
}

/// Opens something for each destination, and warns of those where that fails. Returns what was opened,
/// and what cannot be probed.
///
/// # Errors
///
/// Returns the error for standard error, if nothing was opened.
pub(super) fn open_all<T>(
    args: &Args,
    (destinations, mut unreachable): (Vec<Destination>, Vec<Unreachable>),
    open: impl Fn(Destination) -> Result<T, ProbeError>,
) -> Result<(Vec<T>, Vec<Unreachable>), Box<dyn Error>> {
    let (color, mut opened) = (args.common.color(), Vec::new());
    for notice in destinations.iter().filter_map(Destination::notice) {
        console::warn(color, &format!("hello-ping: {notice}"));
    }
    for destination in destinations {
        let target = destination.name.clone();
        match open(destination).map_err(|error| args.explain(error)) {
            Ok(one) => opened.push(one),
            Err(error) => {
                let error = error_chain(&*error);
                unreachable.push(Unreachable { target, error });
            }
        }
    }
    if let ([], [Unreachable { error, .. }]) = (&opened[..], &unreachable[..]) {
        return Err(error.clone().into());
    }
    for Unreachable { target, error } in &unreachable {
        let line = format!("hello-ping: {}: {error}", Escaped(target.as_bytes()));
        console::warn(color, &paint(BAD, line));
    }
    if opened.is_empty() {
        return Err(format!("none of the {} targets can be probed", unreachable.len()).into());
    }
    Ok((opened, unreachable))
}

/// Runs each prober in a thread of its own, with its number, and `watch` in this one until all have
/// ended, of which [`Command::End`] tells. If a thread cannot be started, `end` ends the others.
///
/// # Errors
///
/// The error of the first prober that failed, or [`ProbeError::Thread`].
pub(super) fn run_all(
    probers: Vec<Prober>,
    signals: &Signals<Command>,
    end: impl Fn(&Stopper),
    run: impl Fn(usize, Prober) -> Result<(), ProbeError> + Sync,
    watch: impl FnOnce(&[Stopper]),
) -> Result<(), ProbeError> {
    let stoppers = Vec::from_iter(probers.iter().map(Prober::stopper));
    let (ended, run) = (Arc::new(signals.send_on_drop(Command::End)), &run);
    let results = thread::scope(|scope| {
        let mut threads = Vec::new();
        for (number, prober) in probers.into_iter().enumerate() {
            let ended = Arc::clone(&ended);
            let run = move || {
                let _ended = ended;
                run(number, prober)
            };
            let thread = thread::Builder::new().spawn_scoped(scope, run);
            threads.push(thread.map_err(|error| {
                stoppers.iter().for_each(&end);
                ProbeError::Thread(error)
            })?);
        }
        drop(ended);
        watch(&stoppers);
        let join = |thread: thread::ScopedJoinHandle<'_, _>| {
            thread.join().unwrap_or_else(|cause| std::panic::resume_unwind(cause))
        };
        Ok::<_, ProbeError>(Vec::from_iter(threads.into_iter().map(join)))
    })?;
    results.into_iter().collect()
}
