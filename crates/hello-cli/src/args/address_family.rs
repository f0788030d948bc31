//! IPv4 or IPv6, on the command line.

use std::error::Error;
use std::net::SocketAddr;

use clap::Args;

use super::endpoint::Endpoint;

/// Of which family an address is to be.
#[derive(Clone, Copy, Debug, Args)]
pub struct Family {
    /// Use IPv4 only.
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    ipv4: bool,

    /// Use IPv6 only.
    #[arg(short = '6', long)]
    ipv6: bool,
}

impl Family {
    /// Looks a target up, and returns its first address of this family.
    ///
    /// # Errors
    ///
    /// Says that it has none.
    pub fn address(self, target: &Endpoint) -> Result<SocketAddr, Box<dyn Error>> {
        let is_right = |address: &SocketAddr| match (self.ipv4, self.ipv6) {
            (true, _) => address.is_ipv4(),
            (_, true) => address.is_ipv6(),
            _ => true,
        };
        let version = if self.ipv4 { "IPv4" } else { "IPv6" };
        let none = || format!("{target} has no {version} address; leave -4 and -6 out").into();
        target.resolve()?.into_iter().find(is_right).ok_or_else(none)
    }
}
