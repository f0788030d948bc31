//! The two commands with which the README finds a router that loses.

use super::have_lab;
use crate::support::{PING, have, run_in_namespace};

#[test]
fn two_commands_name_the_router_the_direction_and_the_times_of_losses() {
    let test = "two_commands_name_the_router_the_direction_and_the_times_of_losses";
    if !have_lab(test) || !have("tcpdump", "--version", test) {
        return;
    }
    let Some(seen) = run_in_namespace(test, "two_commands.py", &[PING]) else { return };
    for direction in ["there", "back"] {
        let text = seen[direction]["text"].as_str().expect("a text");
        let lost = lost(text);
        for part in [
            &*format!("\n{lost} of {lost} lost probes were lost on the way {direction}\n"),
            &*format!("\n  causes: {lost} silent\n"),
            "\n             outage at  lasted s  where",
            &*format!("  {direction}  "),
        ] {
            assert!(text.contains(part), "{part} {text}");
        }
        // The router drops probes of the traces, too.
        assert!(seen[direction]["dropped"].as_u64() >= Some(lost), "{seen}");
    }
    // A trace shows the way there. The next router answers from its link to the guilty one.
    let there = seen["there"]["text"].as_str().expect("a text");
    let suspects = " pass 10.80.2.2 (hop 2) and 10.80.4.2 (hop 3); no other flow does.\n";
    assert!(there.contains(suspects), "{there}");
}

/// Returns the number of lost probes, which the second line starts with.
fn lost(text: &str) -> u64 {
    let number = text.lines().nth(1).and_then(|line| line.split(' ').next());
    number.and_then(|number| number.parse().ok()).expect("a number")
}
