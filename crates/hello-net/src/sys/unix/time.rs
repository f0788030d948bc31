use std::marker::PhantomData;
use std::time::Duration;

use crate::sys::posix::monotonic;

pub(crate) fn sleep_until(deadline: Duration) {
    std::thread::sleep(deadline.saturating_sub(monotonic()));
}

/// The system has no such setting.
#[must_use]
pub(crate) fn set_timer_slack() -> TimerSlack {
    TimerSlack { _this_thread: PhantomData }
}

#[derive(Debug)]
pub(crate) struct TimerSlack {
    _this_thread: PhantomData<*const ()>,
}
