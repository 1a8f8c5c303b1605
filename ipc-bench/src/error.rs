//! Why a measurement did not come about.

use std::io;

/// Why a measurement did not come about.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{what}")]
    Io {
        what: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("the {role} process {what}")]
    Process { role: &'static str, what: String },
    #[error("{users} users need a connection each, and there are {connections}")]
    Crowded { users: usize, connections: usize },
    #[error("{0} is not supported")]
    Unsupported(&'static str),
    #[error("the process that started this one has gone")]
    Abandoned,
    #[error("a caller ended before its time")]
    Task(#[source] tokio::task::JoinError),
    #[error("a call failed: {0}")]
    Failed(String),
    #[error(transparent)]
    Attach(#[from] crate::attach::Error),
    #[error("the server can hold {most} agents by its limit of open files, not {agents}")]
    TooMany { agents: u32, most: u64 },
    #[error("nothing can be known of the daemon's memory here")]
    Unwatched,
    #[error("the daemon has gone")]
    Gone(#[source] Box<Self>),
    #[error("the daemon holds more and more")]
    Leak,
    #[error("ipc failed")]
    Ipc(#[from] ipc::Error),
    #[cfg(feature = "peers")]
    #[error("{name} failed")]
    Peer {
        name: &'static str,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("not measured: {0}")]
    Unmeasured(String),
    #[error("the socket path cannot be used")]
    Path(#[from] ipc::PathError),
    #[error("a measurement cannot be written or read back")]
    Json(#[from] serde_json::Error),
    #[error("the check failed")]
    Check(#[from] crate::command::check::Failed),
    #[error(transparent)]
    Baseline(#[from] crate::command::check::Unusable),
    #[error("{0} is not there: install it to count system calls")]
    Missing(&'static str),
    #[error("no call was sent, so nothing can be said of one")]
    NoCalls,
    #[error("strace may not trace here: {0}")]
    Untraceable(String),
    #[error("{what} cannot be read: {text:?}")]
    Unreadable { what: &'static str, text: String },
}

impl Error {
    /// Says what was being done when an IO error came.
    pub(crate) fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, source }
    }

    /// Says which peer it was that failed.
    #[cfg(feature = "peers")]
    pub(crate) fn peer<E>(name: &'static str) -> impl FnOnce(E) -> Self
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        move |source| Self::Peer {
            name,
            source: source.into(),
        }
    }
}
