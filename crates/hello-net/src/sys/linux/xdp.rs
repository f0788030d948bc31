//! Programs in the drivers of network interfaces (XDP), and what they need to know of the interfaces.

pub(crate) mod capabilities;
pub(crate) mod interfaces;
mod netlink;
pub(crate) mod program;
