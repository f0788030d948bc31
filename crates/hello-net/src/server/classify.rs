//! The step that decides which datagrams are answered.

use std::net::SocketAddr;
use std::time::Duration;

use hello_proto::{BucketKey, Guard, Refusal};

use super::rate_limit::{SharedLimiter, Verdicts};
use crate::sys::batch::{RecvMeta, Segments};

/// Decides which datagrams are answered: the guard by their source, then by their name, and the
/// limiter on what the guard lets pass.
#[derive(Debug)]
pub(super) struct Classifier<'a> {
    guard: Guard,
    limiter: Option<&'a SharedLimiter>,
    /// The bound address.
    bound: SocketAddr,
    port: u16,
    /// The refusal of datagrams sent to it.
    bound_refusal: Option<Refusal>,
    /// The refusal of all datagrams of the flow, because of its addresses.
    refusal: Option<Refusal>,
    /// The limiter, and the bucket of the flow's source; `None` if the source has no limit, or all is
    /// refused.
    bucket: Option<(&'a SharedLimiter, BucketKey)>,
    /// The limiter's time, the same for a whole batch.
    now: Option<Duration>,
    /// Runs that are being split.
    split: Vec<Run>,
}

/// Datagrams of a message, of equal length and side by side, that share a verdict: mostly, all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// The index of the message in its batch.
    pub(super) message: usize,
    pub(super) names: Segments,
    pub(super) verdict: Verdict,
}

/// What the server does with a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Answer,
    /// It exceeds the limit and is answered all the same.
    AnswerOverLimit,
    Refuse(Refusal),
    OverLimit,
}

impl Verdict {
    pub(super) fn is_answer(self) -> bool {
        matches!(self, Self::Answer | Self::AnswerOverLimit)
    }
}

impl<'a> Classifier<'a> {
    pub(super) fn new(
        guard: &'a Guard,
        limiter: Option<&'a SharedLimiter>,
        bound: SocketAddr,
    ) -> Self {
        Self {
            guard: *guard,
            limiter,
            bound,
            port: bound.port(),
            bound_refusal: guard.check_destination(bound.ip()).err(),
            refusal: None,
            bucket: None,
            now: None,
            split: Vec::new(),
        }
    }

    /// Begins a batch, which was received now.
    pub(super) fn begin_batch(&mut self) {
        self.now = None;
    }

    /// Begins a flow: decides what holds for this message and all that follow with the same addresses.
    #[inline]
    pub(super) fn begin_flow(&mut self, meta: &RecvMeta) {
        let source = meta.source.get();
        self.refusal = match self.guard.check_source(source, self.port) {
            Err(refusal) => Some(refusal),
            Ok(()) if meta.destination.is_none() => self.bound_refusal,
            Ok(()) => self.check_destination(meta),
        };
        if let Some(limiter) = self.limiter {
            let key = if self.refusal.is_none() { limiter.key(source.ip()) } else { None };
            self.bucket = key.map(|key| (limiter, key));
        }
    }

    /// Returns the refusal of datagrams sent to the destination of this message.
    #[inline(never)]
    fn check_destination(&self, meta: &RecvMeta) -> Option<Refusal> {
        let local = meta.guard_local(meta.local(self.bound));
        self.guard.check_destination(local.ip()).err()
    }

    /// Classifies a datagram that arrived alone in its message.
    #[inline]
    pub(super) fn classify_alone(&mut self, name: &[u8]) -> Verdict {
        let verdict = match self.refusal {
            Some(refusal) => Verdict::Refuse(refusal),
            None => self.check_name(name),
        };
        match self.bucket {
            Some(bucket) if verdict == Verdict::Answer => {
                self.check_limit(bucket, 1).next().unwrap_or(verdict)
            }
            _ => verdict,
        }
    }

    /// Classifies the datagrams of a message, and stores their runs.
    #[inline(never)]
    pub(super) fn classify(
        &mut self,
        (message, meta): (usize, &RecvMeta),
        bytes: &[u8],
        runs: &mut Vec<Run>,
    ) {
        runs.clear();
        let (first, last) = meta.segments();
        for mut names in [Some(first), last].into_iter().flatten() {
            while names.count > 0 {
                let (result, count) = match self.refusal {
                    Some(refusal) => (Err(refusal), names.count),
                    None => self.guard.check_names(&bytes[names.range()], names.len),
                };
                let verdict = result.map_or_else(Verdict::Refuse, |()| Verdict::Answer);
                let (alike, behind) = names.split_at(count);
                runs.push(Run { message, names: alike, verdict });
                names = behind;
            }
        }
        if let Some(bucket) = self.bucket {
            self.split_by_limit(bucket, runs);
        }
    }

    /// Classifies a name without the limiter.
    #[inline]
    fn check_name(&self, name: &[u8]) -> Verdict {
        match self.guard.check_name(name) {
            Ok(_name) => Verdict::Answer,
            Err(refusal) => Verdict::Refuse(refusal),
        }
    }

    /// Checks what the guard lets pass against the limit, and splits the runs where the limiter decides
    /// differently.
    fn split_by_limit(&mut self, bucket: (&SharedLimiter, BucketKey), runs: &mut Vec<Run>) {
        let passed = runs.iter().filter(|run| run.verdict == Verdict::Answer);
        let passed = passed.map(|run| run.names.count as u64).sum();
        let verdicts = self.check_limit(bucket, passed);
        if verdicts.conforming() == passed {
            return;
        }
        let mut verdicts = verdicts.peekable();
        self.split.clear();
        self.split.append(runs);
        for &run in &self.split {
            if run.verdict != Verdict::Answer {
                runs.push(run);
                continue;
            }
            let mut names = run.names;
            while names.count > 0
                && let Some(verdict) = verdicts.next()
            {
                let same = (1..names.count).take_while(|_| verdicts.next_if_eq(&verdict).is_some());
                let (alike, behind) = names.split_at(1 + same.count());
                runs.push(Run { names: alike, verdict, ..run });
                names = behind;
            }
        }
    }

    /// Checks requests that the guard lets pass against the limit.
    fn check_limit(
        &mut self,
        (limiter, key): (&SharedLimiter, BucketKey),
        requests: u64,
    ) -> Verdicts {
        let now = *self.now.get_or_insert_with(|| limiter.now());
        limiter.check(key, now, requests)
    }
}

#[cfg(test)]
mod tests;
