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
        let verdict = text.lines().nth(1).expect("a verdict");
        // The last losses are not known if the capture ends too soon behind them.
        let known = verdict.split_once(", ").map_or(verdict, |(known, _)| known);
        let [placed, lost] = [0, 2].map(|word| number(known, word));
        let expected = format!("{placed} of {lost} lost probes were lost on the way {direction}");
        assert_eq!(known, expected, "{text}");
        let rest = lost - placed;
        let rest = if rest > 0 { format!(", {rest} not known") } else { String::new() };
        assert_eq!(verdict, expected + &rest, "{text}");
        for part in [
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

/// Returns a number that is a word of a text.
fn number(text: &str, word: usize) -> u64 {
    text.split(' ').nth(word).and_then(|word| word.parse().ok()).expect("a number")
}
