//! The tables of `docs/protocol.md`, row by row, against the code.

use hello_proto::{DEFAULT_PORT, Guard, MAX_DATAGRAM_LEN, MAX_NAME_LEN, OVERHEAD};
use hello_proto::{Refusal, Reply, Request, Token};

const PROTOCOL: &str = include_str!("../../../docs/protocol.md");

#[test]
fn documented_limits_match_the_constants() {
    let documented = rows("### Limits")
        .map(|[constant, value, _]| (constant.trim_matches('`'), value.parse().expect("a number")));
    let constants = [
        ("DEFAULT_PORT", usize::from(DEFAULT_PORT)),
        ("OVERHEAD", OVERHEAD),
        ("MAX_DATAGRAM_LEN", MAX_DATAGRAM_LEN),
        ("MAX_NAME_LEN", MAX_NAME_LEN),
        ("Guard::DEFAULT_MAX_NAME_LEN", Guard::DEFAULT_MAX_NAME_LEN),
    ];
    assert_eq!(Vec::from_iter(documented), constants);
}

#[test]
fn documented_requests_have_the_documented_replies() {
    for [what, request, reply] in rows("### Replies") {
        let (request, reply) = (bytes(request), bytes(reply));
        let decoded = Request::decode(&request).expect(what);
        let mut buf = vec![0xa5; reply.len()];
        assert_eq!(decoded.reply().encode(&mut buf), Ok(&reply[..]), "{what}");
        assert_eq!(Reply::decode(&reply), Ok(decoded.reply()), "{what}");
    }
}

#[test]
fn documented_invalid_datagrams_have_the_documented_errors() {
    for [datagram, error] in rows("### Not replies") {
        let datagram = bytes(datagram);
        assert_eq!(Reply::decode(&datagram).expect_err(error).to_string(), error);
    }
    for [datagram, error] in rows("### Not requests") {
        let datagram = bytes(datagram);
        assert_eq!(Request::decode(&datagram).expect_err(error).to_string(), error);
    }
}

#[test]
fn guard_agrees_with_the_documented_table() {
    let guard = Guard::new();
    for [source, local, datagram, expected] in rows("### Refusals") {
        let datagram = bytes(datagram);
        let source = source.parse().expect("a source address");
        let local = local.parse().expect("a local address");
        let verdict = guard.check(source, local, &datagram);
        assert_eq!(verdict.map_or_else(Refusal::label, |_| "none"), expected, "{source}");
    }
}

#[test]
fn every_refusal_is_documented_in_order() {
    let documented = rows("## What a server refuses").map(|[label, _]| label.trim_matches('`'));
    assert!(documented.eq(Refusal::ALL.map(Refusal::label)));
}

#[test]
fn documented_tokens_have_the_documented_names() {
    for [run, seq, name] in rows("### Token names") {
        let name = bytes(name);
        let token = Token {
            run_id: run.parse().expect("a run"),
            seq: seq.parse().expect("a sequence number"),
        };
        let mut buf = vec![0xa5; name.len()];
        assert_eq!(token.encode(&mut buf), Ok(()));
        assert_eq!(buf, name);
        assert_eq!(Token::decode(&name), Some(token));
    }
}

/// Yields the rows of the first table below a heading, cell by cell.
fn rows<const N: usize>(heading: &str) -> impl Iterator<Item = [&'static str; N]> {
    let mut lines = PROTOCOL.lines();
    assert!(lines.any(|line| line == heading), "docs/protocol.md has no {heading:?}");
    let table = lines.skip_while(|line| !line.starts_with('|')).skip(2);
    let rows: Vec<_> = table.take_while(|line| line.starts_with('|')).map(cells).collect();
    assert!(!rows.is_empty(), "the table below {heading:?} is empty");
    rows.into_iter()
}

fn cells<const N: usize>(row: &'static str) -> [&'static str; N] {
    let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
    cells.try_into().unwrap_or_else(|_| panic!("not {N} cells: {row}"))
}

/// Reads hexadecimal digits, with `61*1016` for 1,016 times the byte 61.
fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in text.split_whitespace() {
        let (digits, times) = word.split_once('*').unwrap_or((word, "1"));
        let word = digits.as_bytes().chunks(2).map(|pair| {
            let pair = std::str::from_utf8(pair).expect("ASCII");
            u8::from_str_radix(pair, 16).expect("two hexadecimal digits")
        });
        let word: Vec<u8> = word.collect();
        bytes.extend(word.repeat(times.parse().expect("a count")));
    }
    bytes
}
