//! The loops that make calls, each written once for all transports.

mod calls;
mod connects;
mod mixed;
mod reverse;
mod streams;
#[cfg(test)]
mod tests;

use std::time::Duration;

use tokio::task::JoinSet;

use crate::error::Error;
use crate::load::Load;
use crate::transport::{Async, Blocking};
use crate::workload::{Scenario, Target};

pub(crate) use self::reverse::drive;

/// Calls from tasks on a runtime.
pub(crate) fn tasks<T: Async>(load: Load) -> Result<(), Error> {
    let scenario = load.workload.scenario;
    if !T::supports(scenario) {
        return Err(Error::Unsupported("this scenario by this transport"));
    }
    let runtime = load.workload.runtime.build()?;
    runtime.block_on(async {
        match scenario {
            Scenario::Unary => calls::tasks::<T, _, _>(load, calls::echo).await,
            Scenario::OneWay => calls::tasks::<T, _, _>(load, calls::note).await,
            Scenario::ServerStream => calls::tasks::<T, _, _>(load, streams::download).await,
            Scenario::ClientStream => calls::tasks::<T, _, _>(load, streams::upload).await,
            Scenario::BidiStream => calls::tasks::<T, _, _>(load, streams::chat).await,
            Scenario::Reverse => reverse::tasks::<T>(load).await,
            Scenario::Mixed => mixed::bulk::<T>(load, false).await,
            Scenario::MixedSeparate => mixed::bulk::<T>(load, true).await,
            Scenario::Connect => connects::tasks::<T>(load).await,
            Scenario::Churn => mixed::churn::<T>(load).await,
        }
    })
}

/// Calls from a thread for each connection.
pub(crate) fn threads<T: Blocking>(load: Load) -> Result<(), Error> {
    match load.workload.scenario {
        Scenario::Unary => calls::threads::<T>(load),
        Scenario::Connect => connects::threads::<T>(load),
        _ => Err(Error::Unsupported("this scenario by a blocking client")),
    }
}

/// Connects so many clients, one after the other.
async fn connect<T: Async>(count: usize, target: &Target) -> Result<Vec<T::Client>, Error> {
    let mut clients = Vec::with_capacity(count);
    for _ in 0..count {
        clients.push(T::connect(target).await?);
    }
    Ok(clients)
}

/// Waits for all tasks.
async fn all(tasks: &mut JoinSet<()>) -> Result<(), Error> {
    while let Some(done) = tasks.join_next().await {
        done.map_err(Error::Task)?;
    }
    Ok(())
}

/// After a failure: a lost connection would otherwise fail as fast as the processor can.
const REST: Duration = Duration::from_millis(1);
