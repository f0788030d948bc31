use std::iter;
use std::net::SocketAddr;
use std::time::Duration;

use hello_proto::{OVERHEAD, PREFIX, Peer, SUFFIX, Token};

/// A UDP datagram in a capture.
///
/// ```
/// use std::time::Duration;
/// use hello_measure::CapturedDatagram;
///
/// let datagram = CapturedDatagram {
///     at: Duration::from_secs(1),
///     source: ([192, 0, 2, 1], 50_000).into(),
///     destination: ([192, 0, 2, 2], 9999).into(),
///     payload: b"AAAAAAAB",
///     len: 16,
///     is_fragment: false,
///     is_outgoing: None,
///     ttl: Some(64),
/// };
/// assert!(datagram.is_cut());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapturedDatagram<'a> {
    /// The time of the capture's clock, since any origin.
    pub at: Duration,
    /// The address it came from.
    pub source: SocketAddr,
    /// The address it goes to.
    pub destination: SocketAddr,
    /// The bytes of the payload that were captured.
    pub payload: &'a [u8],
    /// The length of the whole payload, in bytes, by the UDP header (RFC 768).
    pub len: usize,
    /// Whether this is the first fragment of a longer packet.
    pub is_fragment: bool,
    /// Whether the machine of the capture sent it; `None` if the capture does not say so.
    pub is_outgoing: Option<bool>,
    /// The TTL or hop limit in its header; `None` if it is not known. Those of the replies show whether the
    /// capture was taken at the server.
    pub ttl: Option<u8>,
}

impl CapturedDatagram<'_> {
    /// Returns whether bytes of the payload are missing.
    pub fn is_cut(&self) -> bool {
        self.payload.len() < self.len
    }

    /// Yields the names of a run in the payload. Several datagrams of one flow can be one packet of a
    /// capture (UDP_GRO, UDP_SEGMENT; udp(7)), so the payload holds one or several of equal length.
    pub(super) fn names(&self, peer: Peer, name_len: usize) -> impl Iterator<Item = Name> {
        let form = self.form(peer);
        let unit = match form {
            Some(Form::Reply) => name_len + OVERHEAD,
            _ => name_len,
        };
        let parts = if unit == 0 || !self.len.is_multiple_of(unit) { 0 } else { self.len / unit };
        let (payload, whole) = (self.payload, self.len);
        let is_unclear = self.is_cut() && form.is_none() && self.may_be_of(peer, name_len);
        let mut cut = is_unclear;
        let named = (0..parts).map_while(move |part| {
            let form = form?;
            if cut {
                return None;
            }
            let (start, end) = (part * unit, (part + 1) * unit);
            let bytes = payload.get(start..payload.len().min(end)).unwrap_or_default();
            let needed = match form {
                Form::Reply => PREFIX.len() + Token::MIN_LEN,
                Form::Request | Form::Unclear => Token::MIN_LEN,
            };
            if bytes.len() < needed.min(unit) && end <= whole {
                cut = true;
                return Some(Name::Cut);
            }
            Some(token(form, bytes, name_len).map_or(Name::Foreign, |token| Name::Of(form, token)))
        });
        iter::once(Name::Cut).filter(move |_| is_unclear).chain(named)
    }

    /// Returns which side sent the payload; `None` if it cannot be of a run.
    fn form(&self, peer: Peer) -> Option<Form> {
        let has_token = self.payload.get(..Token::MIN_LEN).and_then(Token::decode).is_some();
        match peer {
            Peer::Echo => has_token.then_some(Form::Unclear),
            Peer::Hello if self.payload.starts_with(PREFIX) => Some(Form::Reply),
            Peer::Hello => has_token.then_some(Form::Request),
        }
    }

    /// Returns whether a payload cut before its token may be one of a run.
    fn may_be_of(&self, peer: Peer, name_len: usize) -> bool {
        let of = |unit: usize| unit > 0 && self.len.is_multiple_of(unit);
        self.payload.len() < Token::MIN_LEN
            && (of(name_len) || (peer == Peer::Hello && of(name_len + OVERHEAD)))
    }
}

/// One datagram's worth of a captured payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// It has a token.
    Of(Form, Token),
    /// It has none.
    Foreign,
    /// It is cut before the end of a token.
    Cut,
}

/// Which side sends a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// The prober.
    Request,
    /// The server.
    Reply,
    /// Either of them: an echo server returns what it received.
    Unclear,
}

/// Reads the token of a datagram, which may be cut behind it.
fn token(form: Form, bytes: &[u8], name_len: usize) -> Option<Token> {
    let name = match form {
        Form::Request | Form::Unclear => bytes,
        Form::Reply => {
            let name = bytes.strip_prefix(PREFIX)?;
            let (name, rest) = name.split_at(name.len().min(name_len));
            if !rest.is_empty() && rest != SUFFIX {
                return None;
            }
            name
        }
    };
    Token::decode(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEN: usize = 16;

    fn name(seq: u32) -> [u8; LEN] {
        let mut name = [0; LEN];
        Token { run_id: 7, seq }.encode(&mut name).expect("room");
        name
    }

    fn names(peer: Peer, payload: &[u8], len: usize) -> Vec<Name> {
        let address = ([192, 0, 2, 1], 9).into();
        let datagram = CapturedDatagram {
            at: Duration::ZERO,
            source: address,
            destination: address,
            payload,
            len,
            is_fragment: false,
            is_outgoing: None,
            ttl: None,
        };
        datagram.names(peer, LEN).collect()
    }

    fn of(form: Form, seq: u32) -> Name {
        Name::Of(form, Token { run_id: 7, seq })
    }

    #[test]
    fn requests_and_replies_are_told_apart_also_in_trains() {
        let reply = |seq| [PREFIX, &name(seq), SUFFIX].concat();
        for (peer, payload, expected) in [
            (Peer::Hello, name(1).to_vec(), vec![of(Form::Request, 1)]),
            (Peer::Hello, reply(1), vec![of(Form::Reply, 1)]),
            (Peer::Echo, name(1).to_vec(), vec![of(Form::Unclear, 1)]),
            // Three requests are as long as two replies.
            (
                Peer::Hello,
                [name(1), name(2), name(3)].concat(),
                Vec::from([1, 2, 3].map(|seq| of(Form::Request, seq))),
            ),
            (
                Peer::Hello,
                [reply(1), reply(2)].concat(),
                Vec::from([1, 2].map(|seq| of(Form::Reply, seq))),
            ),
            (Peer::Hello, b"Hello, nobody at all, no".to_vec(), vec![Name::Foreign]),
            (Peer::Hello, b"something of this".to_vec(), vec![]),
            (Peer::Hello, vec![], vec![]),
        ] {
            assert_eq!(names(peer, &payload, payload.len()), expected, "{payload:?}");
        }
    }

    #[test]
    fn cut_payload_has_its_token_or_says_that_it_may_have_one() {
        let (request, reply) = (name(1), [PREFIX, &name(1), SUFFIX].concat());
        for cut in 0..request.len() {
            let expected = if cut < 8 { Name::Cut } else { of(Form::Request, 1) };
            assert_eq!(names(Peer::Hello, &request[..cut], request.len()), [expected], "{cut}");
        }
        for cut in 0..reply.len() {
            let expected = if cut < 15 { Name::Cut } else { of(Form::Reply, 1) };
            assert_eq!(names(Peer::Hello, &reply[..cut], reply.len()), [expected], "{cut}");
        }
        let train = [name(1), name(2)].concat();
        assert_eq!(names(Peer::Hello, &train[..20], 32), [of(Form::Request, 1), Name::Cut]);
        assert_eq!(names(Peer::Hello, b"", 17), [], "no such length");
    }
}
