//! Notices that the targets file changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Compares what the file system says about a file with what it said before. Symbolic links are followed,
/// so one that is replaced, as in a volume of Kubernetes, is a change, too.
#[derive(Debug)]
pub struct FileWatch {
    path: PathBuf,
    seen: Option<Seen>,
}

/// What changes with the content of a file.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    /// The file itself, not the link to it.
    target: PathBuf,
    len: u64,
    modified: Option<SystemTime>,
    created: Option<SystemTime>,
}

impl FileWatch {
    /// Starts to watch a file. Call this before the file is read, so that no change is missed.
    pub fn new(path: &Path) -> Self {
        Self { path: path.into(), seen: see(path) }
    }

    /// Returns whether the file changed since the last call. One that is gone has not changed: what
    /// replaces it may be about to follow.
    pub fn has_changed(&mut self) -> bool {
        let now = see(&self.path);
        let has_changed = now.is_some() && now != self.seen;
        if has_changed {
            self.seen = now;
        }
        has_changed
    }
}

fn see(path: &Path) -> Option<Seen> {
    let (target, metadata) = (fs::canonicalize(path).ok()?, fs::metadata(path).ok()?);
    Some(Seen {
        target,
        len: metadata.len(),
        modified: metadata.modified().ok(),
        created: metadata.created().ok(),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn file_that_is_written_or_replaced_has_changed_once() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("targets");
        fs::write(&path, "a:1").expect("written");
        let mut watch = FileWatch::new(&path);
        assert!(!watch.has_changed());
        fs::write(&path, "b:12").expect("written");
        assert!(watch.has_changed() && !watch.has_changed());
        let file = fs::File::options().write(true).open(&path).expect("there");
        file.set_modified(SystemTime::now() + Duration::from_secs(5)).expect("our own");
        assert!(watch.has_changed(), "of the same length");
        fs::remove_file(&path).expect("there");
        assert!(!watch.has_changed(), "it may come back");
        fs::write(&path, "b:12").expect("written");
        assert!(watch.has_changed());
    }

    #[cfg(unix)]
    #[test]
    fn link_to_a_directory_that_is_swapped_is_a_change() {
        use std::os::unix::fs::symlink;

        let directory = tempfile::tempdir().expect("a directory");
        let at = |name: &str| directory.path().join(name);
        for version in ["1", "2"] {
            fs::create_dir(at(version)).expect("new");
            fs::write(at(version).join("targets"), "a:1").expect("written");
        }
        symlink("1", at("..data")).expect("new");
        symlink("..data/targets", at("targets")).expect("new");
        let mut watch = FileWatch::new(&at("targets"));
        symlink("2", at("..new")).expect("new");
        fs::rename(at("..new"), at("..data")).expect("atomic");
        assert!(watch.has_changed() && !watch.has_changed());
    }
}
