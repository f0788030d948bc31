/// The clocks between which a round-trip time was measured.
///
/// ```
/// use hello_measure::{Clock, Clocks};
///
/// let clocks = Clocks { sent: Clock::Process, received: Clock::Kernel };
/// assert_ne!(clocks.sent, clocks.received);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Clocks {
    /// When the request was sent: read by the process before the send call, or by the kernel when it
    /// handed the packet to the driver.
    pub sent: Clock,
    /// When the reply was received: read by the process after the receive call, or by the kernel when
    /// the packet arrived.
    pub received: Clock,
}

/// The reader of a clock.
///
/// ```
/// use hello_measure::{Clock, ClockCounts, Clocks};
///
/// let mut counts = ClockCounts::default();
/// counts.answered(Clocks { sent: Clock::Kernel, received: Clock::Kernel });
/// assert_eq!((counts.sent_kernel, counts.sent_process), (1, 0));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Clock {
    /// The process, whose reading includes the time that it waits for a processor.
    Process,
    /// The kernel, at the network interface.
    Kernel,
}

/// The number of answered requests by the clocks of their round-trip times.
///
/// ```
/// use hello_measure::{Clock, ClockCounts, Clocks};
///
/// let mut counts = ClockCounts::default();
/// let mut later = ClockCounts::default();
/// later.answered(Clocks { sent: Clock::Process, received: Clock::Kernel });
/// counts.append(&later);
/// assert_eq!(counts.received_kernel, 1);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct ClockCounts {
    /// Those whose sending time is the kernel's.
    pub sent_kernel: u64,
    /// Those whose sending time is the process's.
    pub sent_process: u64,
    /// Those whose receiving time is the kernel's.
    pub received_kernel: u64,
    /// Those whose receiving time is the process's.
    pub received_process: u64,
}

impl ClockCounts {
    /// Counts an answered request.
    pub fn answered(&mut self, clocks: Clocks) {
        *match clocks.sent {
            Clock::Kernel => &mut self.sent_kernel,
            Clock::Process => &mut self.sent_process,
        } += 1;
        *match clocks.received {
            Clock::Kernel => &mut self.received_kernel,
            Clock::Process => &mut self.received_process,
        } += 1;
    }

    /// Adds the counts of the next part.
    pub fn append(&mut self, later: &Self) {
        self.sent_kernel += later.sent_kernel;
        self.sent_process += later.sent_process;
        self.received_kernel += later.received_kernel;
        self.received_process += later.received_process;
    }
}
