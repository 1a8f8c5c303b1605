//! The service that the daemon calls, over the connection that this agent opened.

use std::sync::Arc;

use daemon_example::checks::{Check, Runner, Running};
use daemon_example::proto;
use ipc::{Call, Sender, Status};
use tokio::sync::watch;

use crate::tally::Tally;

/// Runs checks as this user.
///
/// # Security
///
/// A check may be a command. The connection is only made to a daemon whose user is trusted.
#[derive(Debug)]
pub(crate) struct Checker {
    tally: Arc<Tally>,
    latest: watch::Sender<Vec<Check>>,
}

impl Checker {
    /// Runs what it is sent, and leaves it in `latest` for reports between the rounds.
    pub(crate) const fn new(tally: Arc<Tally>, latest: watch::Sender<Vec<Check>>) -> Self {
        Self { tally, latest }
    }
}

impl proto::Agent for Checker {
    async fn run_checks(
        &self,
        call: Call<proto::RunChecksRequest>,
        out: Sender<proto::CheckResult>,
    ) -> Result<(), Status> {
        let checks = call.body.checks.into_iter().map(Check::try_from);
        let checks = checks
            .collect::<Result<Vec<_>, _>>()
            .map_err(|malformed| Status::invalid_argument(malformed.to_string()))?;
        self.latest.send_replace(checks.clone());
        let mut running = Running::new(checks, Runner::current(), AT_ONCE);
        while let Some(result) = running.next().await {
            self.tally.count(|totals| totals.checks += 1);
            out.send(result.into()).await?;
        }
        Ok(())
    }
}

/// A user's session has other things to do.
pub(crate) const AT_ONCE: usize = 2;
