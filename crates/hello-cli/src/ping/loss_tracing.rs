//! Traces of flows that lose probes, during a run.

use hello_measure::{LossTrigger, Path, ReplyKind};
use hello_net::{ProbeEvent, ProbeEventKind, TraceHandle};

use super::Target;
use super::traced::Traced;

/// Requests the trace of each flow that loses, and keeps the paths.
///
/// A flow is traced as soon as its loss exceeds the threshold, because the fault may be over later.
/// If one was, the others are traced when all probes are sent, so that the paths can be compared.
#[derive(Debug)]
pub struct LossTracing {
    trigger: LossTrigger,
    handle: TraceHandle,
    paths: Vec<Path>,
}

impl LossTracing {
    /// Traces flows by `handle` whose loss exceeds `threshold`, a share.
    pub fn new(flows: usize, threshold: f64, handle: TraceHandle) -> Self {
        Self { trigger: LossTrigger::new(flows, threshold), handle, paths: Vec::new() }
    }

    /// Records an event, which may be a path.
    pub fn observe(&mut self, event: &ProbeEvent<'_>) {
        match event.kind {
            ProbeEventKind::Received { reply: ReplyKind::Answered { .. }, .. } => {
                self.trigger.answered(event.flow);
            }
            ProbeEventKind::Lost { .. } if self.trigger.lost(event.flow) => {
                self.handle.trace(event.flow);
                self.handle.trace_others_at_end();
            }
            ProbeEventKind::Traced(path) => self.paths.push(path.clone()),
            _ => {}
        }
    }

    /// Returns the paths, compared; `None` if no flow was traced.
    pub fn traced(&self, target: &Target) -> Option<Traced> {
        let mut paths = self.paths.clone();
        paths.sort_by_key(|path| path.flow);
        let traced = || Traced::by_loss(target.clone(), paths, &self.trigger);
        (!self.paths.is_empty()).then(traced)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ping::fixtures::{GREETED, answered, lost, path, target};

    #[test]
    fn paths_are_compared_by_the_losses_of_their_flows() {
        let target = Target { flows: 3, ..target() };
        let mut tracing = LossTracing::new(3, 0.0, TraceHandle::default());
        assert!(tracing.traced(&target).is_none());
        let (first, second) = (path(1, &[1], GREETED), path(0, &[2], GREETED));
        for (flow, kind) in [
            (0, answered(Duration::ZERO)),
            (1, answered(Duration::ZERO)),
            (1, lost(3)),
            (1, ProbeEventKind::Traced(&first)),
            (0, ProbeEventKind::Traced(&second)),
        ] {
            tracing.observe(&ProbeEvent::new(Duration::ZERO, flow, kind));
        }
        let traced = tracing.traced(&target).expect("two paths");
        assert_eq!((traced.losing, traced.clean), (vec![1], vec![0]));
        assert_eq!(traced.paths, [second, first]);
    }
}
