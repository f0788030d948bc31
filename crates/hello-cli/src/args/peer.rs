//! The kind of a server, on the command line.

use clap::ValueEnum;
use hello_proto::{Peer, Token};
use serde::Serialize;

/// The replies to expect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum PeerArg {
    /// "Hello, NAME!"
    Hello,
    /// The request itself, as from an echo server (RFC 862)
    Echo,
}

impl PeerArg {
    /// Returns the hint to expect the other kind of server.
    pub(crate) const fn hint(self) -> &'static str {
        match self {
            Self::Hello => "if this is an echo server, add --peer echo",
            Self::Echo => "if this is a Hello server, omit --peer echo",
        }
    }

    /// Returns whether a datagram has the form of the other kind of server's reply to a probe, and not
    /// that of this one's.
    pub(crate) fn is_reply_of_other(self, datagram: &[u8]) -> bool {
        let other = match self {
            Self::Hello => Self::Echo,
            Self::Echo => Self::Hello,
        };
        let has_token = |kind: Self| {
            let name = Peer::from(kind).decode_name(datagram);
            name.is_ok_and(|name| Token::decode(name).is_some())
        };
        has_token(other) && !has_token(self)
    }
}

impl From<Peer> for PeerArg {
    fn from(peer: Peer) -> Self {
        match peer {
            Peer::Hello => Self::Hello,
            Peer::Echo => Self::Echo,
        }
    }
}

impl From<PeerArg> for Peer {
    fn from(peer: PeerArg) -> Self {
        match peer {
            PeerArg::Hello => Self::Hello,
            PeerArg::Echo => Self::Echo,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_probe_that_the_other_kind_of_server_returned_is_its_reply() {
        let mut name = [0; 16];
        Token { run_id: 7, seq: 1 }.encode(&mut name).expect("long enough");
        let greeting = [b"Hello, ", &name[..], b"!"].concat();
        for (datagram, of_hello, of_echo) in [
            (&name[..], false, true),
            (&greeting, true, false),
            (b"", false, false),
            (b"garbage", false, false),
            (&greeting[..20], false, false),
        ] {
            assert_eq!(PeerArg::Hello.is_reply_of_other(datagram), of_echo, "{datagram:?}");
            assert_eq!(PeerArg::Echo.is_reply_of_other(datagram), of_hello, "{datagram:?}");
        }
    }
}
