//! Wakes a reactor at a time, to the microsecond.
//!
//! `epoll_wait` counts whole milliseconds, and so does tokio's timer: a client that is due would start up to one late. A timerfd has the clock's own resolution, and is one more thing that the poll waits for.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

use crate::plan::Nanos;

/// A timer that the poll waits for.
#[derive(Debug)]
pub(super) struct Alarm {
    timer: OwnedFd,
    set: Option<Nanos>,
}

impl Alarm {
    /// A timer that shows as `token`.
    ///
    /// # Errors
    /// When the system has none to give.
    pub(super) fn new(registry: &Registry, token: Token) -> std::io::Result<Self> {
        let timer =
            timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        registry.register(&mut SourceFd(&timer.as_raw_fd()), token, Interest::READABLE)?;
        Ok(Self { timer, set: None })
    }

    /// Goes off at `at`; `now` is the same clock's time. An alarm that is set for an earlier time stays as it is: waking
    /// too early costs a look at the clock.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn set(&mut self, at: Nanos, now: Nanos) -> std::io::Result<()> {
        if self.set.is_some_and(|set| set > now && set <= at) {
            return Ok(());
        }
        // Zero would disarm it.
        let pause = Duration::from_nanos(at.saturating_sub(now).max(1));
        let value = Timespec::try_from(pause).unwrap_or(Timespec { tv_sec: 3600, tv_nsec: 0 });
        let never = Timespec { tv_sec: 0, tv_nsec: 0 };
        timerfd_settime(
            &self.timer,
            TimerfdTimerFlags::empty(),
            &Itimerspec { it_interval: never, it_value: value },
        )?;
        self.set = Some(at);
        Ok(())
    }
}
