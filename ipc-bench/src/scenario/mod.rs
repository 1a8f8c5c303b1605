//! The loops that make calls, each written once for all transports.

mod calls;

use crate::error::Error;
use crate::load::Load;
use crate::transport::{Async, Blocking};
use crate::workload::Scenario;

/// Calls from tasks on a runtime.
pub(crate) fn tasks<T: Async>(load: Load) -> Result<(), Error> {
    let runtime = load.workload.runtime.build()?;
    match load.workload.scenario {
        Scenario::Unary => runtime.block_on(calls::tasks::<T>(load)),
    }
}

/// Calls from a thread for each connection.
pub(crate) fn threads<T: Blocking>(load: Load) -> Result<(), Error> {
    match load.workload.scenario {
        Scenario::Unary => calls::threads::<T>(load),
    }
}
