//! The daemon of the example pair, as a library: its agent is built on the same schema.

pub mod checks;
pub mod config;
pub mod drift;
pub mod recent;
