//! When several replies are worth a receive call.

use std::net::SocketAddr;
use std::time::Duration;

use super::schedule::Schedule;

/// How fast the replies to a closed loop arrive, and so when several will have.
///
/// A full loop that receives each reply alone also sends the next request alone, and makes two
/// system calls for each. While a quarter of the requests is answered, the others keep a server
/// busy to which no network leads. Behind a network, it would be idle for as long as the loop waits.
#[derive(Debug)]
pub(super) struct ReplyPace {
    /// The number of replies to wait for; none, if each is received at once.
    several: u32,
    /// When the last reply arrived.
    latest: Option<Duration>,
    /// The time from one reply to the next, on average over the last few batches.
    each: Duration,
}

impl ReplyPace {
    /// Makes the pace of a server and a thread's schedule, before the first reply.
    pub(super) fn new(server: SocketAddr, schedule: &Schedule) -> Self {
        let several = match schedule {
            Schedule::Closed { outstanding } if server.ip().to_canonical().is_loopback() => {
                u32::try_from(outstanding / 4).unwrap_or(u32::MAX).min(MOST)
            }
            _ => 0,
        };
        Self { several, latest: None, each: Duration::ZERO }
    }

    /// Notes a batch of replies, the last of which arrived at `latest`.
    pub(super) fn note(&mut self, replies: u32, latest: Duration) {
        let before = self.latest.unwrap_or(latest);
        if let Some(each) = latest.saturating_sub(before).checked_div(replies) {
            self.each = (self.each * (BATCHES - 1) + each) / BATCHES;
        }
        self.latest = Some(before.max(latest));
    }

    /// Returns when several replies will have arrived after the last one that was noted, if that is
    /// neither too soon nor too late at `now` to be worth a sleep.
    pub(super) fn next_several(&self, now: Duration) -> Option<Duration> {
        let wait = self.each.checked_mul(self.several)?;
        let wake = self.latest?.checked_add(wait)?;
        (wait <= LONGEST_WAIT && wake >= now + SHORTEST_WAIT).then_some(wake)
    }
}

/// The most replies to wait for. With more, a request costs hardly less.
const MOST: u32 = 32;

/// The number of batches that an average is about.
const BATCHES: u32 = 4;

/// The shortest wait: a shorter one costs more than the calls that it saves.
const SHORTEST_WAIT: Duration = Duration::from_micros(20);

/// The longest wait. A server that replies more slowly costs the generator little anyway.
const LONGEST_WAIT: Duration = Duration::from_micros(200);

#[cfg(test)]
mod tests {
    use super::*;

    const MICRO: Duration = Duration::from_micros(1);
    const CLOSED: Schedule = Schedule::Closed { outstanding: 64 };

    fn pace(server: &str, schedule: &Schedule) -> ReplyPace {
        ReplyPace::new(server.parse().expect("an address"), schedule)
    }

    /// Notes many batches of 8 replies, one every 5 us, and returns when the last one arrived.
    fn steady(pace: &mut ReplyPace) -> Duration {
        let mut latest = Duration::ZERO;
        for _ in 0..99 {
            latest += 40 * MICRO;
            pace.note(8, latest);
        }
        latest
    }

    #[test]
    fn a_quarter_is_waited_for_at_the_pace_of_the_last_replies() {
        let mut pace = pace("127.0.0.1:9999", &CLOSED);
        assert!(pace.next_several(Duration::ZERO).is_none());
        let latest = steady(&mut pace);
        let wake = pace.next_several(latest).expect("80 us");
        assert!(wake.abs_diff(latest + 80 * MICRO) <= MICRO, "{wake:?}");
        // A batch that is noted after a later one, of another socket, is no step back.
        pace.note(1, latest - MICRO);
        let again = pace.next_several(latest).expect("60 us");
        assert!(again.abs_diff(latest + 60 * MICRO) <= MICRO, "{again:?}");
    }

    #[test]
    fn neither_a_moment_nor_a_long_time_is_waited() {
        let mut pace = pace("127.0.0.1:9999", &CLOSED);
        let latest = steady(&mut pace);
        for (passed, waits) in [(0, true), (55, true), (65, false), (90, false)] {
            assert_eq!(pace.next_several(latest + passed * MICRO).is_some(), waits, "{passed}");
        }
        // The server paused: that was the pace.
        let later = latest + 10_000 * MICRO;
        pace.note(1, later);
        assert!(pace.next_several(later).is_none());
    }

    #[test]
    fn replies_are_received_at_once_in_an_open_loop_in_a_small_one_and_over_a_network() {
        let open = Schedule::Constant { number: 0, step: 1, requests: 1, rate: 1 };
        for (server, schedule, waits) in [
            ("127.0.0.1:9999", CLOSED, true),
            ("[::1]:9999", CLOSED, true),
            ("[::ffff:127.0.0.1]:9999", CLOSED, true),
            ("192.0.2.1:9999", CLOSED, false),
            ("127.0.0.1:9999", open, false),
            ("127.0.0.1:9999", Schedule::Closed { outstanding: 3 }, false),
            ("127.0.0.1:9999", Schedule::Closed { outstanding: u64::MAX }, true),
        ] {
            let mut pace = pace(server, &schedule);
            let latest = steady(&mut pace);
            assert_eq!(pace.next_several(latest).is_some(), waits, "{server} {schedule:?}");
        }
    }
}
