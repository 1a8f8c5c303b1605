//! Ipc.
