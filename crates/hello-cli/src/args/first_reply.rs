//! The choice among several addresses of a host: the first one that replies.

use std::fmt;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;

use hello_measure::ReplyKind;
use hello_net::{ErrorClass, ProbeError, ProbeEventKind, ProberBuilder, ZonedAddr};
use serde::Serialize;

use super::resolve::Host;
use crate::output::json::as_text;

/// A host, and the address to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The name of the host, `HOST:PORT`.
    pub name: String,
    /// The address that was chosen.
    pub address: ZonedAddr,
    /// The addresses that got a request before the choice, in order. Empty if there is only one.
    pub tried: Vec<Tried>,
}

/// An address of a host, to which one request was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Tried {
    /// The address.
    #[serde(serialize_with = "as_text")]
    pub address: ZonedAddr,
    /// `answered`, `no-answer`, or the label of an error class.
    pub result: &'static str,
}

impl Destination {
    /// Chooses an address of a host: the first that answers one probe, or else the first that a
    /// socket can be connected to. A single address gets no probe.
    ///
    /// Each address has a second to answer, less if the network reports an error.
    ///
    /// # Errors
    ///
    /// The error of the first address if none can be connected to.
    pub(crate) fn choose(host: Host, probes: &ProberBuilder) -> Result<Self, ProbeError> {
        let Host { name, addresses } = host;
        if let [address] = addresses[..] {
            return Ok(Self { name, address: address.into(), tried: Vec::new() });
        }
        let (mut tried, mut usable, mut error) = (Vec::new(), None, None);
        for address in addresses.into_iter().map(ZonedAddr) {
            let result = match probe(address.0, probes) {
                Ok(ANSWERED) => {
                    tried.push(Tried { address, result: ANSWERED });
                    return Ok(Self { name, address, tried });
                }
                Ok(result) => {
                    usable = usable.or(Some(address));
                    result
                }
                Err(failed) => {
                    let result = label(&failed);
                    error = error.or(Some(failed));
                    result
                }
            };
            tried.push(Tried { address, result });
        }
        match error {
            Some(error) if usable.is_none() => Err(error),
            _ => {
                let address = usable.expect("a host has an address");
                Ok(Self { name, address, tried })
            }
        }
    }

    /// Returns a line about the addresses that were passed over, if there are any.
    pub fn notice(&self) -> Option<String> {
        let passed_over = self.tried.iter().filter(|tried| tried.result != ANSWERED);
        let passed_over = Vec::from_iter(passed_over.map(ToString::to_string)).join("; ");
        let Self { name, address, .. } = self;
        (!passed_over.is_empty()).then(|| format!("{name}: {passed_over}; using {address}"))
    }
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let result = match self.result {
            NO_ANSWER => "no reply",
            result if result == ErrorClass::ConnectionRefused.label() => "refused",
            result => result,
        };
        write!(f, "{} {result}", self.address)
    }
}

const ANSWERED: &str = "answered";
const NO_ANSWER: &str = "no-answer";

/// Sends one probe, and waits for its reply or an error.
fn probe(address: SocketAddr, probes: &ProberBuilder) -> Result<&'static str, ProbeError> {
    let prober = probes.clone().count(1).timeout(PATIENCE).connect(address)?;
    let stopper = prober.stopper();
    let result = OnceLock::new();
    prober.run(|event| {
        let found = match event.kind {
            ProbeEventKind::Received { reply: ReplyKind::Answered { .. }, .. } => ANSWERED,
            ProbeEventKind::NetworkError { cause, .. } => cause.kind.label(),
            ProbeEventKind::SocketError(error) => error.class.label(),
            ProbeEventKind::NotSent(reason) => reason.label(),
            _ => return,
        };
        let _ = result.set(found);
        stopper.abort();
    })?;
    Ok(result.into_inner().unwrap_or(NO_ANSWER))
}

/// Returns the label of an error.
fn label(error: &ProbeError) -> &'static str {
    match error {
        ProbeError::Connect { source, .. } | ProbeError::Receive { source, .. } => {
            ErrorClass::of(source).label()
        }
        _ => ErrorClass::Other.label(),
    }
}

/// The time that each address has to answer.
const PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::thread;

    use hello_net::Prober;

    use super::*;

    /// An address with a closed port: nothing else binds this loopback address.
    const CLOSED: ([u8; 4], u16) = ([127, 78, 0, 3], 9);

    fn peer() -> (UdpSocket, SocketAddr) {
        let peer = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let address = peer.local_addr().expect("bound");
        (peer, address)
    }

    fn choose(addresses: &[SocketAddr]) -> Destination {
        let host = Host { name: "localhost:9999".into(), addresses: addresses.to_vec() };
        Destination::choose(host, &Prober::builder()).expect("loopback has a route")
    }

    #[test]
    fn first_address_that_replies_is_chosen_and_the_others_are_named() {
        let (answering, address) = peer();
        let (unused, last) = peer();
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut name = [0; 64];
                let (len, source) = answering.recv_from(&mut name).expect("a probe");
                let reply = [b"Hello, ", &name[..len], b"!"].concat();
                answering.send_to(&reply, source).expect("sent");
            });
            let chosen = choose(&[CLOSED.into(), address, last]);
            assert_eq!(chosen.address, ZonedAddr(address));
            let notice = format!("localhost:9999: 127.78.0.3:9 refused; using {address}");
            assert_eq!(chosen.notice(), Some(notice));
            let results = chosen.tried.iter().map(|tried| tried.result);
            assert_eq!(Vec::from_iter(results), ["refused", "answered"]);
        });
        unused.set_nonblocking(true).expect("possible");
        unused.recv(&mut [0]).expect_err("not tried");
    }

    #[test]
    fn without_a_reply_the_first_address_is_chosen() {
        let (_silent, address) = peer();
        let chosen = choose(&[address, CLOSED.into()]);
        assert_eq!(chosen.address, ZonedAddr(address));
        let tried = format!("{address} no reply; 127.78.0.3:9 refused");
        assert_eq!(chosen.notice(), Some(format!("localhost:9999: {tried}; using {address}")));
    }

    #[test]
    fn address_without_a_route_is_passed_over() {
        let (_silent, address) = peer();
        let broadcast = ([255, 255, 255, 255], 9).into();
        let chosen = choose(&[broadcast, address]);
        assert_eq!(chosen.address, ZonedAddr(address));
        assert_eq!(chosen.tried[0].result, "denied");
        let host = Host { name: "x:9".into(), addresses: vec![broadcast, broadcast] };
        let error = Destination::choose(host, &Prober::builder()).expect_err("no route");
        assert_eq!(error.to_string(), "cannot send to 255.255.255.255:9");
    }

    #[test]
    fn single_address_gets_no_probe() {
        let (peer, address) = peer();
        let chosen = choose(&[address]);
        assert_eq!((&*chosen.tried, chosen.notice()), (&[][..], None));
        peer.set_nonblocking(true).expect("possible");
        peer.recv(&mut [0]).expect_err("nothing was sent");
    }
}
