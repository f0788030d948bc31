//! `hello-load`: load-tests a Hello server over UDP.

use std::process::ExitCode;

fn main() -> ExitCode {
    hello_cli::process::exit::run("hello-load", hello_cli::load::session::run)
}
