/// A run of consecutive probes without an answer; see [`Outages`](super::Outages). Times are since the start of the
/// run.
///
/// ```
/// use std::time::Duration;
/// use hello_measure::Outages;
///
/// let mut outages = Outages::new(1);
/// outages.not_sent(0, Duration::from_secs(1));
/// outages.not_sent(0, Duration::from_secs(2));
/// let outage = outages.summary().longest[0];
/// assert_eq!((outage.first_seq, outage.probes, outage.not_sent), (None, 2, 2));
/// assert_eq!((outage.duration_s, outage.ongoing), (1.0, true));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Outage {
    /// The number of the flow, from 0; `None` for a run of the probes of all flows.
    pub flow: Option<usize>,
    /// The sequence number of the first of the probes that was sent; `None` if none was.
    pub first_seq: Option<u32>,
    /// When the first of the probes was sent or due, in seconds.
    pub start_s: f64,
    /// The time from the start to when the next answered probe was sent, in seconds; if it is
    /// ongoing, to when the last of its own probes was sent or due.
    pub duration_s: f64,
    /// Probes that were lost or not sent.
    pub probes: u64,
    /// Those of them that were not sent.
    pub not_sent: u64,
    /// Whether no probe was answered since.
    pub ongoing: bool,
}

/// The summary of [`Outages`](super::Outages).
///
/// Each probe that was lost or not sent is either in an outage or scattered.
///
/// ```
/// use std::time::Duration;
/// use hello_measure::Outages;
///
/// // An interruption that is shorter than the turn of four flows costs each only one probe.
/// let mut outages = Outages::new(4);
/// for seq in 1..=8 {
///     outages.sent((seq as usize - 1) % 4, seq, Duration::from_secs(seq.into()));
///     if (3..=6).contains(&seq) { outages.lost(seq) } else { outages.answered(seq) }
/// }
/// let summary = outages.summary();
/// assert_eq!((summary.count, summary.scattered), (0, 4));
/// assert_eq!(summary.without_answer.map(|outage| outage.duration_s), Some(4.0));
/// assert_eq!(summary.worst(), summary.without_answer);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct OutageSummary {
    /// The number of outages of the flows.
    pub count: u64,
    /// Probes in outages: lost or not sent.
    pub probes: u64,
    /// Probes lost or not sent that are in no outage.
    pub scattered: u64,
    /// The most probes of an outage; 0 if there was none.
    pub max_probes: u64,
    /// The longest time without an answer from the target: the longest outage of all flows together,
    /// so of consecutive probes of any flow; `None` if there was none.
    pub without_answer: Option<Outage>,
    /// The longest outages, in descending order: at most [`LISTED`](super::Outages::LISTED).
    pub longest: Vec<Outage>,
    /// The number of outages that are not listed.
    pub unlisted: u64,
}

impl OutageSummary {
    /// Returns the longest outage of a flow, or that of all flows together if it lasted longer;
    /// `None` if there was none.
    pub fn worst(&self) -> Option<Outage> {
        let all = self.longest.first().into_iter().chain(&self.without_answer).copied();
        all.reduce(|one, other| if other.duration_s > one.duration_s { other } else { one })
    }
}
