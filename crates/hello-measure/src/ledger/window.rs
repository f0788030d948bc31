use std::{fmt, num::NonZeroU32, time::Duration};

/// The last probes, each in the slot of its sequence number.
#[derive(Clone)]
pub(super) struct Window {
    slots: Box<[Slot]>,
    /// How many slots there are: a power of two, so that the slots go around without a seam where
    /// the sequence numbers do.
    len: u32,
}

/// What is known of a probe.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    /// When it was sent, in nanoseconds.
    sent: u64,
    /// Its name's length, in bytes.
    len: u32,
    pub(super) state: State,
}

/// Millions of probes are to cost some megabytes.
const _: () = assert!(size_of::<Slot>() == 16);

/// How far a probe has come. It is open until the ledger's owner knows what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Open: nothing has come back.
    InFlight,
    /// Answered in time.
    Answered,
    /// Open: lost, since its reply was late, and nobody was told of the loss yet.
    LateUnreported,
    /// Lost, and nothing has come back.
    Lost,
    /// Lost, and its reply was late.
    Late,
}

impl Window {
    pub(super) fn new(len: NonZeroU32) -> Self {
        let len = len.get().min(MAX_LEN).next_power_of_two();
        // A slot is not looked at before its first probe is sent.
        let unused = Slot { sent: 0, len: 0, state: State::Lost };
        Self { slots: vec![unused; len as usize].into(), len }
    }

    pub(super) fn slot_mut(&mut self, seq: u32) -> &mut Slot {
        let place = self.place(seq);
        &mut self.slots[place]
    }

    pub(super) fn slot(&self, seq: u32) -> &Slot {
        &self.slots[self.place(seq)]
    }

    pub(super) fn len(&self) -> u32 {
        self.len
    }

    fn place(&self, seq: u32) -> usize {
        (seq % self.len) as usize
    }
}

/// Shows the length alone: there may be millions of slots.
impl fmt::Debug for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Window").field("len", &self.len).finish_non_exhaustive()
    }
}

impl Slot {
    pub(super) fn new(name_len: usize, now: Duration) -> Self {
        // A name that long cannot have been sent, nor can a reply have its length.
        let len = u32::try_from(name_len).unwrap_or(u32::MAX);
        Self { sent: nanos(now), len, state: State::InFlight }
    }

    /// Returns how long ago the probe was sent.
    pub(super) fn age(&self, now: Duration) -> Duration {
        Duration::from_nanos(nanos(now).saturating_sub(self.sent))
    }

    pub(super) fn sent(&self) -> Duration {
        Duration::from_nanos(self.sent)
    }

    pub(super) fn has_len(&self, name_len: usize) -> bool {
        self.len as usize == name_len
    }
}

/// The longest window: half of all sequence numbers.
const MAX_LEN: u32 = 1 << (u32::BITS - 1);

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
