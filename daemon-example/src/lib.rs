//! The daemon of the example pair, as a library: its agent is built on the same schema.

pub mod agents;
pub mod checks;
pub mod cli;
pub mod config;
pub mod convert;
pub mod daemon;
pub mod desk;
pub mod drift;
pub mod events;
pub mod lines;
pub mod pump;
pub mod recent;
pub mod rounds;

/// The programs of the README, compiled as they stand there.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub mod readme {}

/// Written by `ipc-build` from `proto/drift.proto`.
pub mod proto {
    include!(concat!(env!("OUT_DIR"), "/drift.v1.rs"));
}
