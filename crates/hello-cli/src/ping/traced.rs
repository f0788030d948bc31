//! The paths of a target's flows, and which of the flows lose.

use hello_measure::{LossTrigger, Path, PathEnd, PathTable, Suspect};

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
    /// The flows without any loss.
    pub clean: Vec<usize>,
}

/// What makes a flow a losing one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Probes without replies.
    Loss,
    /// No greeting at the end of the path.
    NoGreeting,
}

impl Traced {
    /// Compares flows that are only traced: those without a greeting are the losing ones.
    pub fn alone(target: Target, paths: Vec<Path>) -> Self {
        let greeted = |path: &&Path| path.end == PathEnd::Reached { greeted: true };
        let (clean, losing): (Vec<_>, Vec<_>) = paths.iter().partition(greeted);
        let [clean, losing] =
            [clean, losing].map(|paths| Vec::from_iter(paths.iter().map(|path| path.flow)));
        Self { target, paths, fault: Fault::NoGreeting, losing, clean }
    }

    /// Compares flows by their losses.
    pub fn by_loss(target: Target, paths: Vec<Path>, trigger: &LossTrigger) -> Self {
        let (losing, clean) = (trigger.losing(), trigger.clean());
        Self { target, paths, fault: Fault::Loss, losing, clean }
    }

    /// Returns the merged paths.
    pub fn table(&self) -> PathTable {
        PathTable::new(&self.paths)
    }

    /// Returns the routers that only losing flows share.
    pub fn suspects(&self) -> Vec<Suspect> {
        self.table().suspects(&self.losing, &self.clean)
    }
}
