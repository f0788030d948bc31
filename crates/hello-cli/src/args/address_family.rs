//! IPv4 or IPv6, on the command line.

use std::error::Error;
use std::net::SocketAddr;

use clap::Args;

use super::endpoint::Endpoint;

/// The options that choose an address family.
#[derive(Clone, Copy, Debug, Args)]
pub struct Family {
    /// Use IPv4 only
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    ipv4: bool,

    /// Use IPv6 only
    #[arg(short = '6', long)]
    ipv6: bool,
}

impl Family {
    /// Resolves a target and returns its first address of this family.
    pub(crate) fn address(self, target: &Endpoint) -> Result<SocketAddr, Box<dyn Error>> {
        let (version, option) = if self.ipv4 { ("IPv4", "-4") } else { ("IPv6", "-6") };
        let matches = |address: &SocketAddr| match (self.ipv4, self.ipv6) {
            (true, _) => address.is_ipv4(),
            (_, true) => address.is_ipv6(),
            _ => true,
        };
        let none = || format!("{target} has no {version} address: try without {option}").into();
        target.resolve()?.into_iter().find(matches).ok_or_else(none)
    }
}
