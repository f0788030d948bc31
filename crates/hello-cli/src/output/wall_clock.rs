//! Times of day.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Serialize, Serializer};

/// A time of day, which JSON and CSV show as in RFC 3339, in UTC and with microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WallClock(pub SystemTime);

impl WallClock {
    /// Returns the time now.
    pub fn now() -> Self {
        Self(SystemTime::now())
    }

    /// Formats the time in whole seconds, for people.
    pub fn seconds(self) -> impl std::fmt::Display {
        humantime::format_rfc3339_seconds(self.0)
    }

    /// Formats the time as seconds since 1970 in brackets, as `ping -D` does.
    pub fn stamp(self) -> String {
        let since = self.0.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        format!("[{}.{:06}] ", since.as_secs(), since.subsec_micros())
    }
}

impl std::fmt::Display for WallClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", humantime::format_rfc3339_micros(self.0))
    }
}

impl Serialize for WallClock {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_formats_of_rfc_3339_and_of_ping() {
        let time = WallClock(UNIX_EPOCH + Duration::from_micros(1_732_650_000_000_042));
        assert_eq!(time.to_string(), "2024-11-26T19:40:00.000042Z");
        assert_eq!(time.seconds().to_string(), "2024-11-26T19:40:00Z");
        assert_eq!(time.stamp(), "[1732650000.000042] ");
    }
}
