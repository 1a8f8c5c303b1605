//! Typed protobuf calls over a Unix socket, in both directions, between processes that do
//! not trust each other.
//!
//! What is asynchronous needs a runtime of tokio with IO and timers (`enable_all`), and panics in one
//! without; [`blocking`] needs none.

// 1. Where the socket lives.
mod path;
// 2. Bind, accept, connect.
mod socket;
// 3. Who is at the other end, and whether they may be.
mod peer;
mod policy;
// 4. Terms of the connection.
mod handshake;
// 5. The connection: one lock, one task.
mod conn;
mod pool;
// 6. Calls and streams.
mod answer;
mod call;
mod incoming;
mod metadata;
mod outgoing;
mod request;
mod stream;
mod unary;
// 7. Services, servers, clients.
mod admission;
mod client;
mod complaints;
mod connect;
mod link;
mod method;
mod server;
mod service;
// The same without a runtime.
pub mod blocking;
// What can go wrong, and how a call ended.
mod error;
mod status;
// Every bound, its default, and why.
mod limits;
// Bytes and rules, without IO.
pub mod wire;
// The framing alone.
pub mod codec;
// The one door to locks.
mod sync;
// The time, and what waits for it.
mod clock;
mod timer;
// The kernel, in a handful of safe functions.
mod sys;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
// What the fuzz targets call.
#[cfg(any(test, fuzzing))]
pub mod fuzzing;

pub use call::Call;
pub use client::Client;
pub use connect::ClientBuilder;
pub use error::{BuildError, ConnectionError, Error, Failure, HandshakeError, Outcome};
pub use incoming::{Handling, Incoming};
pub use limits::{InvalidLimit, Limits};
pub use metadata::Metadata;
pub use method::{Access, Idempotency, Method, Shape};
pub use outgoing::Reply;
pub use path::{Explanation, PathError, SocketPath};
pub use peer::{Peer, PeerError};
pub use policy::{Denied, Policy, PolicyError};
pub use request::{Bidirectional, ClientStreaming, OneWay, Request, ServerStreaming, Unary, shape};
pub use server::{Server, ServerBuilder, stop_signal};
pub use service::Service;
pub use socket::{AcceptError, BindError, ConnectError, DirectoryError, Flaw, InheritError};
pub use status::{Code, Status};
pub use stream::{Receiver, Sender, Upload};
pub use unary::UnaryFuture;
pub use wire::messages::MetadataError;
