use std::{fmt, num::NonZeroU32, time::Duration};

use crate::clocks::Clock;
use crate::nanos::nanos_of;

/// The last probes, each in the slot of its sequence number.
#[derive(Clone)]
pub(super) struct Window {
    slots: Box<[Slot]>,
    /// The number of slots: a power of two, so that the slots wrap together with the sequence
    /// numbers.
    len: u32,
}

/// The record of a probe.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    /// When it was sent, in nanoseconds.
    sent: u64,
    /// The length of its name, in bytes.
    len: u32,
    pub(super) state: State,
    /// The last error reported about it, as its number among the ledger's [`Causes`].
    ///
    /// [`Causes`]: super::causes::Causes
    pub(super) cause: u16,
    /// Who read the time at which it was sent.
    pub(super) sent_by: Clock,
}

/// Millions of probes take only megabytes.
const _: () = assert!(size_of::<Slot>() == 16);

/// The state of a probe. It is open until it is answered or its loss is polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Open: no reply yet.
    InFlight,
    /// Answered in time.
    Answered,
    /// Open: lost, because its reply was late, and not yet polled.
    LateUnreported,
    /// Lost, without a reply.
    Lost,
    /// Lost, with a late reply.
    Late,
}

impl Window {
    pub(super) fn new(len: NonZeroU32) -> Self {
        let len = len.get().min(MAX_LEN).next_power_of_two();
        // A slot is not read before its first probe is sent.
        let unused =
            Slot { sent: 0, len: 0, state: State::Lost, cause: 0, sent_by: Clock::Process };
        Self { slots: vec![unused; len as usize].into(), len }
    }

    pub(super) fn slot_mut(&mut self, seq: u32) -> &mut Slot {
        let index = self.index(seq);
        &mut self.slots[index]
    }

    pub(super) fn slot(&self, seq: u32) -> &Slot {
        &self.slots[self.index(seq)]
    }

    pub(super) fn len(&self) -> u32 {
        self.len
    }

    fn index(&self, seq: u32) -> usize {
        (seq % self.len) as usize
    }
}

/// Formats only the length: there may be millions of slots.
impl fmt::Debug for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Window").field("len", &self.len).finish_non_exhaustive()
    }
}

impl Slot {
    pub(super) fn new(name_len: usize, now: Duration) -> Self {
        // No name is that long, and no reply has its length.
        let len = u32::try_from(name_len).unwrap_or(u32::MAX);
        let (sent, state) = (nanos_of(now), State::InFlight);
        Self { sent, len, state, cause: 0, sent_by: Clock::Process }
    }

    /// Sets when the kernel sent it. That is not before the process did.
    pub(super) fn set_transmitted(&mut self, at: Duration) {
        self.sent = self.sent.max(nanos_of(at));
        self.sent_by = Clock::Kernel;
    }

    /// Returns how long ago the probe was sent.
    pub(super) fn age(&self, now: Duration) -> Duration {
        Duration::from_nanos(nanos_of(now).saturating_sub(self.sent))
    }

    pub(super) fn sent(&self) -> Duration {
        Duration::from_nanos(self.sent)
    }

    /// Returns the length of its name, in bytes.
    pub(super) fn name_len(&self) -> usize {
        self.len as usize
    }

    pub(super) fn has_len(&self, name_len: usize) -> bool {
        self.len as usize == name_len
    }
}

/// The longest window: half of all sequence numbers.
const MAX_LEN: u32 = 1 << (u32::BITS - 1);
