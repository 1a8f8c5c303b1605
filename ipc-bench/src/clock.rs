//! The one place that reads the clock.

use std::time::Instant;

/// The time now: the system's, unless a test drives the clock of its runtime.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
