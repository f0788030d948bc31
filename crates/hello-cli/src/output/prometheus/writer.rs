//! The thread that writes a [`Textfile`].

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::file::{File, TextfileError};
use crate::process::lock;

/// A file written by a separate thread, so that no caller waits for its file system.
///
/// The thread writes the newest text and skips older ones. It writes nothing once this is dropped.
#[derive(Debug)]
pub struct Textfile {
    path: PathBuf,
    slot: Arc<Slot>,
    /// The time after which a write is reported as stuck.
    patience: Duration,
}

impl Textfile {
    /// Starts the thread and waits until it has written the first text, for at most three seconds.
    pub(crate) fn start(path: &Path, text: String) -> Result<Self, TextfileError> {
        let named = path.to_owned();
        let mut file = None;
        let new = Self::start_with(path, PATIENCE, move |text| {
            let file = match &file {
                Some(file) => file,
                None => file.insert(File::new(&named)?),
            };
            file.replace(text)
        })?;
        match new.slot.wait_for(new.slot.put(text), FIRST_PATIENCE) {
            Some(written) => written.map(|()| new),
            // `failure` reports the stuck write.
            None => Ok(new),
        }
    }

    fn start_with(
        path: &Path,
        patience: Duration,
        mut write: impl FnMut(&str) -> Result<(), TextfileError> + Send + 'static,
    ) -> Result<Self, TextfileError> {
        let slot = Arc::new(Slot::default());
        let room = Arc::clone(&slot);
        let work = move || {
            while let Some((number, text)) = room.take() {
                room.done(number, write(&text));
            }
        };
        thread::Builder::new().spawn(work).map_err(TextfileError::Thread)?;
        Ok(Self { path: path.into(), slot, patience })
    }

    /// Queues a text for writing, and returns immediately.
    pub fn write(&self, text: String) {
        self.slot.put(text);
    }

    /// Returns the error of the last write, or a stuck write; each of them once.
    pub fn failure(&self) -> Option<TextfileError> {
        let mut state = lock(&self.slot.state);
        let is_late = state.busy_since.is_some_and(|since| since.elapsed() >= self.patience);
        if is_late && state.failure.is_none() && !std::mem::replace(&mut state.is_reported, true) {
            return Some(self.stuck());
        }
        state.failure.take()
    }

    /// Queues the last text, and waits until it is written, for at most a second.
    pub(crate) fn finish(&self, text: String) -> Result<(), TextfileError> {
        let last = self.slot.put(text);
        let written = self.slot.wait_for(last, self.patience);
        written.unwrap_or_else(|| Err(self.stuck()))
    }

    fn stuck(&self) -> TextfileError {
        TextfileError::Stuck { path: self.path.clone() }
    }
}

impl Drop for Textfile {
    fn drop(&mut self) {
        lock(&self.slot.state).is_closed = true;
        self.slot.changed.notify_all();
    }
}

/// Room for one text between the callers and the thread.
#[derive(Debug, Default)]
struct Slot {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The text to write next.
    next: Option<String>,
    /// The number of texts queued so far.
    put: u64,
    /// The number of the last text that was written or failed.
    done: u64,
    /// Its error, until it is reported.
    failure: Option<TextfileError>,
    /// When the write in progress began.
    busy_since: Option<Instant>,
    /// Whether the write in progress was reported as stuck.
    is_reported: bool,
    is_closed: bool,
}

impl Slot {
    /// Queues a text, in place of the one queued before, and returns its number.
    fn put(&self, text: String) -> u64 {
        let mut state = lock(&self.state);
        state.put += 1;
        state.next = Some(text);
        self.changed.notify_all();
        state.put
    }

    /// Waits for a text to write, with its number. Returns `None` once the file is dropped.
    fn take(&self) -> Option<(u64, String)> {
        let is_idle = |state: &mut State| state.next.is_none() && !state.is_closed;
        let waited = self.changed.wait_while(lock(&self.state), is_idle);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        if state.is_closed {
            return None;
        }
        let text = state.next.take()?;
        (state.busy_since, state.is_reported) = (Some(Instant::now()), false);
        Some((state.put, text))
    }

    fn done(&self, number: u64, written: Result<(), TextfileError>) {
        let mut state = lock(&self.state);
        (state.busy_since, state.done, state.failure) = (None, number, written.err());
        self.changed.notify_all();
    }

    /// Waits until this text or a later one is written, and returns the result; `None` after
    /// `patience`.
    fn wait_for(&self, number: u64, patience: Duration) -> Option<Result<(), TextfileError>> {
        let is_open = |state: &mut State| state.done < number;
        let waited = self.changed.wait_timeout_while(lock(&self.state), patience, is_open);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        (state.done >= number).then(|| state.failure.take().map_or(Ok(()), Err))
    }
}

/// The time that the start waits for the first text.
const FIRST_PATIENCE: Duration = Duration::from_secs(3);

/// The time that any other write may take.
const PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io;
    use std::sync::mpsc::{self, Receiver, Sender};

    use super::*;

    /// A file whose writer announces each text, and then blocks until it is released.
    struct Slow {
        file: Textfile,
        taken: Receiver<String>,
        release: Sender<Result<(), TextfileError>>,
    }

    fn slow(patience: Duration) -> Slow {
        let (take, taken) = mpsc::channel();
        let (release, released) = mpsc::channel();
        let write = move |text: &str| {
            let _ = take.send(text.to_owned());
            released.recv().unwrap_or(Ok(()))
        };
        let file = Textfile::start_with("a.prom".as_ref(), patience, write).expect("a thread");
        file.write("first".into());
        assert_eq!(taken.recv().as_deref(), Ok("first"));
        Slow { file, taken, release }
    }

    /// Longer than a test takes.
    const FOREVER: Duration = Duration::from_secs(600);

    fn failed() -> Result<(), TextfileError> {
        let source = io::ErrorKind::StorageFull.into();
        Err(TextfileError::Write { path: "a.prom".into(), source })
    }

    fn is_full(failure: Option<&TextfileError>) -> bool {
        matches!(failure, Some(TextfileError::Write { source, .. })
            if source.kind() == io::ErrorKind::StorageFull)
    }

    #[test]
    fn only_the_newest_text_waits_during_a_write() {
        let Slow { file, taken, release } = slow(FOREVER);
        for text in ["second", "third", "fourth"] {
            file.write(text.into());
        }
        release.send(Ok(())).expect("a writer");
        assert_eq!(taken.recv().as_deref(), Ok("fourth"));
        release.send(Ok(())).expect("a writer");
        drop((file, release));
        assert_eq!(Vec::from_iter(taken), Vec::<String>::new(), "and no other after it");
    }

    #[test]
    fn hung_file_system_delays_neither_a_write_nor_the_end() {
        let Slow { file, taken, release: _hangs } = slow(Duration::ZERO);
        file.write("second".into());
        // The stuck write is reported only once.
        assert!(matches!(file.failure(), Some(TextfileError::Stuck { .. })));
        assert!(file.failure().is_none());
        let error = file.finish("last".into()).expect_err("not written");
        let expected = "cannot write the metrics file \"a.prom\": its file system does not \
                        respond; is it mounted over a network?";
        assert_eq!(error.to_string(), expected);
        assert_eq!(taken.try_recv().ok(), None);
    }

    #[test]
    fn end_waits_for_the_last_text_after_a_write_in_progress() {
        let Slow { file, taken, release } = slow(FOREVER);
        for written in [Ok(()), failed()] {
            release.send(written).expect("a writer");
        }
        let error = file.finish("last".into()).expect_err("failed");
        assert!(is_full(Some(&error)), "{error}");
        assert_eq!(taken.recv().as_deref(), Ok("last"));
    }

    #[test]
    fn each_failure_is_reported_once_and_forgotten_after_a_success() {
        let Slow { file, taken, release } = slow(FOREVER);
        let next = |written| {
            file.write("text".into());
            release.send(written).expect("a writer");
            // The writer has finished the last text when it takes the next one.
            taken.recv().expect("a writer")
        };
        next(failed());
        assert!(is_full(file.failure().as_ref()));
        assert!(file.failure().is_none());
        next(failed());
        next(Ok(()));
        assert!(file.failure().is_none());
    }

    #[test]
    fn first_text_is_written_at_the_start_and_last_one_at_the_end() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a.prom");
        let file = Textfile::start(&path, "first".into()).expect("a new name");
        assert_eq!(fs::read_to_string(&path).expect("there"), "first");
        file.write("second".into());
        file.finish("last".into()).expect("written");
        assert_eq!(fs::read_to_string(&path).expect("there"), "last");

        let error = Textfile::start(directory.path(), "text".into()).expect_err("a directory");
        assert!(error.to_string().contains("it is a directory"), "{error}");
        let nowhere = directory.path().join("nowhere").join("a.prom");
        let error = Textfile::start(&nowhere, "text".into()).expect_err("no directory");
        assert!(matches!(error, TextfileError::Write { .. }), "{error}");
    }
}
