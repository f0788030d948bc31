//! The lines about the sizes of the socket buffers.

use std::net::SocketAddr;

use crate::output::Format;
use crate::sys;

/// The sizes of a server's socket buffers.
#[derive(Clone, Copy, Debug)]
pub struct Buffers {
    /// Of the receive buffer, which holds datagrams not received yet.
    pub receive: Buffer,
    /// Of the send buffer, which holds replies not sent yet.
    pub send: Buffer,
}

/// The size of a socket buffer, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Buffer {
    /// The requested size.
    pub requested: usize,
    /// Whether that is the default.
    pub is_default: bool,
    /// The actual size. Linux doubles the requested one, for its own bookkeeping (SO_RCVBUF,
    /// socket(7)).
    pub actual: usize,
}

impl Buffer {
    /// Returns whether the buffer is smaller than requested.
    pub fn is_short(self) -> bool {
        sys::usable_buffer(self.actual) < self.requested
    }
}

impl Buffers {
    /// Returns the lines about the buffers: their sizes, and a warning for each that is smaller
    /// than requested. There are none for default buffers on the loopback, nor in JSON, which has
    /// the sizes beside each address.
    pub fn lines(&self, format: Format, addresses: &[SocketAddr]) -> Vec<String> {
        let is_local = addresses.iter().all(|address| address.ip().to_canonical().is_loopback());
        let is_default = self.receive.is_default && self.send.is_default;
        if format == Format::Json || is_local && is_default {
            return Vec::new();
        }
        let Self { receive, send } = self;
        let sizes = format!(
            "buffers per socket: receive {} bytes, send {} bytes",
            receive.actual, send.actual
        );
        let short = |buffer: &Buffer, what, option, sysctl, risk| {
            buffer.is_short().then(|| {
                format!(
                    "warning: the {what} buffer is smaller than the {} bytes requested ({option}), \
                     so {risk}: on Linux, raise {sysctl} or grant CAP_NET_ADMIN",
                    buffer.requested
                )
            })
        };
        let bursts = "requests may be dropped in a burst";
        let neighbours = "replies may be dropped while others wait for address resolution";
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
    fn buffer_smaller_than_requested_is_a_warning_with_the_sysctl() {
        let enough = Buffer { requested: 2048, is_default: true, actual: 4096 };
        let short = Buffer { requested: 8192, ..enough };
        let address = [SocketAddr::from(([192, 0, 2, 1], 9999))];
        let lines = |receive, send| Buffers { receive, send }.lines(Format::Text, &address);
        let sizes = "buffers per socket: receive 4096 bytes, send 4096 bytes";
        assert_eq!(lines(enough, enough), [sizes]);
        if cfg!(target_os = "linux") {
            let warned = lines(short, short);
            assert_eq!(warned[0], sizes);
            for (line, limit) in warned[1..].iter().zip(["net.core.rmem_max", "net.core.wmem_max"])
            {
                assert!(line.starts_with("warning: ") && line.contains(limit), "{line}");
                assert!(line.contains("8192 bytes requested"), "{line}");
            }
            assert_eq!(warned.len(), 3);
        }
    }

    #[test]
    fn default_buffers_on_the_loopback_are_not_mentioned() {
        let buffer = Buffer { requested: 8192, is_default: true, actual: 4096 };
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
