//! What carries the calls: a serving half and a calling half for each.
//!
//! An asynchronous one implements [`Async`], a blocking one [`Blocking`]; the loops over both
//! are in `scenario`. One that fits neither brings a loop of its own over a
//! [`Caller`](crate::meter::Caller).

mod accept;
mod frame;
mod ipc;
mod raw;
mod raw_epoll;
mod raw_stream;
#[cfg(feature = "peers")]
mod tarpc;
mod tokio_raw;
#[cfg(feature = "peers")]
mod tonic;
#[cfg(feature = "peers")]
mod ttrpc;
#[cfg(feature = "peers")]
mod zbus;

use std::fmt;
use std::future::{Future, ready};

use bytes::Bytes;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::attach;
use crate::error::Error;
use crate::load::Load;
use crate::meter::Part;
use crate::scenario;
use crate::serve::Serving;
use crate::workload::{Flavor, Scenario, Target, Workload, word};

pub(crate) use self::ipc::{Ipc, IpcBusyPoll};

/// What carries the calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub(crate) enum Transport {
    /// A standard library socket, blocking: ping-pong, a thread per connection
    Raw,
    /// The same with windows: one write for all that is in flight, then reads until all are back
    RawPipelined,
    /// Bare sockets, many at once: one thread on each side that waits for all
    RawEpoll,
    /// A bare socket on which only the server writes, as fast as it can
    RawStream,
    /// A bare socket of tokio: ping-pong, a task per connection
    RawTokio,
    /// This crate
    Ipc,
    /// This crate with `Limits::busy_poll`
    IpcBusyPoll,
    /// gRPC over HTTP/2
    #[cfg(feature = "peers")]
    Tonic,
    /// containerd's gRPC without HTTP/2
    #[cfg(feature = "peers")]
    Ttrpc,
    /// Calls in bincode
    #[cfg(feature = "peers")]
    Tarpc,
    /// D-Bus without a bus
    #[cfg(feature = "peers")]
    Zbus,
}

impl Transport {
    /// Other libraries for the same work.
    #[cfg(feature = "peers")]
    pub(crate) const PEERS: &[Self] = &[Self::Tonic, Self::Ttrpc, Self::Tarpc, Self::Zbus];
    /// Other libraries for the same work: none without the feature `peers`.
    #[cfg(not(feature = "peers"))]
    pub(crate) const PEERS: &[Self] = &[];

    /// The version of what carries the calls; none for a bare socket.
    pub(crate) const fn version(self) -> Option<&'static str> {
        match self {
            Self::Raw | Self::RawPipelined | Self::RawEpoll | Self::RawStream => None,
            Self::RawTokio => Some(env!("VERSION_TOKIO")),
            #[cfg(feature = "peers")]
            Self::Tonic => Some(env!("VERSION_TONIC")),
            #[cfg(feature = "peers")]
            Self::Ttrpc => Some(env!("VERSION_TTRPC")),
            #[cfg(feature = "peers")]
            Self::Tarpc => Some(env!("VERSION_TARPC")),
            #[cfg(feature = "peers")]
            Self::Zbus => Some(env!("VERSION_ZBUS")),
            // All crates of the workspace have one version.
            Self::Ipc | Self::IpcBusyPoll => Some(env!("CARGO_PKG_VERSION")),
        }
    }

    /// The runtime it has when this one is asked for.
    pub(crate) const fn runtime(self, asked: Flavor) -> Flavor {
        match self {
            Self::Raw | Self::RawPipelined | Self::RawEpoll | Self::RawStream => Flavor::Blocking,
            _ => asked,
        }
    }

    /// Whether calls in flight make up windows, which are begun and ended as one.
    pub(crate) const fn has_windows(self) -> bool {
        matches!(self, Self::RawPipelined | Self::RawEpoll)
    }

    /// Whether it has what a scenario needs.
    pub(crate) fn supports(self, scenario: Scenario) -> bool {
        match self {
            Self::Raw | Self::RawEpoll => {
                matches!(scenario, Scenario::Unary | Scenario::Connect)
            }
            Self::RawPipelined => scenario == Scenario::Unary,
            Self::RawStream => scenario == Scenario::ServerStream,
            Self::RawTokio => tokio_raw::TokioRaw::supports(scenario),
            Self::Ipc => Ipc::supports(scenario),
            Self::IpcBusyPoll => IpcBusyPoll::supports(scenario),
            #[cfg(feature = "peers")]
            Self::Tonic => tonic::Tonic::supports(scenario),
            #[cfg(feature = "peers")]
            Self::Ttrpc => ttrpc::Ttrpc::supports(scenario),
            #[cfg(feature = "peers")]
            Self::Tarpc => tarpc::Tarpc::supports(scenario),
            #[cfg(feature = "peers")]
            Self::Zbus => zbus::Zbus::supports(scenario),
        }
    }

    /// Serves until the process that started this one wants no more.
    pub(crate) fn serve(self, serving: Serving) -> Result<(), Error> {
        match self {
            Self::Raw | Self::RawPipelined => raw::serve(serving),
            Self::RawEpoll => raw_epoll::serve(serving),
            Self::RawStream => raw_stream::serve(serving),
            Self::RawTokio => serving.run::<tokio_raw::TokioRaw>(),
            Self::Ipc => serving.run::<Ipc>(),
            Self::IpcBusyPoll => serving.run::<IpcBusyPoll>(),
            #[cfg(feature = "peers")]
            Self::Tonic => serving.run::<tonic::Tonic>(),
            #[cfg(feature = "peers")]
            Self::Ttrpc => serving.run::<ttrpc::Ttrpc>(),
            #[cfg(feature = "peers")]
            Self::Tarpc => serving.run::<tarpc::Tarpc>(),
            #[cfg(feature = "peers")]
            Self::Zbus => serving.run::<zbus::Zbus>(),
        }
    }

    /// Makes the calls of one client process.
    pub(crate) fn load(self, load: Load) -> Result<(), Error> {
        if load.workload.attached.is_some() {
            return attach::load(load);
        }
        match (self, load.workload.runtime) {
            (Self::Raw | Self::RawTokio, _) if load.workload.in_flight > 1 => Err(
                Error::Unsupported("a bare socket with several calls in flight"),
            ),
            (Self::Raw | Self::RawPipelined, _) => scenario::threads::<raw::Raw>(load),
            (Self::RawEpoll, _) => raw_epoll::load(load),
            (Self::RawStream, _) => raw_stream::load(load),
            (Self::Ipc, Flavor::Blocking) => scenario::threads::<ipc::IpcBlocking>(load),
            (_, Flavor::Blocking) => Err(Error::Unsupported("a blocking client of this transport")),
            (Self::RawTokio, _) => scenario::tasks::<tokio_raw::TokioRaw>(load),
            (Self::Ipc, _) => scenario::tasks::<Ipc>(load),
            (Self::IpcBusyPoll, _) => scenario::tasks::<IpcBusyPoll>(load),
            #[cfg(feature = "peers")]
            (Self::Tonic, _) => scenario::tasks::<tonic::Tonic>(load),
            #[cfg(feature = "peers")]
            (Self::Ttrpc, _) => scenario::tasks::<ttrpc::Ttrpc>(load),
            #[cfg(feature = "peers")]
            (Self::Tarpc, _) => scenario::tasks::<tarpc::Tarpc>(load),
            #[cfg(feature = "peers")]
            (Self::Zbus, _) => scenario::tasks::<zbus::Zbus>(load),
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&word(self))
    }
}

/// A transport whose two halves run on tokio.
pub(crate) trait Async: 'static {
    type Client: Client;

    /// Whether it has what a scenario needs. What is not said here needs nothing but an echo.
    fn supports(scenario: Scenario) -> bool {
        matches!(
            scenario,
            Scenario::Unary | Scenario::Connect | Scenario::Churn
        )
    }

    /// Serves until `serving` is stopped; says when it listens.
    fn serve(serving: Serving) -> impl Future<Output = Result<(), Error>>;

    /// Connects one client, handshake included.
    fn connect(target: &Target) -> impl Future<Output = Result<Self::Client, Error>> + Send;
}

/// One connection. Clones share it.
pub(crate) trait Client: Clone + Send + Sync + 'static {
    /// Sends a payload, and gives what came back.
    fn echo(&self, data: Bytes) -> impl Future<Output = Result<Bytes, Failure>> + Send;

    /// Sends a payload that is not answered.
    fn note(&self, data: Bytes) -> impl Future<Output = Result<(), Failure>> + Send {
        drop(data);
        lacking()
    }

    /// Receives payloads of so many bytes, until `each` has enough.
    fn download(
        &self,
        payload: usize,
        each: impl FnMut(&[u8]) -> bool + Send,
    ) -> impl Future<Output = Result<(), Failure>> + Send {
        drop((payload, each));
        lacking()
    }

    /// Sends payloads until there is no next, which is asked for once there is room. Gives how
    /// many bytes the server has got.
    fn upload(
        &self,
        next: impl FnMut() -> Option<Bytes> + Send,
    ) -> impl Future<Output = Result<u64, Failure>> + Send {
        drop(next);
        lacking()
    }

    /// Sends a payload and waits for its answer on the same stream, again and again: `step` takes
    /// the last answer and gives the next payload.
    fn chat(
        &self,
        step: impl FnMut(Option<Bytes>) -> Option<Bytes> + Send,
    ) -> impl Future<Output = Result<(), Failure>> + Send {
        drop(step);
        lacking()
    }

    /// Has the server call this client by a workload of one connection; `counted` gets what it
    /// counts in each interval, with its number, and after the last.
    fn reverse(
        &self,
        workload: &Workload,
        counted: impl FnMut(Option<usize>, &Part) + Send,
    ) -> impl Future<Output = Result<(), Failure>> + Send {
        drop((workload, counted));
        lacking()
    }
}

/// What a client answers that has no such call.
fn lacking<T>() -> impl Future<Output = Result<T, Failure>> + Send
where
    T: Send,
{
    ready(Err(Failure::new("UNIMPLEMENTED", "NotSent")))
}

/// One connection of a transport whose client blocks a thread.
pub(crate) trait Blocking: Sized + Send {
    /// Calls that are on their way at once if `wanted` are, or why not so many.
    fn window(wanted: usize) -> Result<usize, Error>;

    fn connect(target: &Target) -> Result<Self, Error>;

    /// Takes the requests of the next exchange, before the clock starts.
    fn prepare(&mut self, requests: &[Bytes]);

    /// Sends what was prepared, and waits for every answer.
    fn exchange(&mut self) -> Result<(), Failure>;

    /// The answers of the last exchange, in the order of their requests.
    fn replies(&self) -> impl Iterator<Item = &[u8]>;
}

/// Why a call failed.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    status: String,
    outcome: String,
}

impl Failure {
    /// A status in capitals, as gRPC writes it, and whether the call may have run.
    pub(crate) fn new(status: impl Into<String>, outcome: impl Into<String>) -> Self {
        let (status, outcome) = (status.into(), outcome.into());
        Self { status, outcome }
    }

    /// The same of a status that is `DeadlineExceeded` in Rust.
    fn of_variant(status: impl fmt::Debug, outcome: impl Into<String>) -> Self {
        let mut written = String::new();
        for (at, letter) in format!("{status:?}").char_indices() {
            if at > 0 && letter.is_ascii_uppercase() {
                written.push('_');
            }
            written.push(letter.to_ascii_uppercase());
        }
        Self::new(written, outcome)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, outcome } = self;
        write!(f, "{status}/{outcome}")
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::of_variant(error.kind(), "MayHaveRun")
    }
}

/// A connection that did not come about.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Ipc(error) => error.into(),
            Error::Io { source, .. } => Self::of_variant(source.kind(), "NotSent"),
            #[cfg(feature = "peers")]
            Error::Peer { .. } => Self::new("UNAVAILABLE", "NotSent"),
            error => Self::new(error.to_string(), "NotSent"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn an_io_error_is_written_as_a_status() {
        let gone = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let failed = [
            Failure::from(gone()),
            Error::io("no connection")(gone()).into(),
        ];
        assert_eq!(
            failed.map(|failure| failure.to_string()),
            ["UNEXPECTED_EOF/MayHaveRun", "UNEXPECTED_EOF/NotSent"]
        );
    }
}
