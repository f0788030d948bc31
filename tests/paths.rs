//! Path diagnosis, in networks of namespaces with routers of Linux itself.

mod causes;
mod lab;
mod mtu;
mod nobody;
mod traces;
mod two_commands;

use crate::support::{have, have_ipv6};

/// Returns whether this machine can run the networks of `lab.py`.
pub(crate) fn have_lab(test: &str) -> bool {
    have("nft", "--version", test) && have_ipv6(test)
}
