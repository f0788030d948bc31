use std::time::Duration;

use super::probe::signed;

/// What a capture as a whole covers.
///
/// ```
/// use std::time::Duration;
/// use hello_measure::CaptureSpan;
///
/// let mut span = CaptureSpan::default();
/// span.handle_packet(Duration::from_secs(1));
/// span.handle_packet(Duration::from_secs(9));
/// assert!(span.is_whole());
/// span.handle_dropped(3);
/// assert!(!span.is_whole());
/// assert_eq!(span.dropped(), Some(3));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct CaptureSpan {
    /// The times of the first and of the last packet.
    times: Option<(Duration, Duration)>,
    /// `None` if it does not count them.
    dropped: Option<u64>,
    is_broken: bool,
    has_all_interfaces: bool,
}

impl CaptureSpan {
    /// Records the time of any packet in the capture.
    pub fn handle_packet(&mut self, at: Duration) {
        let (first, last) = self.times.unwrap_or((at, at));
        self.times = Some((first.min(at), last.max(at)));
    }

    /// Records that the capture counts packets that it does not have, perhaps none.
    pub fn handle_dropped(&mut self, packets: u64) {
        self.dropped = Some(self.dropped.unwrap_or(0).saturating_add(packets));
    }

    /// Records that the capture could not be read to its end.
    pub const fn handle_broken(&mut self) {
        self.is_broken = true;
    }

    /// Records whether the capture has the packets of every interface of its machine.
    pub const fn set_all_interfaces(&mut self, all: bool) {
        self.has_all_interfaces = all;
    }

    /// Returns the number of packets that the capture counts and does not have; `None` if it counts none,
    /// as a pcap file cannot.
    pub const fn dropped(&self) -> Option<u64> {
        self.dropped
    }

    /// Returns whether the capture was read to its end and counts no dropped packet.
    pub const fn is_whole(&self) -> bool {
        matches!(self.dropped, None | Some(0)) && !self.is_broken
    }

    pub(super) const fn has_all_interfaces(&self) -> bool {
        self.has_all_interfaces
    }

    /// Returns whether packets were captured at or before `from` and at or after `to`, both in
    /// nanoseconds.
    pub(super) fn covers(&self, from: i64, to: i64) -> bool {
        self.times.is_some_and(|(first, last)| signed(first) <= from && signed(last) >= to)
    }
}
