//! The names to send, from the command line and from standard input.

use std::ffi::OsString;
use std::io::{self, BufRead, Read};
use std::vec;

use hello_proto::{MAX_NAME_LEN, NameTooLong, Request};
use thiserror::Error;

/// A name cannot be sent.
#[derive(Debug, Error)]
pub enum NameError {
    /// It is too long. The next names are unaffected.
    #[error(transparent)]
    TooLong(#[from] NameTooLong),
    /// Standard input cannot be read.
    #[error("cannot read names from standard input")]
    Read(#[from] io::Error),
}

/// The names of the command line, with each `-` replaced by the lines of an input.
#[derive(Debug)]
pub struct Names<R> {
    arguments: vec::IntoIter<OsString>,
    input: R,
    /// Whether the input stands in the place of the last argument.
    is_reading: bool,
}

/// The names that were not taken yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rest {
    /// The number of names on the command line.
    pub names: u64,
    /// Whether the input may have more.
    pub input: bool,
}

impl<R: BufRead> Names<R> {
    /// Creates an iterator over names.
    pub fn new(arguments: Vec<OsString>, input: R) -> Self {
        Self { arguments: arguments.into_iter(), input, is_reading: false }
    }

    /// Returns what was not taken yet.
    pub fn rest(&self) -> Rest {
        let inputs = self.arguments.as_slice().iter().filter(|argument| *argument == "-").count();
        let names = (self.arguments.len() - inputs) as u64;
        Rest { names, input: self.is_reading || inputs > 0 }
    }
}

impl<R: BufRead> Iterator for Names<R> {
    type Item = Result<Vec<u8>, NameError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.is_reading {
                match line(&mut self.input) {
                    Ok(Some(name)) => return Some(name.map_err(NameError::from)),
                    Ok(None) => self.is_reading = false,
                    Err(error) => {
                        self.is_reading = false;
                        return Some(Err(error.into()));
                    }
                }
            }
            let argument = self.arguments.next()?;
            if argument == "-" {
                self.is_reading = true;
            } else {
                return Some(checked(argument.as_encoded_bytes().to_vec()));
            }
        }
    }
}

fn checked(name: Vec<u8>) -> Result<Vec<u8>, NameError> {
    Request::new(&name)?;
    Ok(name)
}

/// Reads one line without its end, which is `\n` or `\r\n`; `None` at the end. A line that is too
/// long for a name is not kept in memory.
fn line(input: &mut impl BufRead) -> io::Result<Option<Result<Vec<u8>, NameTooLong>>> {
    let (mut name, mut chunk, max) = (Vec::new(), Vec::new(), MAX_NAME_LEN);
    // The longest name and its end.
    let mut len = read_chunk(input, &mut name, max + 2)?;
    if len == 0 {
        return Ok(None);
    }
    let mut end = last_two(&name);
    while !end.ends_with(b"\n") {
        chunk.clear();
        match read_chunk(input, &mut chunk, max)? {
            0 => break,
            read => len += read,
        }
        end = last_two(&[&end[..], &chunk[..]].concat());
    }
    len -= match &end[..] {
        b"\r\n" => 2,
        [.., b'\n'] => 1,
        _ => 0,
    };
    name.truncate(len);
    Ok(Some(if len > max { Err(NameTooLong { len, max }) } else { Ok(name) }))
}

/// Reads the rest of a line with its line feed, but at most `max` bytes. Returns their number.
fn read_chunk(input: &mut impl BufRead, bytes: &mut Vec<u8>, max: usize) -> io::Result<usize> {
    input.by_ref().take(max as u64).read_until(b'\n', bytes)
}

fn last_two(bytes: &[u8]) -> Vec<u8> {
    bytes[bytes.len().saturating_sub(2)..].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the names; for those that are too long, their lengths.
    fn read(arguments: &[&str], mut input: &[u8]) -> Vec<Result<Vec<u8>, usize>> {
        let arguments = arguments.iter().map(OsString::from).collect();
        let names = Names::new(arguments, &mut input).map(|name| {
            name.map_err(|error| match error {
                NameError::TooLong(NameTooLong { len, .. }) => len,
                NameError::Read(error) => panic!("{error}"),
            })
        });
        names.collect()
    }

    fn name(name: &[u8]) -> Result<Vec<u8>, usize> {
        Ok(name.to_vec())
    }

    #[test]
    fn lines_replace_the_dash() {
        let names = read(&["Alice", "-", "Bob", "-"], b"one\ntwo\n");
        assert_eq!(names, [name(b"Alice"), name(b"one"), name(b"two"), name(b"Bob")]);
    }

    #[test]
    fn line_may_contain_any_byte_but_a_newline() {
        let names = read(&["-"], b"\n \n-\n\xff\0\nno newline at the end");
        let expected: [&[u8]; 5] = [b"", b" ", b"-", b"\xff\0", b"no newline at the end"];
        assert_eq!(names, expected.map(name));
    }

    #[test]
    fn carriage_return_belongs_to_the_name_except_before_a_line_feed() {
        let names = read(&["-"], b"one\r\n\r\nt\rwo\r\r\n\rthree\r");
        let expected: [&[u8]; 4] = [b"one", b"", b"t\rwo\r", b"\rthree\r"];
        assert_eq!(names, expected.map(name));
    }

    #[test]
    fn empty_input_has_no_names() {
        assert_eq!(read(&["-"], b""), []);
    }

    #[test]
    fn overlong_name_is_measured_and_no_other_is_lost() {
        let longest = vec![b'x'; MAX_NAME_LEN];
        for extra in [1, 2, 10_000_000] {
            let too_long = vec![b'y'; MAX_NAME_LEN + extra];
            let input = [&longest[..], &too_long, b"next", &too_long].join(&b'\n');
            let expected =
                [name(&longest), Err(too_long.len()), name(b"next"), Err(too_long.len())];
            assert_eq!(read(&["-"], &input), expected);
            let input = [&longest[..], &too_long, b"next", &too_long, b""].join(&b"\r\n"[..]);
            assert_eq!(read(&["-"], &input), expected);
        }
        let argument = "z".repeat(MAX_NAME_LEN + 1);
        assert_eq!(read(&[&argument, "next"], b""), [Err(MAX_NAME_LEN + 1), name(b"next")]);
    }

    #[test]
    fn unreadable_input_is_reported_once() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::IsADirectory.into())
            }
        }
        let arguments = Vec::from(["-", "Bob"].map(OsString::from));
        let mut names = Names::new(arguments, io::BufReader::new(Broken));
        assert!(matches!(names.next(), Some(Err(NameError::Read(_)))));
        assert!(matches!(names.next(), Some(Ok(name)) if name == b"Bob"));
        assert!(names.next().is_none());
    }

    #[test]
    fn rest_is_what_was_not_taken() {
        let arguments = Vec::from(["Alice", "-", "Bob"].map(OsString::from));
        let mut names = Names::new(arguments, &b"one\n"[..]);
        let mut rests = vec![names.rest()];
        while names.next().is_some() {
            rests.push(names.rest());
        }
        let rest = |names, input| Rest { names, input };
        assert_eq!(rests, [rest(2, true), rest(1, true), rest(1, true), rest(0, false)]);
    }
}
