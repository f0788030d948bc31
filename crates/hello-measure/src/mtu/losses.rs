use std::collections::BTreeMap;

/// Probes of sizes that pass and that got no reply in time all the same: the path loses packets of any
/// size, so silence is weak evidence.
#[derive(Clone, Debug, Default)]
pub(super) struct Losses {
    /// The tries without a reply of sizes that are not known to pass.
    silent: BTreeMap<u32, u64>,
    /// Those of sizes that pass.
    lost: u64,
    replies: u64,
}

impl Losses {
    /// Counts a try without a reply.
    pub(super) fn unanswered(&mut self, size: u32, passed: Option<u32>) {
        match passed {
            Some(passed) if size <= passed => self.lost += 1,
            _ => *self.silent.entry(size).or_default() += 1,
        }
    }

    /// Counts a reply, which shows that all sizes up to `passed` pass.
    pub(super) fn replied(&mut self, passed: u32) {
        self.replies += 1;
        let (lost, silent) = (&mut self.lost, &mut self.silent);
        silent.retain(|size, tries| {
            *lost += if *size <= passed { *tries } else { 0 };
            *size > passed
        });
    }

    /// Returns the number of lost probes of sizes that pass.
    pub(super) const fn lost(&self) -> u64 {
        self.lost
    }

    /// Returns the number of probes of sizes that pass.
    pub(super) const fn probes(&self) -> u64 {
        self.lost + self.replies
    }

    /// Returns how often to try a size in silence, so that one that passes is taken for the limit in
    /// fewer than one of 1000 searches, unless so much is lost that it takes [`MAX_TRIES`] or
    /// [`MAX_UNANSWERED`]. A search tries fewer than [`SIZES`] of them.
    pub(super) fn tries(&self, at_least: u32) -> u32 {
        if self.lost == 0 || self.lost + self.silent.values().sum::<u64>() >= MAX_UNANSWERED {
            return at_least;
        }
        // Few probes show the loss only roughly, so suppose more of it.
        let loss = (self.lost + 2) as f64 / (self.probes() + 3) as f64;
        let tries = (FALSE_LIMIT / SIZES).ln() / loss.ln();
        let tries = (1..MAX_TRIES).find(|allowed| f64::from(*allowed) >= tries);
        tries.unwrap_or(MAX_TRIES).max(at_least)
    }
}

/// The chance of a false limit.
const FALSE_LIMIT: f64 = 1e-3;

/// More sizes than halving tries.
const SIZES: f64 = 20.0;

/// The most tries of a size without a reply.
const MAX_TRIES: u32 = 40;

/// The number of probes without a reply, of all sizes, after which no size is tried more often than
/// planned: a path that loses nearly everything would make a search far longer.
const MAX_UNANSWERED: u64 = 800;
