//! The paths of a target's flows, and which of the flows lose.

use hello_measure::{LossTrigger, Path, PathEnd, PathTable, Separation, Suspect};

use super::Target;

/// The traces of a target, compared.
#[derive(Clone, Debug)]
pub struct Traced {
    /// The target.
    pub target: Target,
    /// The path of each flow that was traced.
    pub paths: Vec<Path>,
    /// What is wrong with the losing flows.
    pub fault: Fault,
    /// The losing flows.
    pub losing: Vec<usize>,
    /// The flows to compare them with: with greetings, or with no more loss than the threshold.
    pub clean: Vec<usize>,
    /// Whether the other kind of server replied.
    pub has_other_peer: bool,
}

/// What makes a flow a losing one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// A larger share of probes without replies than this, from 0 to 1.
    Loss(f64),
    /// No greeting at the end of the path.
    NoGreeting,
}

impl Traced {
    /// Compares flows that are only traced: those without a greeting are the losing ones. One whose
    /// trace was ended early, or whose probes were not sent, is none of either.
    pub fn alone(target: Target, paths: Vec<Path>) -> Self {
        let (mut clean, mut losing) = (Vec::new(), Vec::new());
        for path in &paths {
            match path.end {
                PathEnd::Reached { greeted: true } => clean.push(path.flow),
                PathEnd::Unfinished | PathEnd::NotSent => {}
                _ => losing.push(path.flow),
            }
        }
        let (fault, has_other_peer) = (Fault::NoGreeting, false);
        Self { target, paths, fault, losing, clean, has_other_peer }
    }

    /// Compares flows by their losses.
    pub fn by_loss(target: Target, paths: Vec<Path>, trigger: &LossTrigger) -> Self {
        let (losing, clean) = (trigger.losing(), trigger.clean());
        // The summary of the probes tells of another peer.
        let (fault, has_other_peer) = (Fault::Loss(trigger.threshold()), false);
        Self { target, paths, fault, losing, clean, has_other_peer }
    }

    /// Returns the merged paths.
    pub fn table(&self) -> PathTable {
        PathTable::new(&self.paths)
    }

    /// Returns the routers that only losing flows share.
    pub fn suspects(&self) -> Vec<Suspect> {
        self.table().suspects(&self.losing, &self.clean)
    }

    /// Returns the router that best separates the losing flows from the others.
    pub fn separation(&self) -> Option<Separation> {
        self.table().separation(&self.losing, &self.clean)
    }
}

#[cfg(test)]
mod tests {
    use hello_measure::Cause;

    use super::*;
    use crate::ping::fixtures::target;

    #[test]
    fn flow_whose_trace_was_ended_early_is_neither_losing_nor_clean() {
        let ends = [
            PathEnd::Reached { greeted: true },
            PathEnd::Unfinished,
            PathEnd::Reached { greeted: false },
            PathEnd::NotSent,
            PathEnd::Unreachable(Cause::SILENT),
            PathEnd::Silent,
            PathEnd::MaxHops,
        ];
        let path = |(flow, end)| Path { flow, hops: Vec::new(), end };
        let paths = ends.into_iter().enumerate().map(path).collect();
        let traced = Traced::alone(target(), paths);
        assert_eq!((traced.clean, traced.losing), (vec![0], vec![2, 4, 5, 6]));
    }
}
