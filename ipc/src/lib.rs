//! Typed protobuf calls over a Unix socket, in both directions, between processes that do
//! not trust each other.

// 1. Where the socket lives.
mod path;
// 2. Bind, accept, connect.
mod socket;
// 3. Who is at the other end, and whether they may be.
mod peer;
mod policy;
// Bytes and rules, without IO.
pub mod wire;
// Every bound, its default, and why.
mod limits;
// The kernel, in a handful of safe functions.
mod sys;

pub use limits::{InvalidLimit, Limits};
pub use path::{Explanation, PathError, SocketPath};
pub use peer::{Peer, PeerError};
pub use policy::{Admitted, Denied, Policy, PolicyError, ResolvedAccess, ResolvedPolicy};
pub use socket::{
    AcceptError, Accepted, BindError, BindOptions, ConnectError, DirectoryError, Flaw,
    InheritError, Listener, connect, connect_blocking,
};
