//! The targets file: plain text, or JSON or YAML as Prometheus' file-based service discovery has it.

mod file_sd;
mod plain;

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

use crate::args::endpoint::Endpoint;
use crate::args::resolve::ResolveArgs;
use crate::output::escape::Escaped;
use crate::ping::args::is_multicast_or_broadcast;
use crate::ping::output::metrics::check_label;
use crate::process::exit::error_chain;

/// A target in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// `HOST:PORT`. An address is written as the tools print it.
    pub name: String,
    /// Where the addresses come from.
    pub addresses: Addresses,
    /// The labels, with names that are valid and not ours.
    pub labels: Arc<[(String, String)]>,
    /// Its line in the file.
    pub line: usize,
}

/// Where the addresses of an entry come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Addresses {
    /// The file has the address.
    Given(SocketAddr),
    /// One of those that the name has.
    One(Endpoint),
    /// All that the name has, each a target of its own (`dns+NAME:PORT`).
    All(Endpoint),
}

/// The text of an entry, before its meaning is checked.
#[derive(Debug, Default, PartialEq, Eq)]
struct Raw {
    target: String,
    labels: Arc<[(String, String)]>,
    line: usize,
}

/// The prefix of a name that stands for all its addresses.
const ALL_ADDRESSES: &str = "dns+";

/// The largest file, in bytes. It has room for more targets than a fleet.
const MAX_SIZE: u64 = 16 << 20;

/// The longest target, in bytes. A name has 255 at most.
const MAX_TARGET: usize = 512;

/// The longest labels of a target, in bytes, with their names.
const MAX_LABELS: usize = 4096;

/// Reads a targets file. Targets without a port have that of `hosts`.
///
/// # Errors
///
/// If the file cannot be read, or an entry is wrong: with its line, and what to do.
pub fn read(path: &Path, hosts: ResolveArgs) -> Result<Vec<Entry>, FileError> {
    let text = text(path).map_err(|source| FileError::Read { path: path.into(), source })?;
    let extension = path.extension().and_then(|extension| extension.to_str());
    let parsed = match extension.unwrap_or_default() {
        "json" | "yaml" | "yml" => file_sd::parse(&text),
        _ => plain::parse(&text),
    };
    let checked = parsed.and_then(|raw| check(raw, hosts));
    checked.map_err(|LineError { line, why }| FileError::Line { path: path.into(), line, why })
}

/// Reads a targets file again, while targets are probed.
///
/// # Errors
///
/// As for [`read`], and if it is no regular file: a pipe could block, and has its text only once.
pub fn read_again(path: &Path, hosts: ResolveArgs) -> Result<Vec<Entry>, FileError> {
    let is_file = fs::metadata(path).and_then(|metadata| match metadata.is_file() {
        true => Ok(()),
        false => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a regular file, which alone can be read again",
        )),
    });
    is_file.map_err(|source| FileError::Read { path: path.into(), source })?;
    read(path, hosts)
}

/// Reads a text of a bounded size. The size that the system reports is zero for a pipe or a device.
fn text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    // Bytes are counted before they are checked, so a device of endless nonsense ends here, too.
    let mut file = fs::File::open(path)?.take(MAX_SIZE + 1);
    let read = file.read_to_string(&mut text);
    if file.limit() == 0 {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "more than 16 MiB"));
    }
    read.map(|_| text)
}

/// Checks what the entries mean. No name is looked up.
fn check(raw: Vec<Raw>, hosts: ResolveArgs) -> Result<Vec<Entry>, LineError> {
    let mut entries = Vec::with_capacity(raw.len());
    let mut lines = HashMap::new();
    for raw in raw {
        let line = raw.line;
        let entry = entry(raw, hosts).map_err(|why| LineError { line, why })?;
        let is_all = matches!(entry.addresses, Addresses::All(_));
        if let Some(first) = lines.insert((entry.name.clone(), is_all), line) {
            let name = Escaped(entry.name.as_bytes());
            let why = format!("duplicate target {name}, which line {first} has: remove one");
            return Err(LineError { line, why });
        }
        entries.push(entry);
    }
    Ok(entries)
}

fn entry(raw: Raw, hosts: ResolveArgs) -> Result<Entry, String> {
    let Raw { target, labels, line } = raw;
    // Nothing longer is a name, and each of many series has the labels. Neither is printed.
    if target.len() > MAX_TARGET {
        return Err(format!("a target of more than {MAX_TARGET} bytes: write HOST:PORT"));
    }
    if labels.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > MAX_LABELS {
        return Err(format!("labels of more than {MAX_LABELS} bytes in all: shorten them"));
    }
    for (index, (name, _)) in labels.iter().enumerate() {
        check_label(name).map_err(|error| error.to_string())?;
        if labels[..index].iter().any(|(other, _)| other == name) {
            return Err(format!("label {name} is there twice: remove one"));
        }
    }
    let (text, is_all) = match target.strip_prefix(ALL_ADDRESSES) {
        Some(name) => (name, true),
        None => (&*target, false),
    };
    let wrong = |error: String| format!("target {target:?}: {error}");
    let endpoint = Endpoint::parse_destination(text).map_err(|error| wrong(error.to_string()))?;
    if !endpoint.is_address() {
        let name = hosts.name(&endpoint);
        let addresses = if is_all { Addresses::All(endpoint) } else { Addresses::One(endpoint) };
        return Ok(Entry { name, addresses, labels, line });
    }
    if is_all {
        return Err(wrong("an address has no others: leave out dns+".into()));
    }
    let host = hosts.resolve(&endpoint).map_err(|error| wrong(error_chain(&error)))?;
    let address = host.addresses[0];
    if is_multicast_or_broadcast(address.ip()) {
        return Err(wrong("a multicast or broadcast address; probe one host".into()));
    }
    Ok(Entry { name: host.name, addresses: Addresses::Given(address), labels, line })
}

/// What is wrong with a line.
#[derive(Debug, PartialEq, Eq)]
struct LineError {
    line: usize,
    why: String,
}

/// The targets file cannot be used.
#[derive(Debug, Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("cannot read the targets file {path:?}")]
    Read {
        /// Its path.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A line is wrong.
    #[error("{}:{line}: {why}", Escaped(path.as_os_str().as_encoded_bytes()))]
    Line {
        /// Its path.
        path: PathBuf,
        /// The number of the line, from 1.
        line: usize,
        /// What is wrong, and what to do.
        why: String,
    },
    /// The targets share a host that would get too many probes.
    #[error("{}: {why}", Escaped(path.as_os_str().as_encoded_bytes()))]
    Rate {
        /// Its path.
        path: PathBuf,
        /// What to do.
        why: String,
    },
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Tool {
        #[command(flatten)]
        hosts: ResolveArgs,
    }

    fn checked(targets: &[&str]) -> Result<Vec<Entry>, LineError> {
        let raw = (1..).zip(targets).map(|(line, target)| Raw {
            target: (*target).into(),
            line,
            ..Raw::default()
        });
        check(raw.collect(), Tool::parse_from(["tool", "-p", "7"]).hosts)
    }

    #[test]
    fn entries_are_addresses_names_or_all_addresses_of_a_name() {
        let targets = ["192.0.2.1", "[0:0::1]:8", "host.test", "dns+host.test", "dns+host.test:8"];
        let entries = checked(&targets).expect("targets");
        let names = Vec::from_iter(entries.iter().map(|entry| &*entry.name));
        assert_eq!(names, ["192.0.2.1:7", "[::1]:8", "host.test:7", "host.test:7", "host.test:8"]);
        assert_eq!(entries[0].addresses, Addresses::Given(([192, 0, 2, 1], 7).into()));
        assert!(matches!(&entries[2].addresses, Addresses::One(_)));
        assert!(matches!(&entries[3].addresses, Addresses::All(_)));
    }

    #[test]
    fn wrong_entry_is_named_with_its_line_and_advice() {
        for (targets, line, why) in [
            (&["a:1", "a:b:1"][..], 2, "target \"a:b:1\": invalid host \"a:b\": write HOST:PORT"),
            (&["192.0.2.1:0"], 1, "target \"192.0.2.1:0\": port 0 is not a valid destination"),
            (&["dns+192.0.2.1:1"], 1, "target \"dns+192.0.2.1:1\": an address has no others"),
            (&["224.0.0.1:1"], 1, "target \"224.0.0.1:1\": a multicast or broadcast address"),
            (&["fe80::1"], 1, "target \"fe80::1\": fe80::1 is a link-local address: add its"),
            (&["a:1", "b:1", "a:1"], 3, "duplicate target a:1, which line 1 has: remove one"),
            (&["192.0.2.1", "192.0.2.1:7"], 2, "duplicate target 192.0.2.1:7, which line 1 has"),
        ] {
            let error = checked(targets).expect_err(why);
            assert_eq!(error.line, line, "{}", error.why);
            assert!(error.why.starts_with(why), "{}", error.why);
        }
    }

    #[test]
    fn labels_are_valid_and_not_ours() {
        let with = |labels: &[&str]| {
            let labels = labels.iter().map(|name| ((*name).to_owned(), "x".to_owned())).collect();
            let raw = Raw { target: "a:1".into(), labels, line: 4 };
            check(vec![raw], Tool::parse_from(["tool"]).hosts).map(drop)
        };
        assert_eq!(with(&["site", "rack"]), Ok(()));
        for (labels, why) in [
            (&["site", "site"][..], "label site is there twice"),
            (&["target"], "the metrics have the label target already"),
            (&["a-b"], "\"a-b\" is not a valid label name"),
        ] {
            let error = with(labels).expect_err(why);
            assert!(error.line == 4 && error.why.starts_with(why), "{}", error.why);
        }
    }

    #[test]
    fn targets_and_labels_are_bounded_and_not_printed_if_they_are_longer() {
        let with = |target: &str, value: &str| {
            let labels = [("site".to_owned(), value.to_owned())].into();
            let raw = Raw { target: target.into(), labels, line: 4 };
            check(vec![raw], Tool::parse_from(["tool"]).hosts).map(drop)
        };
        let longest = "x".repeat(MAX_LABELS - "site".len());
        assert_eq!(with("a:1", &longest), Ok(()));
        let why = with("a:1", &format!("{longest}x")).expect_err("too long").why;
        assert_eq!(why, "labels of more than 4096 bytes in all: shorten them");
        let why = with(&"a".repeat(MAX_TARGET + 1), "x").expect_err("too long").why;
        assert_eq!(why, "a target of more than 512 bytes: write HOST:PORT");
    }

    #[cfg(unix)]
    #[test]
    fn endless_device_is_too_large_and_what_is_no_file_is_not_read_again() {
        let hosts = || Tool::parse_from(["tool"]).hosts;
        let error = read(Path::new("/dev/zero"), hosts()).expect_err("endless");
        assert!(error_chain(&error).ends_with("more than 16 MiB"), "{}", error_chain(&error));
        assert_eq!(read(Path::new("/dev/null"), hosts()).expect("empty"), []);
        for path in ["/dev/null", "/"] {
            let error = error_chain(&read_again(Path::new(path), hosts()).expect_err(path));
            assert!(error.contains("not a regular file"), "{error}");
        }
    }

    #[test]
    fn format_is_that_of_the_extension() {
        let directory = tempfile::tempdir().expect("a directory");
        for (name, text, count) in [
            ("a.txt", "a:1\n[::1]:2\n", 2),
            ("a", "a:1\n", 1),
            ("a.json", "[{\"targets\": [\"a:1\"]}]", 1),
            ("a.yml", "- targets: [a:1, b:1]\n", 2),
            ("a.yaml", "- targets:\n  - a:1\n", 1),
        ] {
            let path = directory.path().join(name);
            fs::write(&path, text).expect("written");
            let entries = read(&path, Tool::parse_from(["tool"]).hosts).expect(name);
            assert_eq!(entries.len(), count, "{name}");
        }
        let path = directory.path().join("none");
        let error = read(&path, Tool::parse_from(["tool"]).hosts).expect_err("no file");
        assert!(error_chain(&error).starts_with("cannot read the targets file"), "{error}");
        fs::write(&path, "a:1\n\n- targets:\n").expect("written");
        let error = read(&path, Tool::parse_from(["tool"]).hosts).expect_err("not plain");
        assert!(error.to_string().contains("/none:3: "), "{error}");
    }
}
