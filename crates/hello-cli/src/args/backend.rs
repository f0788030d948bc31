//! The I/O back ends of a server, on the command line.

use std::fmt;

use clap::ValueEnum;
use clap::builder::PossibleValue;
use hello_net::Backend;

/// The system calls that receive and send datagrams.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum BackendArg {
    /// The fastest of this system; on Linux, batches (recvmmsg, sendmmsg, GRO, GSO)
    #[default]
    Native,
    /// System calls that every system has
    Portable,
}

impl From<BackendArg> for Backend {
    fn from(backend: BackendArg) -> Self {
        match backend {
            BackendArg::Native => Self::Native,
            BackendArg::Portable => Self::Portable,
        }
    }
}

impl fmt::Display for BackendArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("", PossibleValue::get_name))
    }
}
