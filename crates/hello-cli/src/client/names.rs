//! The names to send, from the command line and from standard input.

use std::ffi::OsString;
use std::io::{self, BufRead, Read};
use std::iter;

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

/// Yields the names of the command line, with each `-` replaced by the lines of `input`.
pub fn read_names<'a>(
    arguments: &'a [OsString],
    input: &'a mut impl BufRead,
) -> impl Iterator<Item = Result<Vec<u8>, NameError>> + 'a {
    let mut arguments = arguments.iter();
    let mut reading = false;
    iter::from_fn(move || {
        loop {
            if reading {
                match line(input) {
                    Ok(Some(name)) => return Some(name.map_err(NameError::from)),
                    Ok(None) => reading = false,
                    Err(error) => {
                        reading = false;
                        return Some(Err(error.into()));
                    }
                }
            }
            let argument = arguments.next()?;
            if argument == "-" {
                reading = true;
            } else {
                return Some(checked(argument.as_encoded_bytes().to_vec()));
            }
        }
    })
}

fn checked(name: Vec<u8>) -> Result<Vec<u8>, NameError> {
    Request::new(&name)?;
    Ok(name)
}

/// Reads one line without its newline; `None` at the end. A line that is too long for a name is not
/// kept in memory.
fn line(input: &mut impl BufRead) -> io::Result<Option<Result<Vec<u8>, NameTooLong>>> {
    let mut name = Vec::new();
    let mut last = read_chunk(input, &mut name)?;
    if last == Chunk::Nothing {
        return Ok(None);
    }
    let (mut len, max) = (name.len(), MAX_NAME_LEN);
    while last == Chunk::More {
        last = read_chunk(input, &mut name)?;
        len += name.len();
    }
    Ok(Some(if len > max { Err(NameTooLong { len, max }) } else { Ok(name) }))
}

#[derive(PartialEq)]
enum Chunk {
    /// The input has ended.
    Nothing,
    /// The end of a line.
    Last,
    /// A part of a line that continues.
    More,
}

/// Reads the rest of a line, up to one byte more than a name may have.
fn read_chunk(input: &mut impl BufRead, bytes: &mut Vec<u8>) -> io::Result<Chunk> {
    bytes.clear();
    let read = input.by_ref().take(MAX_NAME_LEN as u64 + 1).read_until(b'\n', bytes)?;
    let newline = bytes.pop_if(|byte| *byte == b'\n').is_some();
    Ok(match read {
        0 => Chunk::Nothing,
        _ if newline || read <= MAX_NAME_LEN => Chunk::Last,
        _ => Chunk::More,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the names; for those that are too long, their lengths.
    fn read(arguments: &[&str], mut input: &[u8]) -> Vec<Result<Vec<u8>, usize>> {
        let arguments: Vec<_> = arguments.iter().map(OsString::from).collect();
        let names = read_names(&arguments, &mut input).map(|name| {
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
        let names = read(&["-"], b"\n \n-\ncarriage\r\n\xff\0\nno newline at the end");
        let expected: [&[u8]; 6] =
            [b"", b" ", b"-", b"carriage\r", b"\xff\0", b"no newline at the end"];
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
        let arguments = ["-", "Bob"].map(OsString::from);
        let mut input = io::BufReader::new(Broken);
        let mut names = read_names(&arguments, &mut input);
        assert!(matches!(names.next(), Some(Err(NameError::Read(_)))));
        assert!(matches!(names.next(), Some(Ok(name)) if name == b"Bob"));
        assert!(names.next().is_none());
    }
}
