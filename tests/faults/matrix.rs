//! Every error that the system can report, at every call with which a server receives and sends.

use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use super::faulty;
use crate::support::{count, exchange, have, peer, receive, settled, summary};

/// A system call of a back end that fails a few times in a row.
#[derive(Clone, Copy, Debug)]
struct Row {
    back_end: &'static str,
    call: &'static str,
    /// The error as strace names it.
    fault: &'static str,
    times: usize,
    /// The number of these failures that are counted, and their class.
    counted: usize,
    class: &'static str,
}

impl Row {
    fn fault(&self) -> String {
        format!("{}:{}:when=1..{}", self.call, self.fault, self.times)
    }

    /// Returns the counts that must not be zero.
    fn counts(&self) -> Vec<(&str, u64)> {
        let counts = [(self.class, self.counted as u64)];
        counts.into_iter().filter(|(_, count)| *count > 0).collect()
    }
}

/// The errors that the system may report, and the class of each.
const ERRORS: [(&str, &str); 22] = [
    ("error=EINTR", "interrupted"),
    ("error=EAGAIN", "would-block"),
    ("error=ENOBUFS", "no-buffers"),
    ("error=ENOMEM", "no-buffers"),
    ("error=EPERM", "denied"),
    ("error=EACCES", "denied"),
    ("error=ENETDOWN", "unreachable"),
    ("error=ENETUNREACH", "unreachable"),
    ("error=EHOSTUNREACH", "unreachable"),
    ("error=ECONNREFUSED", "refused"),
    ("error=EINVAL", "invalid"),
    ("error=EADDRNOTAVAIL", "invalid"),
    ("error=EMSGSIZE", "too-long"),
    ("error=EPROTO", "protocol-error"),
    ("error=ENOPROTOOPT", "protocol-error"),
    ("error=EHOSTDOWN", "unreachable"),
    ("error=EIO", "other"),
    ("error=EPIPE", "other"),
    ("error=EBADF", "other"),
    ("error=ECONNRESET", "other"),
    ("error=EOPNOTSUPP", "protocol-error"),
    ("error=ENOSYS", "other"),
];

/// The system calls with which each back end sends a single reply, and receives.
const SENDS: [(&str, &str); 2] = [("native", "sendmsg"), ("portable", "sendmsg")];
const RECEIVES: [(&str, &str); 5] = [
    ("native", "recvmmsg"),
    ("portable", "recvmmsg"),
    // It polls the socket briefly.
    ("portable", "ppoll"),
    // The call with which an idle server waits.
    ("native", "epoll_pwait"),
    ("portable", "epoll_pwait"),
];

/// Returns a row for each error at each of the calls, three times in a row. `counted` returns how
/// many of the three are counted.
fn rows(
    calls: &[(&'static str, &'static str)],
    counted: fn(&str, &str, &str) -> usize,
) -> Vec<Row> {
    let mut rows = Vec::new();
    for &(back_end, call) in calls {
        for (fault, class) in ERRORS {
            let counted = counted(back_end, call, fault);
            rows.push(Row { back_end, call, fault, times: 3, counted, class });
        }
    }
    rows
}

/// Checks rows in parallel, because most of their time is waiting.
fn for_each<T: Send>(rows: Vec<T>, check: impl Fn(T) + Sync) {
    let rows = Mutex::new(rows.into_iter());
    let next = || rows.lock().expect("no panic").next();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while let Some(row) = next() {
                    check(row);
                }
            });
        }
    });
}

/// Returns the counts that are not zero.
fn nonzero(counts: &Value) -> Vec<(&str, u64)> {
    let counts = counts.as_object().expect("counts").iter();
    counts.map(|(class, n)| (&**class, count(n))).filter(|(_, count)| *count > 0).collect()
}

#[test]
fn failed_send_is_counted_and_the_next_reply_sent() {
    let test = "failed_send_is_counted_and_the_next_reply_sent";
    if !have("strace", "-V", test) {
        return;
    }
    let mut rows = rows(&SENDS, |back_end, _, fault| match (back_end, fault) {
        // A signal costs no reply.
        (_, "error=EINTR") => 0,
        // `quinn-udp` itself repeats the first one.
        ("portable", "error=EINVAL" | "error=EIO") => 2,
        _ => 3,
    });
    let (back_end, call) = SENDS[0];
    let row = |fault, times, counted, class| Row { back_end, call, fault, times, counted, class };
    // Only signals, and a system that sends nothing and gives no reason.
    rows.push(row("error=EINTR", 9, 1, "interrupted"));
    rows.push(row("retval=0", 3, 3, "other"));
    for_each(rows, |row| {
        let (server, address, mut faults) = faulty(&row.fault(), &["--backend", row.back_end]);
        // Each from its own source, because replies to one source may leave together.
        let clients = Vec::from_iter((0..row.counted.max(1)).map(|_| peer()));
        for client in &clients {
            // One after the other, so that each reply is a call of its own.
            client.send_to(b"first", address).expect("sent");
            faults.next().unwrap_or_else(|| panic!("{row:?}: no call"));
        }
        let more = row.times - clients.len();
        assert_eq!(faults.by_ref().take(more).count(), more, "{row:?}");
        assert_eq!(exchange(&peer(), address, b"second"), b"Hello, second!", "{row:?}");
        let summary = summary(server);
        assert_eq!(nonzero(&summary["send_failed"]), row.counts(), "{row:?}: {summary}");
        let received = clients.len() + 1;
        assert_eq!(summary["answered"], received - row.counted, "{row:?}: {summary}");
        assert_eq!(summary["received"], received, "{row:?}: {summary}");
        assert_eq!(settled(&summary), received as u64, "{row:?}: {summary}");
    });
}

#[test]
fn server_survives_receive_errors() {
    if !have("strace", "-V", "server_survives_receive_errors") {
        return;
    }
    let mut rows = rows(&RECEIVES, |back_end, call, fault| match (back_end, call, fault) {
        // This looks like the end of an idle wait.
        (_, _, "error=EAGAIN") => 0,
        // `quinn-udp` itself tries again.
        ("portable", "recvmmsg", "error=EINTR") => 0,
        _ => 3,
    });
    // Briefly nothing; an idle server does not receive again before it has waited.
    rows.retain(|row| (row.call, row.fault) != ("ppoll", "error=EAGAIN"));
    // More failures than a socket is given up for, if the socket must be the cause. This takes
    // longest.
    for (back_end, call) in RECEIVES {
        let (fault, class) = ("error=ENETDOWN", "unreachable");
        rows.insert(0, Row { back_end, call, fault, times: 13, counted: 13, class });
    }
    for_each(rows, |row| {
        let (server, address, mut faults) = faulty(&row.fault(), &["--backend", row.back_end]);
        let client = peer();
        if row.call == "recvmmsg" {
            // An idle server receives only when a datagram is queued.
            client.send_to(b"Tracy", address).expect("sent");
        }
        assert_eq!(faults.by_ref().take(row.times).count(), row.times, "{row:?}");
        if row.call != "recvmmsg" {
            client.send_to(b"Tracy", address).expect("sent");
        }
        assert_eq!(receive(&client), (b"Hello, Tracy!".to_vec(), address), "{row:?}");
        let summary = summary(server);
        let mut errors = nonzero(&summary["receive_errors"]);
        if row.class == "interrupted" && row.counted > 0 {
            // Real signals may add to the count.
            errors.iter_mut().for_each(|(_, count)| *count = (*count).min(row.counted as u64));
        } else {
            errors.retain(|(class, _)| *class != "interrupted");
        }
        assert_eq!(errors, row.counts(), "{row:?}: {summary}");
        assert_eq!(summary["answered"], 1, "{row:?}: {summary}");
        assert_eq!(count(&summary["received"]), settled(&summary), "{row:?}: {summary}");
    });
}

#[test]
fn no_lasting_fault_makes_a_server_spin_or_unstoppable() {
    let test = "no_lasting_fault_makes_a_server_spin_or_unstoppable";
    if !have("strace", "-V", test) {
        return;
    }
    // The first 16 that take no time cost nothing, and each later one costs a millisecond.
    let hasty = |receives: u64| Duration::from_millis(receives - 16);
    // Each of the others costs twice as much as the one before.
    let growing = |receives: u64| Duration::from_millis((1 << receives) - 1);
    let mut rows = vec![
        ("native", "recvmmsg", "EAGAIN", "would-block", 100, hasty(100)),
        ("native", "recvmmsg", "EINTR", "interrupted", 100, hasty(100)),
        // It receives before it waits, and again afterwards.
        ("portable", "recvmmsg", "EAGAIN", "would-block", 200, hasty(100)),
        ("native", "epoll_pwait", "EAGAIN", "would-block", 100, hasty(100)),
        ("portable", "epoll_pwait", "EAGAIN", "would-block", 100, hasty(100)),
        ("portable", "ppoll", "EINTR", "interrupted", 100, hasty(100)),
    ];
    for (back_end, call) in RECEIVES {
        for (error, class) in
            [("ENETDOWN", "unreachable"), ("ENOMEM", "no-buffers"), ("EPERM", "denied")]
        {
            // After a failed wait, a receive call waits for 20 ms.
            let waits = Duration::from_millis(20 * 8);
            let pauses = if call == "epoll_pwait" { waits } else { growing(9) };
            rows.push((back_end, call, error, class, 9, pauses));
        }
    }
    for_each(rows, |row| {
        let (back_end, call, error, class, times, pauses) = row;
        let (server, address, mut faults) =
            faulty(&format!("{call}:error={error}"), &["--backend", back_end]);
        if call == "recvmmsg" {
            // Its wait ends at once, and still nothing is received.
            peer().send_to(b"Tracy", address).expect("sent");
        }
        let start = faults.next().expect("a call");
        let took = faults.nth(times - 1).expect("a call") - start;
        assert!(took >= pauses, "{row:?}: {times} calls in {took:?}");

        server.signal(Signal::TERM);
        let made = (1 + times + faults.count()) as u64;
        let summary = summary(server);
        let counted = count(&summary["receive_errors"][class]);
        match class {
            "would-block" => assert_eq!(counted, 0, "{row:?}"),
            // Real signals may add to the count.
            "interrupted" => assert!(counted >= made, "{row:?}: {made} calls, {counted} counted"),
            _ => assert_eq!(counted, made, "{row:?}"),
        }
        assert_eq!(count(&summary["received"]), settled(&summary), "{row:?}: {summary}");
    });
}

#[test]
fn empty_receive_calls_do_not_make_a_server_spin() {
    let test = "empty_receive_calls_do_not_make_a_server_spin";
    if !have("strace", "-V", test) {
        return;
    }
    for back_end in ["native", "portable"] {
        let (server, address, mut faults) = faulty("recvmmsg:retval=0", &["--backend", back_end]);
        peer().send_to(b"Tracy", address).expect("sent");
        let start = faults.next().expect("a call");
        let took = faults.nth(99).expect("a call") - start;
        assert!(took >= Duration::from_millis(100 - 16), "{back_end}: 100 calls in {took:?}");
        server.signal(Signal::TERM);
        faults.for_each(drop);
        assert_eq!(summary(server)["received"], 0);
    }
}
