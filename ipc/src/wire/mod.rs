//! The protocol without IO: bytes in, bytes and events out, and the time is told.
//!
//! Below here there is no socket, clock, task, lock or async code, and nothing
//! of ours but `crate::limits`. PROTOCOL.md is the text this code follows.
#![warn(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

// Bytes to frames.
mod decoder;
mod frame;
mod header;
pub mod messages;
mod violation;
// One call.
mod assembly;
mod call;
mod calls;
mod copy;
mod credit;
mod receive;
mod send;
// One connection.
mod body;
mod commands;
mod engine;
mod filling;
mod handshake;
mod incoming;
mod outbox;
// What drives it in tests.
#[cfg(any(test, fuzzing))]
pub(crate) mod model;
#[cfg(test)]
mod tests;

pub use body::{Body, Encode};
pub use call::{CallId, Key, Role, Side, State};
pub use commands::{Open, OpenError, SendError};
pub use decoder::{Decoder, RawFrame};
pub use engine::{Engine, Event};
pub use filling::Target;
pub use frame::Frame;
pub use handshake::{
    Accepting, AwaitConfirm, Connecting, Established, Failure, Greeted, Local, Parting, Progress,
    Welcomed, turn_away,
};
pub use header::{Flags, HEADER_LEN, Header, Kind};
pub use receive::Whole;
pub use violation::{GoAwayCode, Violation};

/// The 32-bit FNV-1a hash by which a method travels: of `package.Service/Method`.
///
/// FNV-1a: draft-eastlake-fnv, offset basis 0x811c9dc5, prime 0x01000193.
#[must_use]
pub const fn method_id(path: &str) -> u32 {
    let mut bytes = path.as_bytes();
    let mut hash: u32 = 0x811c_9dc5;
    while let [first, rest @ ..] = bytes {
        #[expect(clippy::as_conversions, reason = "widening; From is not const")]
        let byte = *first as u32;
        hash = (hash ^ byte).wrapping_mul(0x0100_0193);
        bytes = rest;
    }
    hash
}
