//! Typed protobuf calls over a Unix socket, in both directions, between processes that do
//! not trust each other.

// Every bound, its default, and why.
mod limits;
// Bytes and rules, without IO.
pub mod wire;

pub use limits::{InvalidLimit, Limits};
