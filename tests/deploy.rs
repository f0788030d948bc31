//! What stands in `deploy`, before the programs that read it.

use std::collections::BTreeSet;
use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use hello_net::Server;
use hello_proto::Rate;
use rustix::process::Signal;

use crate::support::{
    BACK_ENDS, CLIENT, SERVER, Supervisor, activated_under, ask, have, listening, peer, summary,
};

const DEPLOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy");
const SERVICE: &str = "hello-server.service";
const SOCKET: &str = "hello-server.socket";
const DROP_IN: &str = "limit-and-metrics.conf";
/// Where the unit expects the server.
const INSTALLED: &str = "/usr/local/bin/hello-server";

fn read(path: impl AsRef<Path>) -> String {
    let path = Path::new(DEPLOY).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Writes the units into a directory of the test's own, with the server where it was built.
fn lay_out(test: &str, drop_in: Option<&str>) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    let drop_ins = directory.join(format!("{SERVICE}.d"));
    // Not there at the first run.
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&drop_ins).expect("a directory");
    for (from, to) in [SERVICE, SOCKET]
        .map(|unit| (unit, directory.join(unit)))
        .into_iter()
        .chain(drop_in.map(|drop_in| (drop_in, drop_ins.join(drop_in))))
    {
        let text = read(Path::new("systemd").join(from)).replace(INSTALLED, SERVER);
        fs::write(to, text).expect("written");
    }
    directory
}

fn systemd_analyze(arguments: &[&str], units: &[PathBuf]) -> Output {
    let mut command = Command::new("systemd-analyze");
    command.args(arguments).args(units).output().expect("runs")
}

#[test]
fn the_service_is_exposed_to_little_with_the_drop_in_and_without() {
    let test = "the_service_is_exposed_to_little_with_the_drop_in_and_without";
    if !have("systemd-analyze", "--version", test) {
        return;
    }
    for drop_in in [None, Some(DROP_IN)] {
        let service = lay_out(test, drop_in).join(SERVICE);
        // In tenths: of 10, at most 0.5.
        let arguments = ["--no-pager", "security", "--offline=true", "--threshold=5"];
        let output = systemd_analyze(&arguments, &[service]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn systemd_understands_every_line_of_the_units() {
    let test = "systemd_understands_every_line_of_the_units";
    if !have("systemd-analyze", "--version", test) {
        return;
    }
    for drop_in in [None, Some(DROP_IN)] {
        let directory = lay_out(test, drop_in);
        let units = [SERVICE, SOCKET].map(|unit| directory.join(unit));
        let arguments = ["verify", "--man=no", "--recursive-errors=no"];
        let output = systemd_analyze(&arguments, &units);
        // It ignores what it does not understand, and says so. Of other units, which the machine
        // has, it may say what it likes.
        let said = String::from_utf8_lossy(&output.stderr);
        let ours: Vec<_> = said.lines().filter(|line| line.contains("hello-server")).collect();
        assert!(output.status.success() && ours.is_empty(), "{said}");
    }
}

/// Returns the words behind a prefix that stands on one line of a file: a JSON array, which is also
/// one of YAML and of a Containerfile.
fn words(path: &str, prefix: &str) -> Vec<String> {
    let text = read(path);
    let found: Vec<_> = text.lines().filter_map(|line| line.trim().strip_prefix(prefix)).collect();
    let [array] = found[..] else { panic!("{path}: {prefix}{found:?}") };
    serde_json::from_str(array).unwrap_or_else(|error| panic!("{path}: {error}: {array}"))
}

/// Returns what a unit, or a drop-in of one, starts the server with. A backslash at the end of a
/// line goes on with the next (systemd.syntax(7)).
fn started_with(unit: &str) -> Vec<String> {
    let text = read(format!("systemd/{unit}")).replace("\\\n", " ");
    let start = format!("\nExecStart={INSTALLED} ");
    let (_, arguments) = text.split_once(&start).expect("a command");
    let arguments = arguments.lines().next().expect("a line").split_whitespace();
    arguments.map(str::to_owned).collect()
}

#[test]
fn the_programs_take_the_options_they_are_deployed_with() {
    let mut probe = words("kubernetes/deployment.yaml", "command: &probe ");
    assert_eq!(probe.remove(0), "hello-client");
    for (program, arguments) in [
        (SERVER, started_with(SERVICE)),
        (SERVER, started_with(DROP_IN)),
        (SERVER, words("container/Containerfile", "CMD ")),
        (SERVER, words("kubernetes/deployment.yaml", "args: ")),
        (CLIENT, probe),
    ] {
        // It reads its options first, and then does nothing else.
        let output = Command::new(program).args(&arguments).args(["--generate", "man"]).output();
        let output = output.expect("runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments:?}: {said}");
    }
}

#[test]
fn every_deployed_command_names_the_limit_and_is_the_default_but_in_the_example() {
    for arguments in [
        started_with(SERVICE),
        words("container/Containerfile", "CMD "),
        words("kubernetes/deployment.yaml", "args: "),
    ] {
        let [rate, burst] =
            [Rate::DEFAULT_RATE, Rate::DEFAULT_BURST].map(|number| number.to_string());
        let limit = ["--limit", &rate, "--limit-burst", &burst];
        assert!(arguments.windows(4).any(|window| *window == limit), "{arguments:?}");
    }
    assert!(started_with(DROP_IN).iter().any(|argument| argument == "--limit"));
}

#[test]
fn the_probe_of_kubernetes_is_answered_under_the_deployed_limit() {
    let mut arguments = words("kubernetes/deployment.yaml", "args: ");
    let bind = arguments.iter_mut().find(|argument| *argument == "0.0.0.0").expect("an address");
    *bind = "127.0.0.1:0".into();
    let (server, address) = listening(Command::new(SERVER).args(arguments));
    let probe = words("kubernetes/deployment.yaml", "command: &probe ");
    let probes: u64 = 5;
    for _ in 0..probes {
        let mut command = Command::new(CLIENT);
        let output = command.args(["--server", &address.to_string()]).args(&probe[1..]).output();
        assert!(output.expect("runs").status.success());
    }
    let summary = summary(server);
    assert_eq!((&summary["answered"], &summary["limit"]["rate"]), (&probes.into(), &1000.into()));
}

/// Returns the system calls of a name in a filter: those of a group such as `@file-system`, or the
/// call itself.
fn expand(name: &str) -> BTreeSet<String> {
    if !name.starts_with('@') {
        return BTreeSet::from([name.to_owned()]);
    }
    let output = systemd_analyze(&["--no-pager", "syscall-filter", name], &[]);
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    // Its first line is the group's own name.
    let members = text.lines().skip(1).map(str::trim);
    members.filter(|line| !line.is_empty() && !line.starts_with('#')).flat_map(expand).collect()
}

/// Returns which system calls the service may make: each line of the filter adds to the ones
/// before it, or takes away (systemd.exec(5)).
fn allowed() -> BTreeSet<String> {
    let mut allowed = expand("@default");
    let service = read(format!("systemd/{SERVICE}"));
    for line in service.lines().filter_map(|line| line.strip_prefix("SystemCallFilter=")) {
        match line.strip_prefix('~') {
            None => allowed.extend(line.split(' ').flat_map(expand)),
            Some(line) => {
                for call in line.split(' ').flat_map(expand) {
                    allowed.remove(&call);
                }
            }
        }
    }
    allowed
}

#[test]
fn the_service_may_make_every_system_call_that_the_server_makes() {
    let test = "the_service_may_make_every_system_call_that_the_server_makes";
    if !have("systemd-analyze", "--version", test) || !have("strace", "-V", test) {
        return;
    }
    let allowed = allowed();
    for back_end in BACK_ENDS {
        let place = |name: &str| format!("{}/{name}-{back_end}", env!("CARGO_TARGET_TMPDIR"));
        let (log, metrics) = (place("calls"), place("calls.prom"));
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let strace = ["strace", "--quiet=all", "-D", "-f", "-o", &log];
        let mut command = activated_under(&strace, socket);
        let supervisor = Supervisor::new(&format!("calls-{back_end}"));
        supervisor.supervise(command.env("WATCHDOG_USEC", "400000"));
        command.args([
            "--backend",
            back_end,
            "--workers",
            "2",
            "--stats",
            "0.1",
            "--limit",
            "1000",
        ]);
        let (mut server, address) = listening(command.args(["--metrics-file", &metrics]));
        assert_eq!([(); 2].map(|()| supervisor.hear()), ["READY=1", "WATCHDOG=1"]);
        assert_eq!(ask(&peer(), address, b"Tracy"), b"Hello, Tracy!");
        server.signal(Signal::USR1);
        let mut missing = BTreeSet::from(["datagram", "stats", "snapshot"]);
        for _ in 0..200 {
            if missing.is_empty() {
                break;
            }
            missing.remove(server.json()["event"].as_str().expect("text"));
        }
        assert!(missing.is_empty(), "{missing:?}");
        assert_eq!(summary(server)["answered"], 1);

        let log = fs::read_to_string(log).expect("written");
        // A line is "PID CALL(...", or speaks of a signal, of an end, or of a call begun before.
        let calls = log.lines().filter_map(|line| {
            let (call, _) = line.split_once(' ')?.1.trim_start().split_once('(')?;
            call.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_').then_some(call)
        });
        let calls: BTreeSet<_> = calls.map(str::to_owned).collect();
        assert!(["recvmmsg", "exit_group"].iter().all(|call| calls.contains(*call)));
        assert!(calls.iter().any(|call| call.starts_with("rename")), "{calls:?}");
        let forbidden: Vec<_> = calls.difference(&allowed).collect();
        assert!(forbidden.is_empty(), "{back_end}: {forbidden:?}");
    }
}

#[test]
fn kubernetes_knows_every_field_of_the_manifests() {
    if !have("kubernetes-validate", "--version", "kubernetes_knows_every_field_of_the_manifests") {
        return;
    }
    let files = fs::read_dir(format!("{DEPLOY}/kubernetes")).expect("a directory");
    let files: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    assert!(!files.is_empty());
    let output = Command::new("kubernetes-validate").arg("--strict").args(files).output();
    let output = output.expect("runs");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn the_socket_unit_asks_for_buffers_no_smaller_than_a_server_does_and_for_destinations() {
    let unit = read(Path::new("systemd").join(SOCKET));
    assert!(unit.lines().any(|line| line == "PassPacketInfo=yes"), "{unit}");
    for (setting, bytes) in
        [("ReceiveBuffer", Server::RECEIVE_BUFFER), ("SendBuffer", Server::SEND_BUFFER)]
    {
        let value = unit.lines().find_map(|line| line.strip_prefix(setting)?.strip_prefix('='));
        let megabytes = value.and_then(|value| value.strip_suffix('M')?.parse().ok());
        assert!(megabytes >= Some(bytes >> 20), "{setting}: {value:?}");
    }
}
