//! `hello-client`: sends names to a Hello server over UDP and prints the greetings.

use std::process::ExitCode;

fn main() -> ExitCode {
    hello_cli::process::exit::run("hello-client", hello_cli::client::session::run)
}
