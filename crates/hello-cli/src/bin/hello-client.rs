//! `hello-client`: sends names to a Hello server over UDP and prints the greetings.

use std::process::ExitCode;

use clap::Parser;
use hello_cli::client::args::Args;
use hello_cli::client::session;
use hello_cli::process::exit::exit;

fn main() -> ExitCode {
    exit("hello-client", session::run(&Args::parse()))
}
