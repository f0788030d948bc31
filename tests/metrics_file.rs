//! `--metrics-file`: hung and full file systems, and paths that are refused.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::Signal;

use crate::observability::{ANSWERED, fresh_path, metric};
use crate::support::{
    Finished, PING, Process, SERVER, can_unshare, exchange, listening, peer, server, skip, summary,
};

/// An address where no server answers.
const CLOSED_PORT: &str = "127.78.0.1:9";

/// Returns the names in the file's directory.
fn names(file: &Path) -> Vec<String> {
    let entries = fs::read_dir(file.parent().expect("a directory")).expect("readable");
    let name = |entry: fs::DirEntry| entry.file_name().into_string().expect("UTF-8");
    let mut names = Vec::from_iter(entries.map(|entry| name(entry.expect("readable"))));
    names.sort_unstable();
    names
}

/// Returns a command that runs a tool in its own mount namespace, after a script that mounts a file
/// system at the directory, its `$0`.
fn mounted(mount: &str, directory: &Path, tool: &str) -> Command {
    let mut command = Command::new("unshare");
    let script = format!("{mount} && exec \"$@\"");
    command.args(["--mount", "sh", "-c", &script]).arg(directory).arg(tool);
    command
}

/// Mounts a file system whose server never answers, as can happen over a network. The tool inherits
/// the descriptor that keeps it alive.
const HUNG: &str = "exec 3<>/dev/fuse && \
    mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 hung \"$0\"";

/// Returns whether such a file system can be mounted here; see [`skip`].
fn can_hang(test: &str) -> bool {
    if !can_unshare(test) {
        return false;
    }
    let file = fresh_path(&format!("{test}_attempt"));
    let directory = file.parent().expect("a directory");
    let output = mounted(HUNG, directory, "true").output();
    output.is_ok_and(|output| output.status.success())
        || skip(test, "no file system of FUSE can be mounted")
}

#[test]
fn hung_file_system_delays_neither_replies_nor_the_exit() {
    let test = "hung_file_system_delays_neither_replies_nor_the_exit";
    if !can_hang(test) {
        return;
    }
    let file = fresh_path(test);
    let mut command = mounted(HUNG, file.parent().expect("a directory"), SERVER);
    command.args(["--bind", "127.0.0.1:0", "--quiet", "--metrics-file"]).arg(&file);
    let (mut server, address) = listening(&mut command);
    assert_eq!(exchange(&peer(), address, b"Tracy"), b"Hello, Tracy!");
    let line = server.json();
    let expected = format!(
        "cannot write the metrics file {file:?}: its file system does not respond; is it mounted \
         over a network?"
    );
    assert_eq!((&line["event"], &line["error"]), (&"error".into(), &expected.into()));
    server.signal(Signal::USR1);
    assert_eq!(server.json()["event"], "snapshot");
    server.signal(Signal::TERM);
    let (lines, status) = server.finish();
    assert_eq!((lines.len(), status), (1, Some(2)), "the counts are not in the file");
}

#[test]
fn signal_ends_a_server_that_hangs_on_its_metrics_file_at_start() {
    let test = "signal_ends_a_server_that_hangs_on_its_metrics_file_at_start";
    if !can_hang(test) {
        return;
    }
    let file = fresh_path(test);
    let mut command = mounted(HUNG, file.parent().expect("a directory"), SERVER);
    command.args(["--bind", "127.0.0.1:0", "--metrics-file"]).arg(&file);
    let server = Process::start(&mut command);
    // The shell has no second thread; the server has one that writes the file.
    while server.threads() < 2 {}
    server.signal(Signal::TERM);
    assert_eq!(server.finish(), (vec![], None));
}

#[test]
fn hung_file_system_costs_ping_no_summary() {
    let test = "hung_file_system_costs_ping_no_summary";
    if !can_hang(test) {
        return;
    }
    let file = fresh_path(test);
    let mut command = mounted(HUNG, file.parent().expect("a directory"), PING);
    command.args(["-c", "1", "-W", "10ms", CLOSED_PORT, "--metrics-file"]).arg(&file);
    let Finished { out, err, status } = command.output().expect("runs").into();
    assert!(out.contains(" ping statistics ---\n"), "{out}");
    assert!(err.contains("its file system does not respond"), "{err}");
    assert_eq!(status, Some(2));
}

#[test]
fn metrics_path_that_is_not_a_regular_file_is_refused_at_start() {
    let file = fresh_path("metrics_path_that_is_not_a_regular_file_is_refused_at_start");
    let [pipe, link] = ["pipe.prom", "link.prom"].map(|name| file.with_file_name(name));
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a new name");
    symlink("/dev/null", &link).expect("a new name");
    let directory = PathBuf::from(file.parent().expect("a directory"));
    for (path, kind) in [
        (Path::new("/dev/null"), "a device"),
        (Path::new("/dev/stdout"), "a symbolic link"),
        (Path::new("/"), "a directory"),
        (&directory, "a directory"),
        (&pipe, "a pipe (FIFO)"),
        (&link, "a symbolic link"),
    ] {
        let expected = format!(
            "cannot write the metrics file {path:?}: it is {kind}; choose a new name or a regular \
             file, which is replaced\n"
        );
        for (tool, name, arguments) in [
            (SERVER, "hello-server", ["--quiet", "--bind", "127.0.0.1:0"]),
            (PING, "hello-ping", ["-q", "-c1", CLOSED_PORT]),
        ] {
            let mut command = Command::new(tool);
            command.args(arguments).arg("--metrics-file").arg(path);
            let Finished { err, status, .. } = command.output().expect("runs").into();
            assert_eq!((err, status), (format!("{name}: {expected}"), Some(2)));
        }
    }
    assert!(fs::metadata("/dev/null").expect("there").file_type().is_char_device());
    assert!(fs::symlink_metadata("/dev/stdout").expect("there").is_symlink());
    assert!(fs::symlink_metadata(&pipe).expect("there").file_type().is_fifo());
    assert_eq!(fs::read_link(&link).expect("a link"), Path::new("/dev/null"));
    assert_eq!(names(&file), ["link.prom", "pipe.prom"], "no other file was created");
}

#[test]
fn metrics_file_never_follows_a_planted_link() {
    let file = fresh_path("metrics_file_never_follows_a_planted_link");
    let victim = file.with_file_name("victim");
    fs::write(&victim, "precious").expect("a new name");
    let path = file.to_str().expect("UTF-8");
    let (mut server, _) = server(&["--bind", "127.0.0.1:0", "--quiet", "--metrics-file", path]);
    let deadline = Instant::now() + Duration::from_secs(20);
    // A link placed just before the file is replaced is replaced too.
    let error = loop {
        assert!(Instant::now() < deadline, "no error");
        let link = file.with_file_name("link");
        symlink(&victim, &link).expect("a new name");
        fs::rename(link, &file).expect("ours");
        server.signal(Signal::USR1);
        let line = server.json();
        if line["event"] == "error" {
            break line["error"].as_str().expect("text").to_owned();
        }
    };
    assert!(error.contains("it is a symbolic link"), "{error}");
    server.signal(Signal::TERM);
    assert_eq!(server.finish().1, Some(2));
    assert_eq!(fs::read_to_string(victim).expect("there"), "precious");
}

#[test]
fn full_file_system_keeps_the_last_complete_metrics_file() {
    let test = "full_file_system_keeps_the_last_complete_metrics_file";
    if !can_unshare(test) {
        return;
    }
    let file = fresh_path(test);
    let mount = "mount -t tmpfs -o size=64k tiny \"$0\"";
    let mut command = mounted(mount, file.parent().expect("a directory"), SERVER);
    command.args(["--bind", "127.0.0.1:0", "--quiet", "--metrics-file"]).arg(&file);
    let (mut server, address) = listening(&mut command);
    // The file system is mounted only in the server's namespace.
    let file = Path::new("/proc").join(format!("{}/root{}", server.id(), file.display()));
    let before = fs::read_to_string(&file).expect("there from the start");
    let filler = file.with_file_name("filler");
    fs::write(&filler, [0; 1 << 17]).expect_err("no space left");
    assert_eq!(exchange(&peer(), address, b"Tracy"), b"Hello, Tracy!");
    server.signal(Signal::USR1);
    let error = loop {
        let line = server.json();
        if line["event"] == "error" {
            break line["error"].as_str().expect("text").to_owned();
        }
    };
    assert!(error.contains("No space left on device"), "{error}");
    assert_eq!(fs::read_to_string(&file).expect("there"), before);
    assert_eq!(names(&file), ["filler", "hello-server.prom"]);
    fs::remove_file(filler).expect("there");
    while metric(&fs::read_to_string(&file).expect("there"), ANSWERED) == Some(0) {
        server.signal(Signal::USR1);
        assert_eq!(server.json()["event"], "snapshot");
    }
    assert_eq!(summary(server)["answered"], 1);
}

#[test]
fn next_process_removes_the_unfinished_file_of_a_killed_one() {
    let file = fresh_path("next_process_removes_the_unfinished_file_of_a_killed_one");
    let path = file.to_str().expect("UTF-8");
    for name in ["hello-server.prom.0123456789aB.unfinished", "other.prom.0123456789aB.unfinished"]
    {
        fs::write(file.with_file_name(name), "half").expect("a new name");
    }
    let (server, _) = server(&["--bind", "127.0.0.1:0", "--quiet", "--metrics-file", path]);
    let expected = ["hello-server.prom", "other.prom.0123456789aB.unfinished"];
    assert_eq!(names(&file), expected, "files of others are kept");
    summary(server);
}

#[test]
fn umask_decides_who_can_read_the_metrics() {
    for (umask, mode) in [("022", 0o644), ("077", 0o600)] {
        let file = fresh_path(&format!("the_metrics_are_readable_{umask}"));
        let mut command = Command::new("sh");
        let script = format!("umask {umask} && exec \"$@\"");
        command.args(["-c", &script, "sh", PING, "-q", "-c1", "-W", "10ms", CLOSED_PORT]);
        // A name without a directory is in the working directory.
        command.arg("--metrics-file").args(file.file_name());
        let mut ping = Process::start(command.current_dir(file.parent().expect("a directory")));
        assert_eq!(ping.exit_status(), Some(1));
        let found = fs::metadata(&file).expect("there").permissions();
        assert_eq!(found.mode() & 0o777, mode);
    }
}
