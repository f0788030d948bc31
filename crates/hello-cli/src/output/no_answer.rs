//! Why nothing was answered, in words.

use hello_measure::NoAnswer;

/// Describes what there was instead of an answer, in one line.
pub const fn describe(no_answer: NoAnswer) -> &'static str {
    match no_answer {
        NoAnswer::Refused => "no answer: refused (nothing listens there)",
        NoAnswer::Late => "no answer in time",
        NoAnswer::Unrelated => "no valid reply; only unrelated datagrams",
        NoAnswer::Errors => "no answer, but errors",
        NoAnswer::Silent => "no answer and no error: silent",
    }
}
