//! Independent peers: the protocol in a few lines of Python.

use std::process::Command;

use serde_json::json;

use crate::support::{Process, client, have, server, start_client, summary};

const GREETER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/peers/greeter.py");
const PYTHON_CLIENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/peers/client.py");

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn any_bytes(len: usize) -> Vec<u8> {
    (0..=u8::MAX).cycle().take(len).collect()
}

#[test]
fn our_client_works_with_a_python_server() {
    if !have("python3", "--version", "our_client_works_with_a_python_server") {
        return;
    }
    let mut greeter = Process::start(Command::new("python3").arg(GREETER));
    let address = format!("127.0.0.1:{}", greeter.line());

    let tutorial = client(&["--server", &address]);
    assert_eq!(tutorial.out, "Hello, Michael!\nHello, Tracy!\nHello, Sarah!\n");
    assert_eq!((&*tutorial.err, tutorial.status), ("", Some(0)));

    // Any bytes, including NUL, except the newline, which separates names here.
    let mut names = vec![Vec::new(), b"\0".to_vec(), b"Hello, World!".to_vec()];
    names.extend([1, 1016, 1024, 1025, 65_499].map(any_bytes));
    names.iter_mut().flatten().filter(|byte| **byte == b'\n').for_each(|byte| *byte = b'?');
    let mut start_client = start_client(&address, &["--json", "-"]);
    assert_eq!(start_client.json()["servers"], json!([address]));
    for name in &names {
        start_client.write(&[name, &b"\n"[..]].concat());
        let line = start_client.json();
        assert_eq!((&line["event"], &line["attempts"]), (&json!("greeting"), &json!(1)));
        let expected = match str::from_utf8(name) {
            Ok(text) => (json!(text), json!(null)),
            Err(_) => (json!(null), json!(hex(name))),
        };
        assert_eq!((line["name"].clone(), line["name_hex"].clone()), expected);
    }
    start_client.close_input();
    assert_eq!(start_client.finish(), (vec![], Some(0)));
}

/// Sends names from Python. Those marked `false` must get no reply.
fn greet_from_python(port: u16, names: &[(Vec<u8>, bool)]) {
    let port = port.to_string();
    let mut python = Process::start(Command::new("python3").args([PYTHON_CLIENT, &port]));
    for (name, answered) in names {
        let mark = if *answered { "" } else { "!" };
        python.write(format!("{mark}{}\n", hex(name)).as_bytes());
        if *answered {
            assert_eq!(python.line(), hex(&[b"Hello, ", &name[..], b"!"].concat()));
        }
    }
    python.close_input();
    assert_eq!(python.finish(), (vec![], Some(0)));
}

#[test]
fn python_client_works_with_our_server() {
    if !have("python3", "--version", "python_client_works_with_our_server") {
        return;
    }
    let (server, address) = server(&["--bind", "127.0.0.1:0"]);
    let mut names = vec![(b"Michael".to_vec(), true), (any_bytes(256), true)];
    names.extend([0, 1, 1016, 1024].map(|len| (any_bytes(len), true)));
    names.extend([1025, 65_499].map(|len| (any_bytes(len), false)));
    names.push((b"after what was refused".to_vec(), true));
    greet_from_python(address.port(), &names);

    let summary = summary(server);
    assert_eq!(summary["received"], 9);
    assert_eq!(summary["answered"], 7);
    assert_eq!(summary["refused"]["name-too-long"], 2);
}

#[test]
fn python_client_gets_the_longest_greeting_if_allowed() {
    let test = "python_client_gets_the_longest_greeting_if_allowed";
    if !have("python3", "--version", test) {
        return;
    }
    let (server, address) = server(&["--bind", "127.0.0.1:0", "--max-name", "65499", "--quiet"]);
    let names = [1025, 9000, 65_498, 65_499].map(|len| (any_bytes(len), true));
    greet_from_python(address.port(), &names);
    assert_eq!(summary(server)["answered"], 4);
}
