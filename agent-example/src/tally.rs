//! Counts what the agent does, so that what is lost can be told.

use std::sync::{Mutex, PoisonError};

use daemon_example::events::AgentTotals;
use ipc::{Code, Error};

/// What has been counted so far.
#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<AgentTotals>);

impl Tally {
    /// Changes what is counted.
    pub(crate) fn count<T>(&self, change: impl FnOnce(&mut AgentTotals) -> T) -> T {
        // A panic cannot leave half a count behind.
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes one call and counts how it ends.
    pub(crate) async fn call<T>(
        &self,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        self.count(|totals| totals.calls += 1);
        let result = call.await;
        self.count(|totals| match &result {
            Ok(_) => totals.answered += 1,
            Err(error) if error.code() == Code::PermissionDenied => {
                totals.answered += 1;
                totals.denied += 1;
            }
            Err(_) => {}
        });
        result
    }

    /// Counts a change that came behind the one numbered `last`, and those that were skipped. A daemon
    /// may write any number.
    pub(crate) fn change(&self, last: u64, sequence: u64) {
        let skipped = sequence.saturating_sub(last.saturating_add(1));
        self.count(|totals| {
            totals.deltas += 1;
            totals.gaps = totals.gaps.saturating_add(skipped);
        });
    }

    /// What has been counted.
    pub(crate) fn totals(&self) -> AgentTotals {
        self.count(|totals| totals.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_numbering_of_changes_is_too_odd_to_count() {
        let tally = Tally::default();
        let gaps = |numbers: [u64; 4]| {
            for pair in numbers.windows(2) {
                tally.change(pair[0], pair[1]);
            }
            tally.totals().gaps
        };
        assert_eq!(gaps([0, 1, 2, 5]), 2);
        assert_eq!(gaps([5, 5, 4, 0]), 2);
        assert_eq!(gaps([0, u64::MAX, u64::MAX, 0]), u64::MAX);
        assert_eq!(gaps([0, u64::MAX, 0, u64::MAX]), u64::MAX);
        assert_eq!(tally.totals().deltas, 12);
    }
}
