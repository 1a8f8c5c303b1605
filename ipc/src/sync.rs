//! The one door to locks and shared pointers; loom behind it in its tests.

#[cfg(all(ipc_loom, any(test, not(feature = "testing"))))]
pub(crate) use loom::sync::Condvar;
#[cfg(ipc_loom)]
pub(crate) use loom::sync::{Mutex, MutexGuard};
#[cfg(all(not(ipc_loom), any(test, not(feature = "testing"))))]
pub(crate) use std::sync::Condvar;
#[cfg(not(ipc_loom))]
pub(crate) use std::sync::{Mutex, MutexGuard};

// Error sources and task handles cross into other crates, which know only std's.
pub(crate) use std::sync::{Arc, PoisonError};
