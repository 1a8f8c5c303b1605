//! The reader of the clock that tests drive, and arithmetic that does not overflow.

use std::time::{Duration, Instant};

/// What is left of a deadline, as it travels.
pub(crate) fn time_left(left: Duration) -> u64 {
    u64::try_from(left.as_micros()).unwrap_or(u64::MAX)
}

/// The moment a timeout ends; one that cannot be counted is no timeout.
pub(crate) fn deadline_after(now: Instant, timeout: Option<Duration>) -> Option<Instant> {
    now.checked_add(timeout?)
}

/// The moment some patience ends; one that cannot be counted is far away.
pub(crate) fn end_of(now: Instant, patience: Duration) -> Instant {
    now.checked_add(patience).unwrap_or(now + FAR)
}

/// The time, from tokio's clock, which a test that has paused it can drive.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Whether a test has paused the clock: it does not go with the system's then.
#[cfg(any(test, feature = "testing"))]
#[expect(
    clippy::disallowed_methods,
    reason = "the clock that the other one is held against"
)]
pub(crate) fn is_driven() -> bool {
    let before = Instant::now();
    let told = now();
    told < before || told > Instant::now()
}

/// Thirty years: every system can count as far.
const FAR: Duration = Duration::from_secs(30 * 365 * 86_400);
