//! The back ends of a server on the command line.

use std::fmt;

use clap::ValueEnum;
use clap::builder::PossibleValue;
use hello_net::Io;

/// By which system calls to receive and send.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum IoChoice {
    /// Many datagrams for each call (recvmmsg, sendmmsg).
    #[cfg(target_os = "linux")]
    Linux,
    /// What any system has.
    Portable,
}

impl Default for IoChoice {
    fn default() -> Self {
        match Backend::default() {
            #[cfg(target_os = "linux")]
            Backend::Native => Self::Linux,
            Backend::Portable => Self::Portable,
        }
    }
}

impl From<IoChoice> for Io {
    fn from(choice: IoChoice) -> Self {
        match choice {
            #[cfg(target_os = "linux")]
            IoChoice::Linux => Self::Linux,
            IoChoice::Portable => Self::Portable,
        }
    }
}

/// Says it as it is said on the command line.
impl fmt::Display for IoChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("", PossibleValue::get_name))
    }
}
