use std::time::Duration;

/// Returns a duration in nanoseconds, which saturate after 584 years.
pub(crate) fn nanos_of(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
