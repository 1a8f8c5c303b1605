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

    /// What has been counted.
    pub(crate) fn totals(&self) -> AgentTotals {
        self.count(|totals| totals.clone())
    }
}
