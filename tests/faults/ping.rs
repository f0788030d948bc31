//! `hello-ping` with failing system calls.

use super::injected;
use crate::support::{Finished, PING, have, server, summary};

#[test]
fn system_without_receive_timestamps_is_probed_with_the_time_of_this_process() {
    let test = "system_without_receive_timestamps_is_probed_with_the_time_of_this_process";
    if !have("strace", "-V", test) {
        return;
    }
    // The second option that it sets is the one that finds out. Emulators of Linux do not have it.
    let mut command = injected("setsockopt:error=ENOPROTOOPT:when=2", PING);
    let (server, address) = server(&["--bind", "127.0.0.1:0"]);
    command.args(["-c", "2", "-i", "20ms", &address.to_string()]);
    let Finished { out, err, status } = command.output().expect("runs").into();
    assert_eq!((&*err, status), ("", Some(0)));
    let clocks = "clocks: sent by this process, received by this process";
    assert!(out.contains(clocks) && out.contains("2 received, 0% packet loss"), "{out}");
    assert_eq!(summary(server)["answered"], 2);
}
