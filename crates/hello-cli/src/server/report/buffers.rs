//! The sizes of the socket buffers, as they are reported.

use std::net::SocketAddr;

use crate::output::Format;

/// The sizes of a server's socket buffers.
#[derive(Clone, Copy, Debug)]
pub struct Buffers {
    /// For datagrams that were not received yet.
    pub receive: Buffer,
    /// For replies that have not left yet.
    pub send: Buffer,
}

/// The size of a socket buffer, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Buffer {
    /// As it was asked for.
    pub asked: usize,
    /// Whether that is only the default.
    pub is_default: bool,
    /// As the system has it. Linux doubles what is asked for, to have room for its own bookkeeping
    /// (SO_RCVBUF, socket(7)).
    pub given: usize,
}

impl Buffer {
    /// Returns whether the system gave less than was asked for.
    pub fn is_short(self) -> bool {
        let share = if cfg!(target_os = "linux") { self.given / 2 } else { self.given };
        share < self.asked
    }
}

impl Buffers {
    /// Returns what to print about the buffers, below the addresses: what the system gave, and what a
    /// smaller one than asked for means. A server that only this machine can reach has none of these
    /// problems; JSON has the sizes beside each address.
    pub fn lines(&self, format: Format, addresses: &[SocketAddr]) -> Vec<String> {
        let is_local = addresses.iter().all(|address| address.ip().to_canonical().is_loopback());
        let is_default = self.receive.is_default && self.send.is_default;
        if format == Format::Json || is_local && is_default {
            return Vec::new();
        }
        let Self { receive, send } = self;
        let sizes = format!(
            "receive buffer {} bytes, send buffer {} bytes, for each socket",
            receive.given, send.given
        );
        let short = |buffer: &Buffer, what, option, sysctl, risk| {
            buffer.is_short().then(|| {
                format!(
                    "warning: the {what} buffer is smaller than the {} bytes asked for ({option}), \
                     so {risk}: on Linux, raise {sysctl} or give it CAP_NET_ADMIN",
                    buffer.asked
                )
            })
        };
        let bursts = "a burst or a flood costs others their requests";
        let neighbours = "requests in the name of absent neighbours can cost others their replies";
        let warnings = [
            short(receive, "receive", "--receive-buffer", "net.core.rmem_max", bursts),
            short(send, "send", "--send-buffer", "net.core.wmem_max", neighbours),
        ];
        [Some(sizes)].into_iter().chain(warnings).flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_smaller_than_asked_for_are_a_warning_that_names_the_limit() {
        let enough = Buffer { asked: 2048, is_default: true, given: 4096 };
        let short = Buffer { asked: 8192, ..enough };
        let address = [SocketAddr::from(([192, 0, 2, 1], 9999))];
        let lines = |receive, send| Buffers { receive, send }.lines(Format::Text, &address);
        let sizes = "receive buffer 4096 bytes, send buffer 4096 bytes, for each socket";
        assert_eq!(lines(enough, enough), [sizes]);
        if cfg!(target_os = "linux") {
            let warned = lines(short, short);
            assert_eq!(warned[0], sizes);
            for (line, limit) in warned[1..].iter().zip(["net.core.rmem_max", "net.core.wmem_max"])
            {
                assert!(line.starts_with("warning: ") && line.contains(limit), "{line}");
                assert!(line.contains("8192 bytes asked for"), "{line}");
            }
            assert_eq!(warned.len(), 3);
        }
    }

    #[test]
    fn on_the_loopback_default_buffers_are_not_mentioned() {
        let buffer = Buffer { asked: 8192, is_default: true, given: 4096 };
        let (loopback, anywhere) = ([127, 0, 0, 1], [0, 0, 0, 0]);
        for (addresses, is_default, format, lines) in [
            (&[loopback][..], true, Format::Text, 0),
            (&[loopback], false, Format::Text, 3),
            (&[loopback, anywhere], true, Format::Text, 3),
            (&[anywhere], true, Format::Json, 0),
        ] {
            let addresses = Vec::from_iter(addresses.iter().map(|ip| (*ip, 9999).into()));
            let receive = Buffer { is_default, ..buffer };
            let buffers = Buffers { receive, send: buffer };
            assert_eq!(buffers.lines(format, &addresses).len(), lines, "{addresses:?}");
        }
    }
}
