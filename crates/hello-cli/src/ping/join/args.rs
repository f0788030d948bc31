//! The options that join a run with a capture.

use std::path::{Path, PathBuf};

use clap::{Arg, Args};

/// The options that join a run with a capture.
#[derive(Debug, Args)]
pub struct JoinArgs {
    /// Join RUN with a capture, and print where probes were lost; "-" is standard input
    ///
    /// RUN is the output of "hello-ping --json", and the capture is taken at the server meanwhile.
    /// Nothing is sent.
    #[arg(long, value_name = "RUN", requires = "capture")]
    join: Option<PathBuf>,

    /// Read the packets at the server from FILE (pcap or pcapng); "-" is standard input
    #[arg(long, value_name = "FILE", requires = "join")]
    capture: Option<PathBuf>,

    /// Print one-way delays, which are wrong unless both machines have synchronised clocks
    #[arg(long, requires = "join")]
    clocks_synchronised: bool,
}

impl JoinArgs {
    /// Returns the files of the run and of the capture; `None` without --join.
    pub fn files(&self) -> Option<(&Path, &Path)> {
        self.join.as_deref().zip(self.capture.as_deref())
    }

    /// Returns whether both machines have synchronised clocks.
    pub fn are_clocks_synchronised(&self) -> bool {
        self.clocks_synchronised
    }
}

/// Makes an argument conflict with --join if it has no effect there.
pub fn exclude(argument: Arg) -> Arg {
    match ALLOWED.contains(&argument.get_id().as_str()) {
        true => argument,
        false => argument.conflicts_with("join"),
    }
}

/// The arguments that may stand beside --join.
const ALLOWED: [&str; 9] = [
    "join",
    "capture",
    "clocks_synchronised",
    "quiet",
    "json",
    "color",
    "generate",
    "help",
    "version",
];

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::ALLOWED;
    use crate::ping::args::Args;

    #[test]
    fn options_of_probing_and_targets_conflict_with_a_join() {
        let join = ["hello-ping", "--join", "run.jsonl", "--capture", "server.pcap"];
        let error = |more: &[&str]| {
            let args = join.iter().chain(more).copied();
            Args::try_parse_from(args).err().map(|error| error.to_string())
        };
        for allowed in
            [&[][..], &["--json"], &["-q", "--color", "never"], &["--clocks-synchronised"]]
        {
            assert_eq!(error(allowed), None, "{allowed:?}");
        }
        for more in [&["192.0.2.1"][..], &["-c", "1"], &["--allow-flood"], &["--export-json", "x"]]
        {
            let error = error(more).expect("a conflict");
            assert!(error.contains("cannot be used with"), "{error}");
        }
        let mut command = Args::command();
        command.build();
        for argument in command.get_arguments() {
            let conflicts = command.get_arg_conflicts_with(argument);
            let is_excluded = conflicts.iter().any(|other| other.get_id() == "join");
            let is_allowed = ALLOWED.contains(&argument.get_id().as_str());
            assert_ne!(is_excluded, is_allowed, "{argument}");
        }
    }

    #[test]
    fn run_and_capture_need_each_other() {
        for args in [
            &["--join", "run.jsonl"][..],
            &["--capture", "server.pcap"],
            &["--clocks-synchronised"],
        ] {
            let args = ["hello-ping"].iter().chain(args).copied();
            let error = Args::try_parse_from(args).expect_err("one alone").to_string();
            assert!(error.contains("required arguments were not provided"), "{error}");
        }
    }
}
