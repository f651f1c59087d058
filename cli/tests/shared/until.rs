//! Waits for what another process does.

use std::time::{Duration, Instant};

/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Looks until a condition holds. Nobody tells a test that a process of somebody else has begun, ended or written something: this is
/// the one place where tests sleep.
#[track_caller]
pub(crate) fn until(what: &str, within: Duration, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < within, "{what} did not come to pass");
        std::thread::sleep(LOOK_EVERY);
    }
}
