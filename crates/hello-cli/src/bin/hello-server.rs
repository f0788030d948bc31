//! `hello-server`: answers every name with a greeting over UDP.

use std::process::ExitCode;

use clap::Parser;
use hello_cli::process::exit::exit;
use hello_cli::server::args::Args;
use hello_cli::server::session;

fn main() -> ExitCode {
    exit("hello-server", session::run(&Args::parse()))
}
