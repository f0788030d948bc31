//! The progress of a run in text.

use std::num::NonZeroUsize;

use hello_measure::Interval;

use crate::load::progress::{Phase, Progress};
use crate::output::format::{self, count, known, thousands};
use crate::output::layout::Layout;
use crate::output::style::{BAD, paint};

/// Returns the statistics of a part of a run, in one line.
pub fn interval(layout: Layout, interval: &Interval) -> String {
    let at = format!("{:8.3} s", interval.at_s);
    let mut parts = vec![match interval.rate {
        Some(rate) => format!("{at}  {}/s:", thousands(rate)),
        None => at,
    }];
    let of = |rate: Option<f64>, number: u64, what: &str| match rate {
        Some(rate) => format!("{:>9} {what}/s", format::rate(rate)),
        None => format!("{:>9} {what}", thousands(number)),
    };
    parts.push(of(interval.sent_per_s, interval.sent, "sent"));
    parts.push(of(interval.answered_per_s, interval.answered, "answered"));
    let lost = format!("{} lost", thousands(interval.lost));
    parts.push(if interval.lost > 0 { paint(BAD, lost) } else { lost });
    parts.push(format!("{} in flight", thousands(interval.in_flight)));
    if interval.partial {
        let what = if interval.sent > 0 { "partial" } else { "waiting" };
        parts.push(format!("({what}: {:.3} s)", interval.duration_s));
    }
    layout.flow(&parts, INDENT)
}

/// Returns the status line, without those of its last parts that do not fit: half a number is another
/// number.
pub fn status(progress: &Progress, width: Option<NonZeroUsize>) -> String {
    let mut text = whole_status(progress);
    while width.is_some_and(|width| text.len() > width.get())
        && let Some(end) = text.rfind(", ").max(text.rfind("; "))
    {
        text.truncate(end);
    }
    text
}

fn whole_status(progress: &Progress) -> String {
    let mut text = String::new();
    if let Some(trial) = &progress.trial {
        text = match trial.of {
            Some(all) => format!("{} of {all} at ", trial.number),
            None => format!("trial {} at ", trial.number),
        };
        text += &format!("{}/s", thousands(trial.load.get()));
        if let Some(best) = trial.best {
            text += &format!(", best {}/s", thousands(best.get()));
        }
        text += &format!(", {} left at most; ", format::at_most(trial.left_at_most));
    }
    let interval = &progress.interval;
    text + &match progress.phase {
        Phase::WarmUp { left } => format!("warming up, {} left", format::at_most(left)),
        Phase::Waiting { at_most, is_stopped } => format!(
            "waiting {} at most for {}{}",
            format::at_most(at_most),
            match interval.in_flight {
                // Those of the warm-up are not counted.
                0 => "the last replies".to_owned(),
                number => count(number, "reply"),
            },
            if is_stopped { ", Ctrl-C again ends at once" } else { "" }
        ),
        Phase::Measuring { left, of } => {
            let mut parts = vec![];
            if let Some((done, all)) = of {
                parts.push(format!("{} of {}", thousands(done), thousands(all)));
            }
            parts.extend(left.map(|left| format!("{} left", format::at_most(left))));
            let rate = |rate| known(rate, format::rate);
            parts.push(format!("{} answered/s", rate(interval.answered_per_s)));
            parts.push(format!("{} lost", thousands(interval.lost)));
            parts.push(format!("{} sent/s", rate(interval.sent_per_s)));
            parts.push(format!("{} in flight", thousands(interval.in_flight)));
            parts.join(", ")
        }
    }
}

/// The indentation of a continued line.
const INDENT: usize = 12;
