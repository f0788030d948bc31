//! The kind of a server, on the command line.

use clap::ValueEnum;
use hello_proto::Peer;
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
