//! Where a connection hands the peer's calls to.

use std::fmt;

use super::{Arrived, Connection};
use crate::sync::Arc;

/// Takes up the peer's calls; called by the connection's task, without its lock.
pub(crate) trait Dispatch: Send + Sync + fmt::Debug {
    /// Runs a call, as far as it goes without waiting.
    fn run(&self, connection: &Arc<Connection>, arrived: Arrived);
}
