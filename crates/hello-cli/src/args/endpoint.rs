//! Hosts and ports on the command line.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::str::FromStr;

use hello_proto::DEFAULT_PORT;
use thiserror::Error;

/// A host and a port: `HOST`, `HOST:PORT`, `[IPV6]:PORT`, or an IPv6 address without brackets. The
/// default port is [`DEFAULT_PORT`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    host: String,
    port: u16,
}

impl Endpoint {
    /// Parses an endpoint to send to; its port must not be 0.
    pub(crate) fn parse_destination(text: &str) -> Result<Self, EndpointError> {
        match text.parse()? {
            Self { port: 0, .. } => Err(EndpointError::PortZero),
            endpoint => Ok(endpoint),
        }
    }

    /// Resolves the host and returns its addresses, without duplicates, in the system's order.
    pub(crate) fn resolve(&self) -> Result<Vec<SocketAddr>, LookupError> {
        let failed = |source| LookupError { host: self.host.clone(), source };
        let mut addresses = Vec::new();
        for address in (&*self.host, self.port).to_socket_addrs().map_err(failed)? {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        Ok(addresses)
    }
}

/// The loopback address, at the protocol's port.
impl Default for Endpoint {
    fn default() -> Self {
        Self { host: Ipv4Addr::LOCALHOST.to_string(), port: DEFAULT_PORT }
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']').ok_or(EndpointError::Bracket)?;
                if !is_ipv6(host) {
                    return Err(EndpointError::NotIpv6(host.into()));
                }
                let port = match rest.strip_prefix(':') {
                    None if rest.is_empty() => None,
                    None => return Err(EndpointError::Port(rest.into())),
                    port => port,
                };
                (host, port)
            }
            None if is_ipv6(text) => (text, None),
            None => match text.rsplit_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        // The system would read digits alone as an IPv4 address: 9999 means 0.0.39.15.
        if host.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(EndpointError::NoHost);
        }
        if host.contains(':') && !is_ipv6(host) || host.contains(char::is_whitespace) {
            return Err(EndpointError::Host(host.into()));
        }
        let port = match port {
            Some(port) => port.parse().map_err(|_| EndpointError::Port(port.into()))?,
            None => DEFAULT_PORT,
        };
        Ok(Self { host: host.into(), port })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if is_ipv6(host) { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// A text is not an [`Endpoint`].
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum EndpointError {
    /// The host is missing.
    #[error("no host: write HOST:PORT, e.g. 127.0.0.1:9999, or 0.0.0.0:9999 for every address")]
    NoHost,
    /// The host name is invalid.
    #[error("invalid host {0:?}: write HOST:PORT or [IPV6]:PORT")]
    Host(String),
    /// The closing bracket is missing.
    #[error("closing bracket missing: write [IPV6]:PORT, e.g. [::1]:9999")]
    Bracket,
    /// The brackets do not enclose an IPv6 address.
    #[error("brackets must enclose an IPv6 address, not {0:?}")]
    NotIpv6(String),
    /// Port 0 is not a valid destination.
    #[error("port 0 is not a valid destination: write the port of the server")]
    PortZero,
    /// The port is not a number from 0 to 65535.
    #[error("invalid port {0:?}: write a number up to 65535 after the colon")]
    Port(String),
}

/// A host name cannot be resolved.
#[derive(Debug, Error)]
#[error("cannot resolve {host:?}")]
pub struct LookupError {
    host: String,
    source: io::Error,
}

/// Returns whether `host` is an IPv6 address, optionally with a zone (`fe80::1%eth0`, RFC 4007
/// section 11).
fn is_ipv6(host: &str) -> bool {
    let (address, zone) = host.split_once('%').unwrap_or((host, "none"));
    address.parse::<Ipv6Addr>().is_ok() && !zone.is_empty() && !zone.contains(':')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_notation_is_parsed() {
        for (text, host, port) in [
            ("127.0.0.1:9999", "127.0.0.1", 9999),
            ("127.0.0.1", "127.0.0.1", 9999),
            ("localhost:7", "localhost", 7),
            ("localhost", "localhost", 9999),
            ("[::1]:7", "::1", 7),
            ("[::1]", "::1", 9999),
            ("::1", "::1", 9999),
            ("::", "::", 9999),
            ("[fe80::1%eth0]:7", "fe80::1%eth0", 7),
            ("fe80::1%eth0", "fe80::1%eth0", 9999),
            ("::ffff:127.0.0.1", "::ffff:127.0.0.1", 9999),
            ("example.org:0", "example.org", 0),
        ] {
            let expected = Endpoint { host: host.into(), port };
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn invalid_endpoints_have_their_own_errors() {
        use EndpointError::*;
        for (text, error) in [
            ("", NoHost),
            (":9999", NoHost),
            ("9999", NoHost),
            ("9999:9999", NoHost),
            ("[::1", Bracket),
            ("[::1]x", Port("x".into())),
            ("[::1]:", Port("".into())),
            ("[127.0.0.1]:7", NotIpv6("127.0.0.1".into())),
            ("[]:7", NotIpv6("".into())),
            ("localhost:", Port("".into())),
            ("localhost:http", Port("http".into())),
            ("localhost:65536", Port("65536".into())),
            ("localhost:-1", Port("-1".into())),
            ("a:b:7", Host("a:b".into())),
            ("two words", Host("two words".into())),
            ("fe80::1%:7", Host("fe80::1%".into())),
        ] {
            assert_eq!(text.parse::<Endpoint>(), Err(error), "{text}");
        }
    }

    #[test]
    fn port_0_can_be_bound_but_is_no_destination() {
        let bound: Result<Endpoint, _> = "127.0.0.1:0".parse();
        assert!(bound.is_ok());
        let destination = Endpoint::parse_destination("127.0.0.1:0");
        assert_eq!(destination, Err(EndpointError::PortZero));
        assert_eq!(Endpoint::parse_destination("127.0.0.1"), Ok(Endpoint::default()));
    }

    #[test]
    fn unresolvable_host_is_named_in_the_error() {
        // The system rejects this name without a lookup.
        let endpoint = Endpoint { host: "no\0host".into(), port: 7 };
        let error = endpoint.resolve().expect_err("not a host");
        assert_eq!(error.to_string(), "cannot resolve \"no\\0host\"");
    }

    #[test]
    fn address_resolves_to_itself() {
        for text in ["127.0.0.1:7", "[::1]:7", "[::ffff:127.0.0.1]:7"] {
            let endpoint: Endpoint = text.parse().expect("an endpoint");
            let addresses = endpoint.resolve().expect("no lookup needed");
            assert_eq!(addresses, [text.parse::<SocketAddr>().expect("an address")]);
        }
    }

    proptest! {
        #[test]
        fn printed_endpoint_parses_to_itself(address in any::<std::net::IpAddr>(), port in any::<u16>()) {
            let endpoint = Endpoint { host: address.to_string(), port };
            prop_assert_eq!(endpoint.to_string().parse(), Ok(endpoint));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,20}|[\\[\\]:%0-9a-f. ]{0,20}") {
            if let Ok(endpoint) = text.parse::<Endpoint>() {
                prop_assert_eq!(endpoint.to_string().parse(), Ok(endpoint));
            }
        }
    }
}
