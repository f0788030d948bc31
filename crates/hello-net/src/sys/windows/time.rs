//! Clocks, and waits that end on time.
#![expect(unsafe_code, reason = "std knows none of these system calls")]

use std::marker::PhantomData;
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use windows_sys::Win32::Foundation::FILETIME;
use windows_sys::Win32::Media::{timeBeginPeriod, timeEndPeriod};
use windows_sys::Win32::System::Threading::{GetCurrentThread, GetThreadTimes};

/// Returns the time on a clock that never jumps (QueryPerformanceCounter).
pub(crate) fn monotonic() -> Duration {
    EARLIER + START.elapsed()
}

/// When the clock was first read.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The time on the clock then. As on systems that count from their own start, times a while before
/// it are times, too.
const EARLIER: Duration = Duration::from_secs(24 * 60 * 60);

/// Returns the time since 1970 in UTC, on a clock that may be set (GetSystemTimePreciseAsFileTime).
pub(crate) fn realtime() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Returns the CPU time of this thread, including the kernel's on its behalf, in steps of the system's
/// clock tick (GetThreadTimes).
pub(crate) fn thread_time() -> Duration {
    let mut times = [FILETIME::default(); 4];
    let [created, exited, kernel, user] = &mut times;
    // SAFETY: the handle stands for this thread, and the pointers are to four different times.
    let known = unsafe { GetThreadTimes(GetCurrentThread(), created, exited, kernel, user) };
    if known == 0 {
        return Duration::ZERO;
    }
    // In units of 100 ns.
    let units =
        |time: &FILETIME| u64::from(time.dwHighDateTime) << 32 | u64::from(time.dwLowDateTime);
    Duration::from_nanos((units(kernel) + units(user)).saturating_mul(100))
}

pub(crate) fn sleep_until(deadline: Duration) {
    thread::sleep(deadline.saturating_sub(monotonic()));
}

/// Makes waits of the process end within a millisecond, for as long as the returned value lives,
/// instead of at the next of 64 ticks a second.
#[must_use]
pub(crate) fn set_timer_slack() -> TimerSlack {
    // SAFETY: it takes a number.
    unsafe { timeBeginPeriod(PERIOD_MS) };
    TimerSlack { _this_thread: PhantomData }
}

#[derive(Debug)]
pub(crate) struct TimerSlack {
    _this_thread: PhantomData<*const ()>,
}

impl Drop for TimerSlack {
    fn drop(&mut self) {
        // SAFETY: it takes a number, the same as at first.
        unsafe { timeEndPeriod(PERIOD_MS) };
    }
}

/// In milliseconds.
const PERIOD_MS: u32 = 1;
