//! Descriptions of a run without an answer.

use hello_measure::NoAnswer;

/// Describes why there was no answer, in one line.
pub const fn describe(no_answer: NoAnswer) -> &'static str {
    match no_answer {
        NoAnswer::Refused => {
            "no reply: refused (no server is listening on that port, or a firewall rejects it)"
        }
        NoAnswer::Late => "no reply in time: some were late",
        NoAnswer::Unrelated => "no reply: only corrupt or unrelated datagrams",
        NoAnswer::Errors => "no reply: only errors",
        NoAnswer::Silent => "no reply: silent (no error was reported)",
    }
}
