//! `hello-ping`: probes Hello servers over UDP and reports loss, round-trip times and jitter.

use std::process::ExitCode;

use clap::Parser;
use hello_cli::ping::args::Args;
use hello_cli::ping::session;
use hello_cli::process::exit::exit;

fn main() -> ExitCode {
    exit("hello-ping", session::run(&Args::parse()))
}
