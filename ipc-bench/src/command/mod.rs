//! The subcommands.

pub(crate) mod attach;
pub(crate) mod check;
pub(crate) mod compare;
mod effort;
pub(crate) mod idle;
pub(crate) mod latency;
pub(crate) mod run;
pub(crate) mod soak;
pub(crate) mod syscalls;
