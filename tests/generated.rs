//! Generated text: help, manual pages, completions.

use std::fs::File;
use std::process::Command;

use crate::support::{CLIENT, Finished, LOAD, PING, SERVER, have};

fn generate(tool: &str, what: &str) -> Finished {
    Command::new(tool).args(["--generate", what]).output().expect("runs").into()
}

#[test]
fn manual_page_has_every_option_and_the_examples() {
    for (tool, options) in [
        (CLIENT, &["server", "local", "timeout", "attempts", "json", "generate"][..]),
        (
            LOAD,
            &[
                "rate",
                "poisson",
                "outstanding",
                "sources",
                "sources\\-by",
                "train",
                "size",
                "duration",
                "count",
                "warm\\-up",
                "timeout",
                "threads",
                "seed",
                "find\\-max",
                "tolerance",
                "trials",
                "resolution",
                "max\\-rate",
                "sweep",
                "steps",
                "remote",
                "ipv4",
                "ipv6",
                "export\\-json",
                "export\\-csv",
                "export\\-markdown",
                "plot",
                "json",
                "generate",
            ],
        ),
        (
            PING,
            &[
                "count",
                "interval",
                "size",
                "duration",
                "deadline",
                "timeout",
                "ipv4",
                "ipv6",
                "interface",
                "flows",
                "quiet",
                "every",
                "max\\-loss",
                "max\\-p99",
                "max\\-jitter",
                "export\\-json",
                "export\\-csv",
                "export\\-markdown",
                "plot",
                "metrics\\-file",
                "json",
                "generate",
            ],
        ),
        (
            SERVER,
            &[
                "bind",
                "max\\-name",
                "workers",
                "reuseport",
                "spin",
                "receive\\-buffer",
                "backend",
                "quiet",
                "max\\-lines",
                "json",
                "generate",
            ],
        ),
    ] {
        let manual = generate(tool, "man");
        assert_eq!(manual.status, Some(0));
        assert!(manual.out.contains(".TH hello\\-") || manual.out.contains(".TH hello-"));
        for option in options {
            assert!(manual.out.contains(&format!("\\-\\-{option}")), "{option}: {}", manual.out);
        }
        for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXAMPLES", "EXIT STATUS"] {
            let heading = manual.out.lines().filter_map(|line| line.strip_prefix(".SH "));
            let found = heading.map(|title| title.trim_matches('"')).any(|title| title == section);
            assert!(found, "{section}");
        }
    }
}

#[test]
fn full_device_fails_help_version_and_generated_text() {
    for tool in [CLIENT, LOAD, PING, SERVER] {
        for arguments in [&["-h"][..], &["--help"], &["--version"], &["--generate", "man"]] {
            let full = File::options().write(true).open("/dev/full").expect("Linux provides it");
            let output = Command::new(tool).args(arguments).stdout(full).output();
            let Finished { err, status, .. } = output.expect("runs").into();
            assert_eq!(status, Some(2), "{tool} {arguments:?}");
            let why = ": cannot write to standard output: No space left on device (os error 28)\n";
            assert!(err.starts_with("hello-") && err.ends_with(why), "{err}");
        }
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = Command::new(tool).arg("--help").stdout(writer).output().expect("runs");
        let Finished { err, status, .. } = output.into();
        assert_eq!((&*err, status), ("", Some(0)), "a reader that has gone is no failure");
    }
}

#[test]
fn every_example_in_the_help_is_valid() {
    for tool in [CLIENT, LOAD, PING, SERVER] {
        let help: Finished = Command::new(tool).arg("--help").output().expect("runs").into();
        let examples = help.out.lines().skip_while(|line| *line != "Examples:").skip(1);
        let examples = examples.take_while(|line| !line.is_empty());
        // The other lines explain the examples above them.
        let examples: Vec<_> = examples.filter(|line| line.starts_with("  hello-")).collect();
        assert!(examples.len() >= 4, "{}", help.out);
        for example in examples {
            // Without the explanation and the shell's own syntax; parsing is enough here.
            let command = example.trim().split("  ").next().expect("a command");
            let command = command.split(['<', '&', '|']).next().expect("a command");
            let arguments = command.split_whitespace().skip(1);
            let output = Command::new(tool).args(arguments).args(["--generate", "man"]).output();
            let parsed: Finished = output.expect("runs").into();
            assert_eq!((&*parsed.err, parsed.status), ("", Some(0)), "{example}");
        }
    }
}

#[test]
fn completions_for_every_shell_contain_the_options() {
    for (tool, option) in
        [(CLIENT, "attempts"), (LOAD, "find-max"), (PING, "max-p99"), (SERVER, "max-name")]
    {
        for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
            let completions = generate(tool, &format!("complete-{shell}"));
            assert_eq!(completions.status, Some(0));
            assert!(completions.out.contains(option), "{shell}");
        }
    }
}

#[test]
fn bash_completes_an_option() {
    if !have("bash", "--version", "bash_completes_an_option") {
        return;
    }
    let script = "source <(\"$0\" --generate complete-bash)
        specification=$(complete -p hello-client) function=${specification#*-F }
        COMP_WORDS=(hello-client --att) COMP_CWORD=1
        ${function%% *} hello-client --att hello-client
        echo \"${COMPREPLY[@]}\"";
    let output = Command::new("bash").args(["-c", script, CLIENT]).output();
    let finished: Finished = output.expect("runs").into();
    assert_eq!((&*finished.out, &*finished.err), ("--attempts\n", ""));
}
