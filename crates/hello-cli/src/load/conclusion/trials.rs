//! The conclusions from several trials.

#[cfg(test)]
mod tests;

use hello_measure::TrialVerdict;

use super::{Conclusion, LimitedBy, Outcome, is_short, is_the_generators, risen};
use crate::load::summary::Summary;
use crate::load::throughput::{SearchBound, Throughput};
use crate::output::escape::Escaped;
use crate::output::format::thousands;
use crate::output::percent::{self, percent};

impl Conclusion {
    /// Concludes from a search, whose trials these are.
    pub fn of_search(target: &str, throughput: &Throughput, trials: &[Summary]) -> Self {
        let name = Escaped(target.as_bytes());
        let loss = match throughput.tolerance {
            0.0 => "without loss".to_owned(),
            tolerance => format!("with at most {}% loss", percent(tolerance)),
        };
        let last = trials.iter().rfind(|trial| trial.verdict != Some(TrialVerdict::Carried));
        let Some(carried) = throughput.throughput_per_s else {
            return match (throughput.bound, throughput.not_carried_per_s) {
                (SearchBound::Generator, Some(load)) => {
                    let headline = format!("{}/s could not be offered", thousands(load));
                    let found = Self::new(headline, Outcome::NotOffered);
                    last.map_or(found.clone(), |trial| found.limited_by_generator(trial))
                }
                (SearchBound::Server, Some(load)) => {
                    let headline =
                        format!("{name} answers no rate {loss}, not even {}/s", thousands(load));
                    let found = Self::new(headline, Outcome::Lost).limited_by(LimitedBy::Server);
                    last.map_or(found.clone(), |trial| found.with_rate_limit(trial))
                }
                (SearchBound::Silence, _) => {
                    let refusal = trials.last().map(Summary::refusal).unwrap_or_default();
                    let headline = format!("{name} answered no rate, and then {refusal}");
                    Self::new(headline, Outcome::Unknown)
                }
                _ => Self::interrupted_early("before any rate had a verdict"),
            };
        };
        let at_least = throughput.at_least();
        let while_burst = match throughput.bound {
            SearchBound::Server => last.map_or("", |trial| while_burst(carried, trial)),
            _ => "",
        };
        let headline = format!(
            "{name} answers {at_least}{} requests/s {loss}{while_burst}",
            thousands(carried)
        );
        let found = Self::new(headline, Outcome::Carried).at(carried as f64);
        match throughput.bound {
            SearchBound::Server => {
                let found = found.limited_by(LimitedBy::Server);
                let found = last.map_or(found.clone(), |trial| found.with_rate_limit(trial));
                // Of the trials that carried the load, the last one.
                let best = trials.iter().rfind(|trial| {
                    trial.plan.rate == Some(carried) && trial.verdict == Some(TrialVerdict::Carried)
                });
                match best.and_then(|trial| trial.trend.rise) {
                    Some(rise) if found.conclusion.next.is_none() => found
                        .and(&format!("it fell behind in a trial, whose {}", risen(rise)))
                        .next("a longer --duration"),
                    _ => found,
                }
            }
            SearchBound::Generator => {
                let found = found.at_least();
                last.map_or(found.clone(), |trial| found.limited_by_generator(trial))
            }
            SearchBound::MaxRate => found
                .at_least()
                .limited_by(LimitedBy::Plan)
                .and("no higher rate was tried")
                .next("a higher --max-rate"),
            SearchBound::Silence => {
                let refusal = trials.last().map(Summary::refusal).unwrap_or_default();
                found.at_least().and(&format!("the search ended because {refusal}"))
            }
            SearchBound::Interrupted => found.at_least().and("the search was interrupted"),
        }
    }

    /// Concludes from the trials of a sweep of `all` loads.
    pub fn of_sweep(target: &str, trials: &[Summary], all: usize) -> Self {
        let name = Escaped(target.as_bytes());
        let measured = Vec::from_iter(trials.iter().filter(|trial| !trial.interrupted));
        let is_bad = |trial: &&Summary| trial.common.lost > 0 || falls_behind(trial);
        let bad = measured.iter().position(is_bad);
        let offered = |trial: &&&Summary| !is_short(trial);
        let clean = measured[..bad.unwrap_or(measured.len())].iter().rfind(offered);
        let rate = |trial: &Summary| thousands(trial.plan.rate.unwrap_or_default());
        let bad = bad.map(|index| {
            let trial = measured[index];
            let (loss, rate) = (percent::loss(&trial.common), rate(trial));
            let what = match trial.trend.rise {
                Some(rise) if trial.common.lost == 0 => {
                    format!("falls behind at {rate}/s: {}, without loss", risen(rise))
                }
                _ => format!("loses {loss} at {rate}/s"),
            };
            (trial, what)
        });
        let found = match (clean, &bad) {
            (Some(clean), Some((trial, what))) => {
                let carried = clean.plan.rate.unwrap_or_default();
                let headline = format!(
                    "{name} answers {} requests/s without loss{}, and {what}",
                    thousands(carried),
                    while_burst(carried, trial)
                );
                Self::new(headline, Outcome::Carried).at(carried as f64)
            }
            (None, Some((trial, what))) => {
                let is_lossy = trial.common.lost > 0;
                let outcome = if is_lossy { Outcome::Lost } else { Outcome::Carried };
                Self::new(format!("{name} {what}"), outcome)
            }
            (Some(clean), None) => {
                let headline =
                    format!("{name} answers at least {} requests/s without loss", rate(clean));
                let found = Self::new(headline, Outcome::Carried);
                found.at(clean.plan.rate.unwrap_or_default() as f64).at_least()
            }
            (None, None) => match measured.last() {
                Some(trial) => {
                    let headline = format!("{}/s could not be offered", rate(trial));
                    Self::new(headline, Outcome::NotOffered)
                }
                None => return Self::interrupted_early("before the first rate was finished"),
            },
        };
        let found = match bad.map(|(trial, _)| trial) {
            Some(trial) if trial.common.lost == 0 => {
                found.limited_by(LimitedBy::Server).next("a longer --duration")
            }
            Some(trial) if trial.suspected_limit.is_some() => found.with_rate_limit(trial),
            Some(trial) if is_the_generators(trial) => found.limited_by_generator(trial),
            Some(_) => found.limited_by(LimitedBy::Server),
            None => match measured.iter().find(|trial| is_short(trial)) {
                Some(trial) => found.limited_by_generator(trial),
                None => found.limited_by(LimitedBy::Plan).next("a --sweep to higher rates"),
            },
        };
        match trials.len() {
            done if trials.last().is_some_and(Summary::is_refused) => {
                let refusal = trials.last().map(Summary::refusal).unwrap_or_default();
                found.and(&format!("at rate {done} of {all}, {refusal}"))
            }
            done if done < all || trials.iter().any(|trial| trial.interrupted) => {
                found.and(&format!("interrupted after {} of {all} rates", measured.len()))
            }
            _ => found,
        }
    }
}

/// Returns whether a load was carried, but with a growing queue.
fn falls_behind(trial: &Summary) -> bool {
    trial.trend.rise.is_some() && trial.common.lost == 0 && !is_short(trial)
}

/// Returns for how long a server carries a load, if the losses of a higher one look like a rate limit
/// below both.
fn while_burst(carried: u64, lossy: &Summary) -> &'static str {
    match lossy.suspected_limit {
        Some(limit) if carried > limit.rate.into() => " for as long as a burst lasts",
        _ => "",
    }
}
