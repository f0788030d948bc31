//! Generated text: help, manual pages, completions.

use std::fs::{self, File};
use std::process::Command;

use regex::Regex;

use crate::support::{CLIENT, Finished, LOAD, PING, SERVER, have};

fn generate(tool: &str, what: &str) -> Finished {
    Command::new(tool).args(["--generate", what]).output().expect("runs").into()
}

#[test]
fn manual_page_has_the_conventional_sections_in_order() {
    for tool in [CLIENT, LOAD, PING, SERVER] {
        let manual = generate(tool, "man");
        assert_eq!((&*manual.err, manual.status), ("", Some(0)));
        let headings = manual.out.lines().filter_map(|line| line.strip_prefix(".SH "));
        let mut expected = vec![
            "NAME",
            "SYNOPSIS",
            "DESCRIPTION",
            "ARGUMENTS",
            "OPTIONS",
            "\"EXIT STATUS\"",
            "SIGNALS",
            "ENVIRONMENT",
            "FILES",
            "NOTES",
            "EXAMPLES",
            "\"SEE ALSO\"",
        ];
        expected.retain(|heading| tool != SERVER || *heading != "ARGUMENTS");
        assert_eq!(Vec::from_iter(headings), expected, "{tool}");
    }
}

#[test]
fn manual_page_has_every_option_of_the_help_in_the_synopsis_and_below() {
    let option = Regex::new(r"(?m)^ +(?:-(\w), )?--([a-z][a-z0-9-]*)(?: <(.*)>|\[=<(.*)>\])?")
        .expect("a regex");
    for tool in [CLIENT, LOAD, PING, SERVER] {
        let help: Finished = Command::new(tool).arg("--help").output().expect("runs").into();
        let (options, _) = help.out.split_once("\nUnits:\n").expect("options");
        let (_, options) = options.split_once("ptions:\n").expect("options");
        let page = generate(tool, "man").out.replace("\\-", "-").replace("\\fB", "");
        let page = page.replace("\\fI", "").replace("\\fR", "");
        let mut found = 0;
        for option in option.captures_iter(options) {
            let [short, value] = [1, 3].map(|index| option.get(index).map(|part| part.as_str()));
            let head = [short.map(|short| format!("-{short}")), Some(format!("--{}", &option[2]))];
            let head = Vec::from_iter(head.into_iter().flatten());
            let value = match option.get(4) {
                Some(optional) => format!("[={}]", optional.as_str()),
                None => value.map_or(String::new(), |value| format!(" {value}")),
            };
            let entry = format!("\n.TP\n{}{value}\n", head.join(", "));
            assert!(page.contains(&entry), "{entry}\n{page}");
            let is_flag = |line: &str| {
                let flags = line.strip_prefix(".OP -").filter(|flags| !flags.contains(' '));
                flags.zip(short).is_some_and(|(flags, short)| flags.contains(short))
            };
            let usage = format!(".OP {}{value}", head[0]);
            assert!(page.lines().any(|line| line == usage || is_flag(line)), "{usage}\n{page}");
            found += 1;
        }
        assert!(found >= 9, "{found} {options}");
    }
}

#[test]
fn formatters_accept_the_manual_pages() {
    let test = "formatters_accept_the_manual_pages";
    for (program, version, arguments) in [
        ("mandoc", "-T", &["-T", "lint", "-W", "warning"][..]),
        ("groff", "--version", &["-man", "-ww", "-z"]),
    ] {
        if !have(program, version, test) {
            continue;
        }
        for tool in [CLIENT, LOAD, PING, SERVER] {
            let path = format!("{}/{program}.1", env!("CARGO_TARGET_TMPDIR"));
            fs::write(&path, generate(tool, "man").out).expect("written");
            let output = Command::new(program).args(arguments).arg(&path).output();
            let Finished { out, err, .. } = output.expect("runs").into();
            // The version stands in the place of the date, so that a build can be reproduced.
            let complaints =
                out.lines().chain(err.lines()).filter(|line| !line.contains("missing date"));
            assert_eq!(Vec::from_iter(complaints), [""; 0], "{tool}");
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
