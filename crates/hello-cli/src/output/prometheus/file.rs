//! A file that is replaced as a whole.

use std::ffi::OsString;
use std::fs::{self, FileType, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// A file whose readers find one whole text, and never a part of one.
#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
    directory: PathBuf,
    /// The beginning of the names under which texts are written, before they are renamed.
    prefix: OsString,
}

impl File {
    /// Prepares to write to `path`, and removes the unfinished files of an earlier process.
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

    /// Replaces the file as a whole. What is there must still be a regular file, or nothing.
    pub(super) fn replace(&self, text: &str) -> Result<(), TextfileError> {
        check(&self.path)?;
        let write = || {
            // Removed if it is dropped. The mode is that of any new file: less the umask.
            let mut unfinished = tempfile::Builder::new()
                .prefix(&self.prefix)
                .suffix(SUFFIX)
                .rand_bytes(RANDOM)
                .make_in(&self.directory, |path| {
                    OpenOptions::new().write(true).create_new(true).mode(0o666).open(path)
                })?;
            unfinished.as_file_mut().write_all(text.as_bytes())?;
            // Where space is found only then, a file that found none is not to take the other's place.
            unfinished.as_file().sync_data()?;
            unfinished.persist(&self.path).map_err(|error| error.error)
        };
        let source = match write() {
            Ok(_) => return Ok(()),
            Err(source) => source,
        };
        Err(TextfileError::Write { path: self.path.clone(), source })
    }

    /// Removes the unfinished files of a killed process. One that cannot be removed does no harm.
    fn remove_leftovers(&self) {
        let Ok(entries) = fs::read_dir(&self.directory) else { return };
        for entry in entries.flatten() {
            let is_file = entry.file_type().is_ok_and(|found| found.is_file());
            if is_file && self.is_unfinished(entry.file_name().as_bytes()) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// Returns whether [`replace`](Self::replace) may have written under this name.
    fn is_unfinished(&self, name: &[u8]) -> bool {
        let random = name
            .strip_prefix(self.prefix.as_bytes())
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
    #[error("cannot write the metrics file {path:?}; its directory has to exist and be writable")]
    Write {
        /// As it was given.
        path: PathBuf,
        /// What the system reported.
        source: io::Error,
    },
    /// Something else has that name.
    #[error(
        "cannot write the metrics file {path:?}: it is {found}; choose a new name, or that of a \
         regular file, which is replaced"
    )]
    NotAFile {
        /// As it was given.
        path: PathBuf,
        /// What it is.
        found: &'static str,
    },
    /// The system neither wrote it nor reported an error in time.
    #[error(
        "cannot write the metrics file {path:?}: its file system does not respond; is it mounted \
         over a network?"
    )]
    Stuck {
        /// As it was given.
        path: PathBuf,
    },
    /// There is no thread to write it.
    #[error("cannot start a thread that writes the metrics file")]
    Thread(#[source] io::Error),
}

/// Checks that a path names a regular file, or nothing.
///
/// A symbolic link is refused whatever its target: the rename would replace the link, and the
/// target may change. `/dev/stdout` points to a regular file at one time and to a pipe at another.
fn check(path: &Path) -> Result<(), TextfileError> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => kind(found.file_type()),
        Err(_) if path.file_name().is_none() => Some("a directory"),
        // Nothing is there, or writing will fail for the same reason.
        Err(_) => None,
    };
    found.map_or(Ok(()), |found| Err(TextfileError::NotAFile { path: path.into(), found }))
}

/// Names what is not a regular file.
fn kind(found: FileType) -> Option<&'static str> {
    match found {
        _ if found.is_file() => None,
        _ if found.is_dir() => Some("a directory"),
        _ if found.is_symlink() => Some("a symbolic link"),
        _ if found.is_fifo() => Some("a pipe (FIFO)"),
        _ if found.is_socket() => Some("a socket"),
        _ => Some("a device"),
    }
}

/// The end of an unfinished file's name, which a reader of `*.prom` ignores.
const SUFFIX: &str = ".unfinished";

/// How many random characters stand in an unfinished file's name.
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
    fn a_file_is_replaced_as_a_whole_and_nothing_else_is_left() {
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
        assert_eq!(mode, usual, "less the umask, and nothing else");
    }

    #[test]
    fn what_is_no_regular_file_is_refused_and_stays_what_it_is() {
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
                "cannot write the metrics file {path:?}: it is {kind}; choose a new name, or that \
                 of a regular file, which is replaced"
            );
            assert_eq!(error.to_string(), expected);
        }
        File::new(&place("file")).expect("a regular file").replace("new").expect("written");
        assert_eq!(fs::read_to_string(place("file")).expect("there"), "new");
    }

    #[test]
    fn an_error_is_the_systems_and_names_the_file_as_it_was_given_and_no_other() {
        let path = Path::new("/no/such/directory/a.prom");
        let error = File::new(path).expect("a new name").replace("text").expect_err("nowhere");
        let expected = format!(
            "cannot write the metrics file {path:?}; its directory has to exist and be writable: {}",
            io::Error::from_raw_os_error(rustix::io::Errno::NOENT.raw_os_error()),
        );
        assert_eq!(crate::process::exit::error_chain(&error), expected);
    }

    #[test]
    fn what_took_the_place_of_the_file_later_is_not_replaced_either() {
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
        assert_eq!(names(directory.path()).len(), 2, "nothing unfinished");
    }

    #[test]
    fn leftovers_of_this_very_file_are_removed_at_the_start_and_nothing_else_is() {
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
    fn what_is_written_under_is_taken_for_a_leftover_by_the_next_process() {
        let file = File::new(Path::new("no/such/directory/a.prom")).expect("a new name");
        let directory = tempfile::tempdir().expect("a directory");
        let unfinished = tempfile::Builder::new()
            .prefix(&file.prefix)
            .suffix(SUFFIX)
            .rand_bytes(RANDOM)
            .tempfile_in(&directory)
            .expect("a new name");
        let name = unfinished.path().file_name().expect("a name").as_bytes();
        assert!(file.is_unfinished(name), "{unfinished:?}");
    }
}
