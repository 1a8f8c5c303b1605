//! The one door to locks, atomics and shared pointers; loom behind it in its tests.

#[cfg(ipc_loom)]
pub(crate) use loom::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicBool, Ordering},
};
#[cfg(not(ipc_loom))]
pub(crate) use std::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicBool, Ordering},
};

// Error sources and task handles cross into other crates, which know only std's.
pub(crate) use std::sync::{Arc, PoisonError};
