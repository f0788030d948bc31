//! The port and the address family of hosts, on the command line.

use std::net::SocketAddr;

use clap::Args;
use hello_net::ZonedAddr;
use hello_proto::DEFAULT_PORT;
use thiserror::Error;

use super::endpoint::{Endpoint, LookupError};
use super::number;

/// The options that complete an [`Endpoint`].
#[derive(Clone, Copy, Debug, Args)]
pub struct ResolveArgs {
    /// Send to PORT of a host that is given without a port
    #[arg(
        short,
        long,
        value_name = "PORT",
        default_value_t = DEFAULT_PORT,
        value_parser = number::count::<u16>(1..=u64::from(u16::MAX)),
    )]
    port: u16,

    /// Use IPv4 only
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    ipv4: bool,

    /// Use IPv6 only
    #[arg(short = '6', long)]
    ipv6: bool,
}

/// A host to send to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// `HOST:PORT`. An address is written as the tools print it.
    pub name: String,
    /// Its addresses of the requested family, in the system's order. At least one.
    pub addresses: Vec<SocketAddr>,
}

impl ResolveArgs {
    /// Returns the `HOST:PORT` of an endpoint.
    pub(crate) fn name(self, endpoint: &Endpoint) -> String {
        endpoint.clone().or_port(self.port).to_string()
    }

    /// Resolves an endpoint.
    pub(crate) fn resolve(self, endpoint: &Endpoint) -> Result<Host, ResolveError> {
        let is_requested = |address: &SocketAddr| match (self.ipv4, self.ipv6) {
            (true, _) => address.is_ipv4(),
            (_, true) => address.is_ipv6(),
            _ => true,
        };
        let endpoint = endpoint.clone().or_port(self.port);
        let addresses = Vec::from_iter(endpoint.resolve()?.into_iter().filter(is_requested));
        let Some(first) = addresses.first() else {
            let (version, option) = if self.ipv4 { ("IPv4", "-4") } else { ("IPv6", "-6") };
            let name = endpoint.to_string();
            return Err(ResolveError::Family { name, version, option });
        };
        let is_address = endpoint.is_address();
        let name = if is_address { ZonedAddr(*first).to_string() } else { endpoint.to_string() };
        Ok(Host { name, addresses })
    }
}

/// An endpoint has no usable address.
#[derive(Debug, Error)]
pub enum ResolveError {
    /// The host cannot be resolved.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// The host has no address of the requested family.
    #[error("{name} has no {version} address: try without {option}")]
    Family {
        /// Its name.
        name: String,
        /// The family.
        version: &'static str,
        /// The option that requested it.
        option: &'static str,
    },
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Tool {
        #[command(flatten)]
        hosts: ResolveArgs,
    }

    fn resolve(options: &[&str], endpoint: &str) -> Result<Host, ResolveError> {
        let tool = Tool::parse_from([&["tool"], options].concat());
        tool.hosts.resolve(&endpoint.parse().expect("an endpoint"))
    }

    #[test]
    fn address_is_named_as_it_is_printed() {
        for (endpoint, name) in [
            ("127.0.0.1", "127.0.0.1:7"),
            ("127.0.0.1:8", "127.0.0.1:8"),
            ("0:0:0::1", "[::1]:7"),
            ("[::FFFF:127.0.0.1]:8", "[::ffff:127.0.0.1]:8"),
        ] {
            assert_eq!(resolve(&["-p", "7"], endpoint).expect("an address").name, name);
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn zone_is_named_whether_its_number_or_its_name_was_given() {
        // The loopback has this index in every network namespace.
        for zone in ["1", "lo"] {
            let host = resolve(&[], &format!("fe80::1%{zone}")).expect("an address");
            assert_eq!(host.name, "[fe80::1%lo]:9999");
        }
    }

    #[test]
    fn host_without_an_address_of_the_family_is_an_error() {
        for (option, endpoint, version) in [("-4", "::1", "IPv4"), ("-6", "127.0.0.1", "IPv6")] {
            let error = resolve(&[option], endpoint).expect_err("the other family").to_string();
            let expected = format!(" has no {version} address: try without {option}");
            assert!(error.ends_with(&expected), "{error}");
        }
    }
}
