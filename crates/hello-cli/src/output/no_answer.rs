//! Descriptions of a run without an answer.

use std::time::Duration;

use hello_measure::NoAnswer;

use super::format::duration;

/// Describes why there was no answer in the time after which a request is lost, in one line.
pub fn describe(no_answer: NoAnswer, timeout: Duration) -> String {
    let text = match no_answer {
        NoAnswer::Refused => "no reply: refused (no server on that port, or a firewall)",
        NoAnswer::Late => "no reply in time: some were late",
        NoAnswer::Unrelated => "no reply: only corrupt or unrelated datagrams",
        NoAnswer::Errors => "no reply: only errors",
        // The server may have answered after the run.
        NoAnswer::Silent => {
            return format!("no reply within {}, and no error was reported", duration(timeout));
        }
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_lasts_as_long_as_a_reply_was_awaited() {
        let text = describe(NoAnswer::Silent, Duration::from_millis(100));
        assert_eq!(text, "no reply within 100ms, and no error was reported");
    }
}
