//! `hello-load`: load-tests a Hello server over UDP.

use std::process::ExitCode;

use clap::Parser;
use hello_cli::load::args::Args;
use hello_cli::load::session;
use hello_cli::process::exit::exit;

fn main() -> ExitCode {
    exit("hello-load", session::run(&Args::parse()))
}
