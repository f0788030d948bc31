//! The files in `deploy`, checked by the programs that read them.

use std::collections::BTreeSet;
use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use hello_net::Server;
use hello_proto::Rate;
use rustix::process::Signal;
use serde_json::Value;

use crate::support::{
    BACK_ENDS, CLIENT, PING, SERVER, Supervisor, activated_under, exchange, have, listening, peer,
    run_in_namespace, skip, summary,
};

const DEPLOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy");
const SERVICE: &str = "hello-server.service";
const SOCKET: &str = "hello-server.socket";
/// The unit of a fleet of probes.
const FLEET: &str = "hello-ping.service";
const DROP_IN: &str = "limit-and-metrics.conf";
/// To answer in a driver.
const XDP: &str = "xdp.conf";
/// Where the units expect the programs.
const INSTALLED: &str = "/usr/local/bin/";

fn read(path: impl AsRef<Path>) -> String {
    let path = Path::new(DEPLOY).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Writes the units into a directory of the test, with the path of the built server.
fn write_units(test: &str, drop_in: Option<&str>) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    let drop_ins = directory.join(format!("{SERVICE}.d"));
    // Does not exist at the first run.
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&drop_ins).expect("a directory");
    for (from, to) in [SERVICE, SOCKET, FLEET]
        .map(|unit| (unit, directory.join(unit)))
        .into_iter()
        .chain(drop_in.map(|drop_in| (drop_in, drop_ins.join(drop_in))))
    {
        let text = read(Path::new("systemd").join(from));
        let text = [("hello-server", SERVER), ("hello-ping", PING)]
            .into_iter()
            .fold(text, |text, (name, built)| text.replace(&format!("{INSTALLED}{name}"), built));
        fs::write(to, text).expect("written");
    }
    directory
}

fn systemd_analyze(arguments: &[&str], units: &[PathBuf]) -> Output {
    let mut command = Command::new("systemd-analyze");
    command.args(arguments).args(units).output().expect("runs")
}

#[test]
fn service_exposure_is_low_with_and_without_a_drop_in() {
    let test = "service_exposure_is_low_with_and_without_a_drop_in";
    if !have("systemd-analyze", "--version", test) {
        return;
    }
    // In tenths: at most 0.5 of 10, and 1.3 with capabilities and the network of the machine.
    for (drop_in, threshold) in [(None, "5"), (Some(DROP_IN), "5"), (Some(XDP), "13")] {
        let service = write_units(test, drop_in).join(SERVICE);
        let threshold = format!("--threshold={threshold}");
        let arguments = ["--no-pager", "security", "--offline=true", &threshold];
        let output = systemd_analyze(&arguments, &[service]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn systemd_accepts_every_line_of_the_units() {
    let test = "systemd_accepts_every_line_of_the_units";
    if !have("systemd-analyze", "--version", test) {
        return;
    }
    for drop_in in [None, Some(DROP_IN), Some(XDP)] {
        let directory = write_units(test, drop_in);
        let units = [SERVICE, SOCKET, FLEET].map(|unit| directory.join(unit));
        let arguments = ["verify", "--man=no", "--recursive-errors=no"];
        let output = systemd_analyze(&arguments, &units);
        // systemd prints what it ignores. It may also complain about other units of this machine.
        let printed = String::from_utf8_lossy(&output.stderr);
        let ours: Vec<_> = printed.lines().filter(|line| line.contains("hello-")).collect();
        assert!(output.status.success() && ours.is_empty(), "{printed}");
    }
}

const CONTAINERFILE: &str = "container/Containerfile";
const DEPLOYMENT: &str = "kubernetes/deployment.yaml";
const DAEMON_SET: &str = "kubernetes/mesh/daemonset.yaml";

/// Returns the words after a prefix on one line of a file. They are a JSON array, which is also
/// valid in YAML and in a Containerfile. The first word tells the line from others.
fn words(path: &str, prefix: &str, first: &str) -> Vec<String> {
    let text = read(path);
    let arrays = text.lines().filter_map(|line| line.trim().strip_prefix(prefix));
    let arrays = arrays.map(|array| {
        let words: Vec<String> =
            serde_json::from_str(array).unwrap_or_else(|error| panic!("{path}: {error}: {array}"));
        words
    });
    let mut found: Vec<_> = arrays.filter(|words| words[0] == first).collect();
    assert_eq!(found.len(), 1, "{path}: {prefix}[{first}");
    found.remove(0)
}

/// Returns the arguments of the client that is the readiness probe.
fn probe(path: &str) -> Vec<String> {
    words(path, "command: ", "hello-client").split_off(1)
}

/// Returns the arguments of the mesh's prober, with an address where Kubernetes sets one.
fn mesh_ping() -> Vec<String> {
    let words = words(DAEMON_SET, "args: ", "--targets").into_iter();
    words.map(|word| word.replace("$(POD_IP)", "192.0.2.1")).collect()
}

/// Returns the arguments of the command that starts a unit or its drop-in. A backslash at the end of a line
/// continues it (systemd.syntax(7)).
fn start_command(unit: &str) -> Vec<String> {
    let text = read(format!("systemd/{unit}")).replace("\\\n", " ");
    let (_, command) = text.split_once(&format!("\nExecStart={INSTALLED}")).expect("a command");
    let words = command.lines().next().expect("a line").split_whitespace();
    words.skip(1).map(str::to_owned).collect()
}

#[test]
fn deployed_commands_are_valid() {
    for (program, arguments) in [
        (SERVER, start_command(SERVICE)),
        (SERVER, start_command(DROP_IN)),
        (SERVER, start_command(XDP)),
        (PING, start_command(FLEET)),
        (SERVER, words(CONTAINERFILE, "CMD ", "--bind")),
        (SERVER, words(DEPLOYMENT, "args: ", "--bind")),
        (CLIENT, probe(DEPLOYMENT)),
        (SERVER, words(DAEMON_SET, "args: ", "--bind")),
        (CLIENT, probe(DAEMON_SET)),
        (PING, mesh_ping()),
    ] {
        // The program parses its options, prints the manual page, and exits.
        let output = Command::new(program).args(&arguments).args(["--generate", "man"]).output();
        let output = output.expect("runs");
        let printed = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments:?}: {printed}");
    }
}

#[test]
fn deployed_commands_state_the_default_limit_except_in_the_example() {
    for arguments in [
        start_command(SERVICE),
        start_command(XDP),
        words(CONTAINERFILE, "CMD ", "--bind"),
        words(DEPLOYMENT, "args: ", "--bind"),
        words(DAEMON_SET, "args: ", "--bind"),
    ] {
        let [rate, burst] =
            [Rate::DEFAULT_RATE, Rate::DEFAULT_BURST].map(|number| number.to_string());
        let limit = ["--limit", &rate, "--limit-burst", &burst];
        assert!(arguments.windows(4).any(|window| *window == limit), "{arguments:?}");
    }
    assert!(start_command(DROP_IN).iter().any(|argument| argument == "--limit"));
}

#[test]
fn kubernetes_probe_is_answered_under_the_deployed_limit() {
    let mut arguments = words(DEPLOYMENT, "args: ", "--bind");
    for (deployed, free) in [("0.0.0.0", "127.0.0.1:0"), ("0.0.0.0:9990", "127.0.0.1:0")] {
        *arguments.iter_mut().find(|argument| *argument == deployed).expect("there") = free.into();
    }
    let (server, address) = listening(Command::new(SERVER).args(arguments));
    let probes: u64 = 5;
    for _ in 0..probes {
        let mut command = Command::new(CLIENT);
        let output =
            command.args(["--server", &address.to_string()]).args(probe(DEPLOYMENT)).output();
        assert!(output.expect("runs").status.success());
    }
    let summary = summary(server);
    assert_eq!((&summary["answered"], &summary["limit"]["rate"]), (&probes.into(), &1000.into()));
}

/// Returns the system calls that a filter name stands for: those of a group such as `@file-system`,
/// or the call itself.
fn expand(name: &str) -> BTreeSet<String> {
    if !name.starts_with('@') {
        return BTreeSet::from([name.to_owned()]);
    }
    let output = systemd_analyze(&["--no-pager", "syscall-filter", name], &[]);
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    // The first line is the group's name.
    let members = text.lines().skip(1).map(str::trim);
    members.filter(|line| !line.is_empty() && !line.starts_with('#')).flat_map(expand).collect()
}

/// Returns the system calls that the service may make with its drop-ins. Each line of the filter adds to
/// the earlier ones or removes from them (systemd.exec(5)).
fn allowed(units: &[&str]) -> BTreeSet<String> {
    let mut allowed = expand("@default");
    let text = String::from_iter(units.iter().map(|unit| read(format!("systemd/{unit}"))));
    for line in text.lines().filter_map(|line| line.strip_prefix("SystemCallFilter=")) {
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

/// Returns the system calls in a log of strace.
fn calls(log: &str) -> BTreeSet<String> {
    let log = fs::read_to_string(log).expect("written");
    // A line is "PID CALL(...", or reports a signal, an exit, or a resumed call.
    let calls = log.lines().filter_map(|line| {
        let (call, _) = line.split_once(' ')?.1.trim_start().split_once('(')?;
        call.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_').then_some(call)
    });
    calls.map(str::to_owned).collect()
}

#[test]
fn fleet_exposure_is_low_and_its_sandbox_allows_every_system_call() {
    let test = "fleet_exposure_is_low_and_its_sandbox_allows_every_system_call";
    if !have("systemd-analyze", "--version", test) || !have("strace", "-V", test) {
        return;
    }
    let service = write_units(test, None).join(FLEET);
    // It opens sockets itself: at most 1.2 of 10, in tenths.
    let arguments = ["--no-pager", "security", "--offline=true", "--threshold=12"];
    let output = systemd_analyze(&arguments, &[service]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));

    let [log, targets] =
        ["calls", "targets"].map(|name| format!("{}/fleet-{name}", env!("CARGO_TARGET_TMPDIR")));
    fs::write(&targets, "127.0.0.1:9\nlocalhost:9\n").expect("written");
    let mut arguments = start_command(FLEET);
    for (deployed, ours) in [("/etc/hello/targets", &*targets), ("9991", "0")] {
        let deployed = arguments.iter_mut().find(|argument| *argument == deployed);
        *deployed.expect("an argument") = ours.into();
    }
    let mut command = Command::new("strace");
    command.args(["--quiet=all", "-f", "-o", &log, PING, "-c", "3", "-i", "50ms"]);
    let output = command.args(arguments).output().expect("runs");
    // No target answers.
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let (calls, allowed) = (calls(&log), allowed(&[FLEET]));
    assert!(
        ["sendmsg", "recvmmsg", "listen"].iter().all(|call| calls.contains(*call)),
        "{calls:?}"
    );
    let forbidden: Vec<_> = calls.difference(&allowed).collect();
    assert!(forbidden.is_empty(), "{forbidden:?}");
}

#[test]
fn service_sandbox_allows_every_system_call_of_the_server() {
    let test = "service_sandbox_allows_every_system_call_of_the_server";
    if !have("systemd-analyze", "--version", test) || !have("strace", "-V", test) {
        return;
    }
    let allowed = allowed(&[SERVICE]);
    for back_end in BACK_ENDS {
        let fresh_path = |name: &str| format!("{}/{name}-{back_end}", env!("CARGO_TARGET_TMPDIR"));
        let (log, metrics) = (fresh_path("calls"), fresh_path("calls.prom"));
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
        assert_eq!([(); 2].map(|()| supervisor.next_message()), ["READY=1", "WATCHDOG=1"]);
        assert_eq!(exchange(&peer(), address, b"Tracy"), b"Hello, Tracy!");
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

        let calls = calls(&log);
        assert!(["recvmmsg", "exit_group"].iter().all(|call| calls.contains(*call)));
        assert!(calls.iter().any(|call| call.starts_with("rename")), "{calls:?}");
        let forbidden: Vec<_> = calls.difference(&allowed).collect();
        assert!(forbidden.is_empty(), "{back_end}: {forbidden:?}");
    }
}

#[test]
fn driver_sandbox_allows_every_system_call_and_its_capabilities_are_given_up() {
    let test = "driver_sandbox_allows_every_system_call_and_its_capabilities_are_given_up";
    if !have("systemd-analyze", "--version", test) || !have("strace", "-V", test) {
        return;
    }
    let drop_in = read(Path::new("systemd").join(XDP));
    let capabilities = drop_in.lines().find_map(|line| line.strip_prefix("AmbientCapabilities="));
    let capabilities = capabilities.expect("capabilities").split(' ');
    let log = format!("{}/driver-calls", env!("CARGO_TARGET_TMPDIR"));
    let arguments = [&*log].into_iter().chain(capabilities);
    let result = run_in_namespace(test, "driver_sandbox.py", &Vec::from_iter(arguments));
    let Some(result) = result else { return };
    if let Some(why) = result.get("refused") {
        skip(test, why.as_str().expect("text"));
        return;
    }
    let none = ["CapAmb", "CapEff", "CapInh", "CapPrm"].map(|set| (set, Value::from(0)));
    assert_eq!(result["left"], Value::from_iter(none));
    assert_eq!(
        (&result["attached"], &result["attached_after_a_kill"]),
        (&true.into(), &false.into())
    );
    let (calls, allowed) = (calls(&log), allowed(&[SERVICE, XDP]));
    assert!(["bpf", "capset"].iter().all(|call| calls.contains(*call)), "{calls:?}");
    let forbidden: Vec<_> = calls.difference(&allowed).collect();
    assert!(forbidden.is_empty(), "{forbidden:?}");
}

#[test]
fn socket_unit_sets_large_buffers_and_packet_info() {
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
