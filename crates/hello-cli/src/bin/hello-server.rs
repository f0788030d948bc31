//! `hello-server`: answers every name with a greeting over UDP.

use std::process::ExitCode;

fn main() -> ExitCode {
    hello_cli::process::exit::run("hello-server", hello_cli::server::session::run)
}
