//! What carries the calls: a serving half and a calling half for each.
//!
//! An asynchronous one implements [`Async`], a blocking one [`Blocking`]; the loops over both
//! are in `scenario`. One that fits neither brings a loop of its own over a
//! [`Caller`](crate::meter::Caller).

mod ipc;
mod raw;

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
    /// This crate
    Ipc,
    /// This crate with `Limits::busy_poll`
    IpcBusyPoll,
}

impl Transport {
    /// The version of what carries the calls; none for a bare socket.
    pub(crate) const fn version(self) -> Option<&'static str> {
        match self {
            Self::Raw | Self::RawPipelined => None,
            // All crates of the workspace have one version.
            Self::Ipc | Self::IpcBusyPoll => Some(env!("CARGO_PKG_VERSION")),
        }
    }

    /// The runtime it has when this one is asked for.
    pub(crate) const fn runtime(self, asked: Flavor) -> Flavor {
        match self {
            Self::Raw | Self::RawPipelined => Flavor::Blocking,
            Self::Ipc | Self::IpcBusyPoll => asked,
        }
    }

    /// Serves until the process that started this one wants no more.
    pub(crate) fn serve(self, serving: Serving) -> Result<(), Error> {
        match self {
            Self::Raw | Self::RawPipelined => raw::serve(serving),
            Self::Ipc => serving.run::<Ipc>(),
            Self::IpcBusyPoll => serving.run::<IpcBusyPoll>(),
        }
    }

    /// Makes the calls of one client process.
    pub(crate) fn load(self, load: Load) -> Result<(), Error> {
        if load.workload.attached.is_some() {
            return attach::load(load);
        }
        match (self, load.workload.runtime) {
            (Self::Raw, _) if load.workload.in_flight > 1 => {
                Err(Error::Unsupported("raw with several calls in flight"))
            }
            (Self::Raw | Self::RawPipelined, _) => scenario::threads::<raw::Raw>(load),
            (Self::Ipc, Flavor::Blocking) => scenario::threads::<ipc::IpcBlocking>(load),
            (Self::IpcBusyPoll, Flavor::Blocking) => {
                Err(Error::Unsupported("busy polling by a blocking client"))
            }
            (Self::Ipc, _) => scenario::tasks::<Ipc>(load),
            (Self::IpcBusyPoll, _) => scenario::tasks::<IpcBusyPoll>(load),
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
    /// counts.
    fn reverse(
        &self,
        workload: &Workload,
        counted: impl FnMut(&Part) + Send,
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
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, outcome } = self;
        write!(f, "{status}/{outcome}")
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(error.kind().to_string(), "MayHaveRun")
    }
}

/// A connection that did not come about.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Ipc(error) => error.into(),
            Error::Io { source, .. } => Self::new(source.kind().to_string(), "NotSent"),
            error => Self::new(error.to_string(), "NotSent"),
        }
    }
}
