//! Hosts and ports on the command line.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::str::FromStr;

use hello_proto::DEFAULT_PORT;
use thiserror::Error;

/// A host and perhaps a port: `HOST`, `HOST:PORT`, `[IPV6]:PORT`, or an IPv6 address without
/// brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    host: String,
    /// `None` if the text names none.
    port: Option<u16>,
    /// Whether the host is an IPv6 address without brackets.
    is_bare: bool,
}

impl Endpoint {
    /// Parses an endpoint to send to; its port must not be 0.
    pub(crate) fn parse_destination(text: &str) -> Result<Self, EndpointError> {
        match text.parse()? {
            Self { port: Some(0), .. } => Err(EndpointError::PortZero),
            endpoint => Ok(endpoint),
        }
    }

    /// Returns this endpoint, at `port` if it names none.
    #[must_use]
    pub fn or_port(mut self, port: u16) -> Self {
        self.port.get_or_insert(port);
        self
    }

    /// Returns this endpoint, in `zone` if it is a link-local address without one.
    #[must_use]
    pub fn or_zone(mut self, zone: &str) -> Self {
        if self.host.parse().is_ok_and(|ip: Ipv6Addr| ip.is_unicast_link_local()) {
            self.host = format!("{}%{zone}", self.host);
        }
        self
    }

    /// Resolves the host and returns its addresses, without duplicates, in the system's order.
    ///
    /// A link-local address without a zone is not one of them, because no socket can use it.
    pub(crate) fn resolve(&self) -> Result<Vec<SocketAddr>, LookupError> {
        let (mut addresses, mut unusable) = (Vec::new(), None);
        let port = self.port.unwrap_or(DEFAULT_PORT);
        let found = (&*self.host, port).to_socket_addrs().map_err(|cause| self.not_found(cause))?;
        for address in found {
            match address {
                SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() && v6.scope_id() == 0 => {
                    unusable = Some(*v6.ip());
                }
                address if !addresses.contains(&address) => addresses.push(address),
                _ => {}
            }
        }
        match unusable {
            Some(ip) if addresses.is_empty() => Err(LookupError::NoZone(ip)),
            _ => Ok(addresses),
        }
    }

    /// Returns the question whether the last group of an IPv6 address was meant as a port.
    pub fn hint(&self) -> Option<String> {
        let (ip, last) = self.host.rsplit_once(':').filter(|_| self.is_bare)?;
        let is_port = !last.starts_with('0') && last.parse().is_ok_and(|port: u16| port > 9);
        (is_port && is_ipv6(ip)).then(|| {
            let Self { host, .. } = self;
            format!(
                "{host} is an address without a port; for port {last} of {ip}, write [{ip}]:{last}"
            )
        })
    }

    /// Returns the host, without the port.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Returns whether the host is an address, not a name.
    pub(crate) fn is_address(&self) -> bool {
        is_ipv6(&self.host) || self.host.parse::<Ipv4Addr>().is_ok()
    }

    /// Returns whether the text names a port.
    pub(crate) fn has_port(&self) -> bool {
        self.port.is_some()
    }

    fn not_found(&self, cause: io::Error) -> LookupError {
        let host = self.host.clone();
        match host.split_once('%') {
            Some((ip, zone)) if is_ipv6(&host) => {
                LookupError::Zone { ip: ip.into(), zone: zone.into(), cause }
            }
            _ => LookupError::Host { host, cause },
        }
    }
}

/// The loopback address, without a port.
impl Default for Endpoint {
    fn default() -> Self {
        Self { host: Ipv4Addr::LOCALHOST.to_string(), port: None, is_bare: false }
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let is_bare = is_ipv6(text);
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
            None if is_bare => (text, None),
            None => match text.rsplit_once(':') {
                Some((host, port)) if is_ipv6(host) => {
                    return Err(EndpointError::NoBrackets { ip: host.into(), port: port.into() });
                }
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        // The system would read digits alone as an IPv4 address: 9999 means 0.0.39.15.
        if host.bytes().all(|byte| byte.is_ascii_digit()) {
            let port = if host.is_empty() { port.unwrap_or_default() } else { host };
            let port = port.parse().ok().filter(|port| *port > 0);
            return Err(port.map_or(EndpointError::NoHost, EndpointError::OnlyPort));
        }
        if host.contains(':') && !is_ipv6(host) || host.contains(char::is_whitespace) {
            return Err(EndpointError::Host(host.into()));
        }
        let parse = |port: &str| port.parse().map_err(|_| EndpointError::Port(port.into()));
        Ok(Self { host: host.into(), port: port.map(parse).transpose()?, is_bare })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, .. } = self;
        match port {
            Some(port) if is_ipv6(host) => write!(f, "[{host}]:{port}"),
            Some(port) => write!(f, "{host}:{port}"),
            None => f.write_str(host),
        }
    }
}

/// A text is not an [`Endpoint`].
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum EndpointError {
    /// The host is missing.
    #[error("no host: write HOST or HOST:PORT, e.g. 127.0.0.1:9999")]
    NoHost,
    /// Only a port is there.
    #[error("no host: for port {0} of this machine, write -p {0}; otherwise HOST:{0}")]
    OnlyPort(u16),
    /// The host name is invalid.
    #[error("invalid host {0:?}: write HOST:PORT or [IPV6]:PORT")]
    Host(String),
    /// An IPv6 address with a port has no brackets.
    #[error("brackets missing: write [{ip}]:{port}")]
    NoBrackets {
        /// The address.
        ip: String,
        /// The text behind it.
        port: String,
    },
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

/// A host has no usable address.
#[derive(Debug, Error)]
pub enum LookupError {
    /// The name cannot be resolved.
    #[error("cannot resolve {host:?}: {cause}: check the name, or give an address")]
    Host {
        /// The name.
        host: String,
        /// The error of the resolver.
        cause: io::Error,
    },
    /// The zone cannot be resolved.
    #[error("no interface {zone:?} for {ip}: {cause}")]
    Zone {
        /// The address.
        ip: String,
        /// Its zone.
        zone: String,
        /// The error of the resolver.
        cause: io::Error,
    },
    /// A link-local address has no zone.
    #[error("{0} is a link-local address: add its interface, e.g. {0}%eth0")]
    NoZone(Ipv6Addr),
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
            ("127.0.0.1:9999", "127.0.0.1", Some(9999)),
            ("127.0.0.1", "127.0.0.1", None),
            ("localhost:7", "localhost", Some(7)),
            ("localhost", "localhost", None),
            ("[::1]:7", "::1", Some(7)),
            ("[::1]", "::1", None),
            ("::1", "::1", None),
            ("::", "::", None),
            ("[fe80::1%eth0]:7", "fe80::1%eth0", Some(7)),
            ("fe80::1%eth0", "fe80::1%eth0", None),
            ("::ffff:127.0.0.1", "::ffff:127.0.0.1", None),
            ("example.org:0", "example.org", Some(0)),
        ] {
            let is_bare = text.contains("::") && !text.starts_with('[');
            let expected = Endpoint { host: host.into(), port, is_bare };
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn invalid_endpoints_have_their_own_errors() {
        use EndpointError::*;
        for (text, error) in [
            ("", NoHost),
            ("0", NoHost),
            ("99999", NoHost),
            (":9999", OnlyPort(9999)),
            ("9999", OnlyPort(9999)),
            ("9998:9999", OnlyPort(9998)),
            ("::1:40000", NoBrackets { ip: "::1".into(), port: "40000".into() }),
            ("fe80::1%eth0:7", NoBrackets { ip: "fe80::1%eth0".into(), port: "7".into() }),
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
        let endpoint = Endpoint { host: "no\0host".into(), ..Endpoint::default() };
        let error = endpoint.resolve().expect_err("not a host").to_string();
        assert!(error.starts_with("cannot resolve \"no\\0host\": "), "{error}");
        assert!(error.ends_with(": check the name, or give an address"), "{error}");
    }

    #[test]
    fn port_of_the_option_is_that_of_an_endpoint_without_one() {
        for (text, expected) in
            [("::1", "[::1]:7"), ("[::1]", "[::1]:7"), ("a", "a:7"), ("a:8", "a:8")]
        {
            let endpoint: Endpoint = text.parse().expect("an endpoint");
            assert_eq!(endpoint.or_port(7).to_string(), expected);
        }
    }

    #[test]
    fn last_group_that_may_be_a_port_has_a_hint() {
        let hint = |text: &str| text.parse::<Endpoint>().expect("an endpoint").hint();
        let expected =
            "::1:7100 is an address without a port; for port 7100 of ::1, write [::1]:7100";
        assert_eq!(hint("::1:7100").as_deref(), Some(expected));
        assert!(hint("2001:db8::1:53").is_some());
        for text in ["::1", "[::1:7100]", "2001:db8::1", "2001:db8::7100", "fe80::1:0999", "a:7100"]
        {
            assert_eq!(hint(text), None, "{text}");
        }
    }

    #[test]
    fn link_local_address_needs_a_zone_that_exists() {
        let resolve = |text: &str| text.parse::<Endpoint>().expect("an endpoint").resolve();
        let error = resolve("fe80::1").expect_err("no zone").to_string();
        assert_eq!(error, "fe80::1 is a link-local address: add its interface, e.g. fe80::1%eth0");
        let error = resolve("[fe80::1%no-such]:7").expect_err("no interface").to_string();
        assert!(error.starts_with("no interface \"no-such\" for fe80::1: "), "{error}");
        assert_eq!(resolve("fe80::1%1").expect("a number").len(), 1);
        let zoned: Endpoint = "fe80::1".parse().expect("an endpoint");
        assert_eq!(zoned.or_zone("1").resolve().ok(), resolve("fe80::1%1").ok());
        assert_eq!(Endpoint::default().or_zone("1"), Endpoint::default());
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
            let host = address.to_string();
            let endpoint = Endpoint { host, port: Some(port), is_bare: false };
            prop_assert_eq!(endpoint.to_string().parse(), Ok(endpoint));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,20}|[\\[\\]:%0-9a-f. ]{0,20}") {
            if let Ok(endpoint) = text.parse::<Endpoint>() {
                let port = endpoint.clone().or_port(7);
                let is_bare = false;
                prop_assert_eq!(port.to_string().parse(), Ok(Endpoint { is_bare, ..port }));
            }
        }
    }
}
