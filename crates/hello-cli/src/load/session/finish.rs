//! The end of a session: results, exports and the exit status.

use std::error::Error;
use std::process::ExitCode;

use super::Session;
use crate::load::args::Mode;
use crate::load::conclusion::Conclusion;
use crate::load::output::{json, plot, text};
use crate::load::throughput::Sweep;
use crate::output::options::print_export;
use crate::output::{Format, allow_closed};

impl Session<'_> {
    fn conclusion(&self) -> Option<Conclusion> {
        if let Some(reason) = &self.no_contact {
            return Some(Conclusion::no_answer(reason.clone()));
        }
        let (target, results) = (&self.target, &self.results);
        match (&self.mode, &self.throughput) {
            (Mode::Sweep(loads), _) => Some(Conclusion::of_sweep(target, results, loads.len())),
            (_, Some(throughput)) => Some(Conclusion::of_search(target, throughput, results)),
            _ => results.first().map(Conclusion::of_run),
        }
    }

    /// Returns whether nothing was due after the warm-up, in which the server answered.
    fn is_only_warm(&self) -> bool {
        let is_unmeasured = self.results.iter().all(|summary| summary.common.due() == 0);
        self.is_reached && self.no_contact.is_none() && is_unmeasured
    }

    /// Prints the results, writes the exports, and returns the exit status.
    pub(crate) fn finish(self) -> Result<ExitCode, Box<dyn Error>> {
        let conclusion = self.conclusion();
        let is_only_warm = self.is_only_warm();
        // From now on, the first signal has the effect of the second one.
        drop(self.signals);
        let (results, throughput) = (&self.results, self.throughput.as_ref());
        let sweep = match &self.mode {
            Mode::Sweep(loads) => Some(Sweep {
                loads: loads.len(),
                measured: results.len(),
                interrupted: self.stopped,
            }),
            _ => None,
        };
        let totals = conclusion.as_ref().map(|conclusion| json::Totals {
            started_at: self.origin.started_at,
            conclusion,
            throughput,
            sweep: sweep.as_ref(),
        });
        let (is_text, layout) = (self.args.common.format() == Format::Text, self.layout);
        let lines = totals.iter().map(|totals| {
            let conclusion = totals.conclusion;
            match (results.first(), throughput, &sweep) {
                (_, Some(found), _) if is_text => text::throughput(layout, conclusion, found),
                (_, Some(_), _) => json::throughput(totals),
                (_, _, Some(_)) if is_text => text::sweep(layout, conclusion, results),
                (_, _, Some(_)) => json::sweep(totals),
                (Some(summary), ..) if is_text => {
                    text::summary::summary(layout, conclusion, summary)
                }
                (Some(summary), ..) => json::summary(conclusion, summary),
                (None, None, None) => text::conclusion(layout, conclusion),
            }
        });
        self.out.close(lines.collect());
        let (last, mut exported) = (&self.last, Vec::new());
        let start = self.origin.started_at;
        let draw = || match self.mode {
            Mode::Single => plot::run(&self.target, &self.plan, last, results.first(), start),
            _ => plot::loads(&self.target, &self.plan, results, throughput, start),
        };
        // A failure, or a reader that does not read, does not prevent the other outputs.
        let written = self.args.outputs.write(results, totals.as_ref(), &mut exported, draw);
        let printed = allow_closed(self.out.finish(self.stopped))
            .and_then(|()| allow_closed(print_export(&exported, self.stopped)));
        written?;
        printed?;
        let good = match throughput {
            Some(throughput) => throughput.throughput_per_s.is_some(),
            None => results.iter().any(|summary| summary.common.answered > 0) || is_only_warm,
        };
        Ok(ExitCode::from(u8::from(!good)))
    }
}
