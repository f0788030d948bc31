//! A file that is replaced atomically.

use std::ffi::OsString;
use std::fs::{self, FileType};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::sys;

/// A file that is replaced atomically, so that its readers always find a complete text.
#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
    directory: PathBuf,
    /// The prefix of the temporary files' names.
    prefix: OsString,
}

impl File {
    /// Prepares to write to `path`, and removes the temporary files of an earlier process.
    pub(super) fn new(path: &Path) -> Result<Self, TextfileError> {
        check(path)?;
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let mut prefix = path.file_name().unwrap_or_default().to_owned();
        prefix.push(".");
        let file = Self { path: path.into(), directory: directory.into(), prefix };
        file.remove_leftovers();
        Ok(file)
    }

    /// Replaces the file, which must not exist or be a regular file.
    pub(super) fn replace(&self, text: &str) -> Result<(), TextfileError> {
        check(&self.path)?;
        let write = || {
            // Removed on drop.
            let mut unfinished = tempfile::Builder::new()
                .prefix(&self.prefix)
                .suffix(SUFFIX)
                .rand_bytes(RANDOM)
                .make_in(&self.directory, sys::create_new)?;
            unfinished.as_file_mut().write_all(text.as_bytes())?;
            // Some file systems allocate space only now; without it, the old file must remain.
            unfinished.as_file().sync_data()?;
            unfinished.persist(&self.path).map_err(|error| error.error)
        };
        let source = match write() {
            Ok(_) => return Ok(()),
            Err(source) => source,
        };
        Err(TextfileError::Write { path: self.path.clone(), source })
    }

    /// Removes the temporary files of a killed process. One that cannot be removed does no harm.
    fn remove_leftovers(&self) {
        let Ok(entries) = fs::read_dir(&self.directory) else { return };
        for entry in entries.flatten() {
            let is_file = entry.file_type().is_ok_and(|found| found.is_file());
            if is_file && self.is_unfinished(entry.file_name().as_encoded_bytes()) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// Returns whether `name` may be a temporary file of [`replace`](Self::replace).
    fn is_unfinished(&self, name: &[u8]) -> bool {
        let random = name
            .strip_prefix(self.prefix.as_encoded_bytes())
            .and_then(|rest| rest.strip_suffix(SUFFIX.as_bytes()));
        random.is_some_and(|random| {
            random.len() == RANDOM && random.iter().all(u8::is_ascii_alphanumeric)
        })
    }
}

/// The metrics file cannot be written.
#[derive(Debug, Error)]
pub enum TextfileError {
    /// The system reported an error.
    #[error("cannot write the metrics file {path:?}: its directory must exist and be writable")]
    Write {
        /// The path as given.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The path is not a regular file.
    #[error(
        "cannot write the metrics file {path:?}: it is {found}; choose a new name or a regular \
         file, which is replaced"
    )]
    NotAFile {
        /// The path as given.
        path: PathBuf,
        /// The kind of file.
        found: &'static str,
    },
    /// The file system does not respond.
    #[error(
        "cannot write the metrics file {path:?}: its file system does not respond; is it mounted \
         over a network?"
    )]
    Stuck {
        /// The path as given.
        path: PathBuf,
    },
    /// The thread that writes it cannot be started.
    #[error("cannot start the thread that writes the metrics file")]
    Thread(#[source] io::Error),
}

/// Checks that a path does not exist or is a regular file.
///
/// A symbolic link is refused, because the rename would replace the link, and because its target
/// may change: `/dev/stdout` may lead to a regular file or to a pipe.
fn check(path: &Path) -> Result<(), TextfileError> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => kind(found.file_type()),
        Err(_) if path.file_name().is_none() => Some("a directory"),
        // The file does not exist, or writing will fail for the same reason.
        Err(_) => None,
    };
    found.map_or(Ok(()), |found| Err(TextfileError::NotAFile { path: path.into(), found }))
}

/// Names the kind of a file that is not regular.
fn kind(found: FileType) -> Option<&'static str> {
    match found {
        _ if found.is_file() => None,
        _ if found.is_dir() => Some("a directory"),
        _ if found.is_symlink() => Some("a symbolic link"),
        _ => sys::special_kind(found).or(Some("a device")),
    }
}

/// The suffix of a temporary file, which a reader of `*.prom` ignores.
const SUFFIX: &str = ".unfinished";

/// The number of random characters in a temporary file's name.
const RANDOM: usize = 12;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::os::unix::net::UnixDatagram;

    use rustix::fs::{CWD, FileType as Kind, Mode, mknodat};

    use super::*;

    fn names(directory: &Path) -> BTreeSet<OsString> {
        let entries = fs::read_dir(directory).expect("a directory");
        entries.map(|entry| entry.expect("readable").file_name()).collect()
    }

    #[test]
    fn file_is_replaced_and_no_other_file_remains() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a.prom");
        let file = File::new(&path).expect("a new name");
        for text in ["a long first text\n", "short\n", ""] {
            file.replace(text).expect("written");
            assert_eq!(fs::read_to_string(&path).expect("there"), text);
        }
        assert_eq!(names(directory.path()), BTreeSet::from(["a.prom".into()]));
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        let other = directory.path().join("b.prom");
        fs::write(&other, "").expect("a new file");
        let usual = fs::metadata(other).expect("there").permissions().mode();
        assert_eq!(mode, usual, "only the umask applies");
    }

    #[test]
    fn other_kinds_of_file_are_refused_and_unchanged() {
        let directory = tempfile::tempdir().expect("a directory");
        let place = |name: &str| directory.path().join(name);
        fs::create_dir(place("directory")).expect("a new name");
        mknodat(CWD, place("fifo"), Kind::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a new name");
        let _socket = UnixDatagram::bind(place("socket")).expect("a new name");
        fs::write(place("file"), "text").expect("a new name");
        for (link, target) in [
            ("to-fifo", "fifo"),
            ("to-file", "file"),
            ("to-null", "/dev/null"),
            ("to-none", "none"),
        ] {
            symlink(target, place(link)).expect("a new name");
        }
        for (path, kind) in [
            (place("directory"), "a directory"),
            (place("fifo"), "a pipe (FIFO)"),
            (place("socket"), "a socket"),
            (place("to-fifo"), "a symbolic link"),
            (place("to-file"), "a symbolic link"),
            (place("to-null"), "a symbolic link"),
            (place("to-none"), "a symbolic link"),
            ("/dev/null".into(), "a device"),
            ("/dev/stdout".into(), "a symbolic link"),
            ("/".into(), "a directory"),
            ("..".into(), "a directory"),
            (place("none").join(".."), "a directory"),
        ] {
            let error = File::new(&path).expect_err("no regular file");
            let expected = format!(
                "cannot write the metrics file {path:?}: it is {kind}; choose a new name or a \
                 regular file, which is replaced"
            );
            assert_eq!(error.to_string(), expected);
        }
        File::new(&place("file")).expect("a regular file").replace("new").expect("written");
        assert_eq!(fs::read_to_string(place("file")).expect("there"), "new");
    }

    #[test]
    fn error_has_the_given_path_and_the_systems_message() {
        let path = Path::new("/no/such/directory/a.prom");
        let error = File::new(path).expect("a new name").replace("text").expect_err("nowhere");
        let expected = format!(
            "cannot write the metrics file {path:?}: its directory must exist and be writable: {}",
            io::Error::from_raw_os_error(rustix::io::Errno::NOENT.raw_os_error()),
        );
        assert_eq!(crate::process::exit::error_chain(&error), expected);
    }

    #[test]
    fn link_that_replaced_the_file_later_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a.prom");
        let file = File::new(&path).expect("a new name");
        file.replace("text").expect("written");
        let elsewhere = directory.path().join("elsewhere");
        fs::rename(&path, &elsewhere).expect("ours");
        symlink("elsewhere", &path).expect("a new name");
        let error = file.replace("new").expect_err("a link");
        assert!(error.to_string().contains("it is a symbolic link"), "{error}");
        assert_eq!(fs::read_to_string(elsewhere).expect("there"), "text");
        assert_eq!(names(directory.path()).len(), 2, "no temporary file");
    }

    #[test]
    fn only_leftovers_of_this_file_are_removed_at_the_start() {
        let directory = tempfile::tempdir().expect("a directory");
        let place = |name: &str| directory.path().join(name);
        let ours = ["a.prom.abcdefABCD01.unfinished", "a.prom.000000000000.unfinished"];
        let others = [
            "a.prom",
            "a.prom.unfinished",
            "a.prom.abcdefABCD0.unfinished",
            "a.prom.abcdefABCD012.unfinished",
            "a.prom.abcdefABCD0-.unfinished",
            "a.prom.abcdefABCD01.unfinished.prom",
            "b.prom.abcdefABCD01.unfinished",
            "xa.prom.abcdefABCD01.unfinished",
        ];
        for name in ours.iter().chain(&others) {
            fs::write(place(name), "text").expect("a new name");
        }
        let link = "a.prom.linklinklink.unfinished";
        symlink("b.prom.abcdefABCD01.unfinished", place(link)).expect("a new name");
        File::new(&place("a.prom")).expect("a regular file");
        let expected = others.iter().copied().chain([link]).map(OsString::from);
        assert_eq!(names(directory.path()), expected.collect());
    }

    #[test]
    fn temporary_file_is_a_leftover_to_the_next_process() {
        let file = File::new(Path::new("no/such/directory/a.prom")).expect("a new name");
        let directory = tempfile::tempdir().expect("a directory");
        let unfinished = tempfile::Builder::new()
            .prefix(&file.prefix)
            .suffix(SUFFIX)
            .rand_bytes(RANDOM)
            .tempfile_in(&directory)
            .expect("a new name");
        let name = unfinished.path().file_name().expect("a name").as_encoded_bytes();
        assert!(file.is_unfinished(name), "{unfinished:?}");
    }
}
