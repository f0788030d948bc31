//! `hello-ping`: probes Hello servers over UDP and reports loss, round-trip times and jitter.

use std::process::ExitCode;

fn main() -> ExitCode {
    hello_cli::process::exit::run("hello-ping", hello_cli::ping::run)
}
