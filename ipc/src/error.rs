//! What can go wrong, and who is at fault.
//!
//! The words of a peer stand in quotes, escaped: whoever logs an error logs them.

use std::fmt;
use std::io;

use crate::limits::InvalidLimit;
use crate::path::PathError;
use crate::peer::PeerError;
use crate::policy::{Denied, PolicyError};
use crate::socket::{AcceptError, BindError, ConnectError, InheritError};
use crate::status::{Code, Status};
use crate::sync::Arc;
use crate::wire::Violation;

/// Anything that can fail in this crate.
///
/// Its `Debug` is the message with all its causes, because that is what a `main` that returns
/// it prints.
#[non_exhaustive]
#[derive(Clone, thiserror::Error)]
pub enum Error {
    /// The socket path cannot be used; trying again does not help.
    #[error("socket path cannot be used")]
    Path(#[source] Arc<PathError>),
    /// The daemon cannot listen.
    #[error("failed to listen")]
    Bind(#[source] Arc<BindError>),
    /// No connection to the daemon.
    #[error("failed to connect")]
    Connect(#[source] Arc<ConnectError>),
    /// The two sides did not come to terms.
    #[error("handshake failed")]
    Handshake(#[source] HandshakeError),
    /// The policy names something that does not exist here.
    #[error("policy cannot be resolved")]
    Policy(#[source] Arc<PolicyError>),
    /// The server or client was put together wrongly; decidable by reading the code.
    #[error("server or client is misconfigured")]
    Build(#[source] Arc<BuildError>),
    /// A call failed.
    #[error("call failed")]
    Call(#[source] Failure),
    /// The service manager's socket cannot be taken over.
    #[error("failed to take over the inherited socket")]
    Inherit(#[source] Arc<InheritError>),
    /// The daemon can no longer accept connections.
    #[error("failed to accept")]
    Accept(#[source] Arc<AcceptError>),
    /// The operating system refused something else.
    #[error("system call failed")]
    Io(#[source] Arc<io::Error>),
}

impl Error {
    /// The status code that says it best.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Call(failure) => failure.status.code(),
            Self::Connect(error) => match **error {
                ConnectError::NotAllowed { .. } => Code::PermissionDenied,
                _ => Code::Unavailable,
            },
            Self::Handshake(error) => error.code(),
            Self::Path(_)
            | Self::Bind(_)
            | Self::Inherit(_)
            | Self::Policy(_)
            | Self::Build(_)
            | Self::Accept(_)
            | Self::Io(_) => Code::Internal,
        }
    }

    /// Whether the call may have run; everything but a call was not sent.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Call(failure) => failure.outcome,
            _ => Outcome::NotSent,
        }
    }

    /// The status, if a call failed.
    #[must_use]
    pub fn status(&self) -> Option<&Status> {
        match self {
            Self::Call(failure) => Some(&failure.status),
            _ => None,
        }
    }

    /// Whether the daemon went without a word before the handshake was done, as one that restarts does.
    pub(crate) const fn is_end_of_daemon(&self) -> bool {
        matches!(
            self,
            Self::Handshake(HandshakeError::Lost(ConnectionError::Closed))
        )
    }

    /// Whether the connection was lost: state given to the peer must be given again.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        matches!(self, Self::Call(Failure { lost: Some(_), .. }))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

/// Whether a failed call may have run at the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It never left this process; sending it again is safe.
    NotSent,
    /// It reached the peer, which guarantees that no handler saw it; sending it again is safe.
    RefusedUnseen,
    /// It may have run, in part or as a whole.
    MayHaveRun,
}

/// A failed call: the status, and whether it may have run.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{status} ({outcome:?})")]
pub struct Failure {
    status: Status,
    outcome: Outcome,
    #[source]
    lost: Option<ConnectionError>,
}

impl Failure {
    pub(crate) const fn new(status: Status, outcome: Outcome) -> Self {
        Self {
            status,
            outcome,
            lost: None,
        }
    }

    /// A call whose connection ended before its answer came.
    pub(crate) fn lost(reason: &ConnectionError, outcome: Outcome) -> Self {
        let status = Status::new(reason.code(), "the connection was lost");
        Self {
            status,
            outcome,
            lost: Some(reason.clone()),
        }
    }

    /// The status.
    #[must_use]
    pub const fn status(&self) -> &Status {
        &self.status
    }

    /// Whether it may have run.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Why the connection ended, if that is why the call failed.
    #[must_use]
    pub const fn connection(&self) -> Option<&ConnectionError> {
        self.lost.as_ref()
    }
}

/// Why a connection ended.
#[non_exhaustive]
#[derive(Clone, Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The peer closed it, or is gone.
    #[error("the peer closed the connection")]
    Closed,
    /// The peer asked for the end, with a code of PROTOCOL.md#error-codes.
    #[error("the peer went away with code {code}: {message:?}")]
    GoneAway {
        /// The code; 0 is a graceful stop.
        code: u32,
        /// The peer's text.
        message: String,
    },
    /// The peer broke the protocol, and was told so.
    #[error("the peer broke the protocol")]
    Violation(#[from] Violation),
    /// The socket failed.
    #[error("socket failed")]
    Io(#[source] Arc<io::Error>),
    /// This side closed it.
    #[error("the connection was closed by this side")]
    Shutdown,
}

impl ConnectionError {
    fn code(&self) -> Code {
        match self {
            // A peer that died in the middle of a frame, or is stuck, is not a wrong one.
            Self::Violation(Violation::Truncated | Violation::WriteTimeout) => Code::Unavailable,
            Self::Violation(_) => Code::Internal,
            _ => Code::Unavailable,
        }
    }
}

/// Why two sides did not come to terms.
#[non_exhaustive]
#[derive(Clone, Debug, thiserror::Error)]
pub enum HandshakeError {
    /// Versions differ; both are named.
    #[error("the peer speaks wire version {theirs}, we speak version {ours}")]
    Version {
        /// The peer's major version.
        theirs: u16,
        /// Our major version.
        ours: u16,
    },
    /// The server's policy does not admit us.
    #[error("the server refused us: {0:?}")]
    Refused(String),
    /// The server has as many connections as it takes; trying again later may help.
    #[error("the server takes no more connections: {0:?}")]
    Overloaded(String),
    /// We do not trust the process that answered.
    #[error("the process that answered is not trusted")]
    NotTrusted(#[source] Denied),
    /// The kernel does not say who answered.
    #[error("the process that answered cannot be identified")]
    Unidentified(#[source] Arc<PeerError>),
    /// It took too long.
    #[error("handshake timed out")]
    TimedOut,
    /// The connection ended in the middle.
    #[error("the connection ended during the handshake")]
    Lost(#[source] ConnectionError),
}

impl HandshakeError {
    fn code(&self) -> Code {
        match self {
            Self::Version { .. } => Code::Unimplemented,
            Self::Refused(_) => Code::PermissionDenied,
            Self::Overloaded(_) => Code::ResourceExhausted,
            Self::NotTrusted(_) | Self::Unidentified(_) => Code::Unauthenticated,
            Self::TimedOut => Code::DeadlineExceeded,
            Self::Lost(reason) => reason.code(),
        }
    }
}

/// Why a server or client cannot be built; decidable by reading the code.
#[non_exhaustive]
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// Two methods share a 32-bit id, or a service was added twice.
    #[error("methods {first} and {second} have the same id; rename one")]
    Collision {
        /// The one that was there.
        first: &'static str,
        /// The one that was added.
        second: &'static str,
    },
    /// The names of all services together do not fit the handshake.
    #[error("too many services: their names do not fit the handshake")]
    TooManyServices,
    /// A limit is out of range.
    #[error(transparent)]
    Limit(#[from] InvalidLimit),
}

/// A handler may use `?` on what it calls. The status keeps its code, but of what failed on this machine it
/// says only what kind of thing that was: the caller may be another user, whom paths do not concern.
impl From<Error> for Status {
    fn from(error: Error) -> Self {
        match error {
            Error::Call(failure) => failure.status,
            other => Self::new(other.code(), other.to_string()),
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Call(failure)
    }
}

impl From<HandshakeError> for Error {
    fn from(error: HandshakeError) -> Self {
        Self::Handshake(error)
    }
}

macro_rules! shared_sources {
    ($($variant:ident($source:ty)),* $(,)?) => {
        $(impl From<$source> for Error {
            fn from(error: $source) -> Self {
                Self::$variant(Arc::new(error))
            }
        })*
    };
}

shared_sources! {
    Path(PathError),
    Bind(BindError),
    Connect(ConnectError),
    Policy(PolicyError),
    Build(BuildError),
    Inherit(InheritError),
    Accept(AcceptError),
    Io(io::Error),
}

impl From<InvalidLimit> for Error {
    fn from(error: InvalidLimit) -> Self {
        BuildError::Limit(error).into()
    }
}

impl From<io::Error> for ConnectionError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // The same event, seen by a writer or by a reader with data still under way.
            io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::NotConnected
            | io::ErrorKind::UnexpectedEof => Self::Closed,
            _ => Self::Io(Arc::new(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::messages::GoAway;

    #[test]
    fn what_failed_here_is_told_to_a_caller_without_paths() {
        let path = || crate::SocketPath::at("/run/secret.sock").unwrap();
        let (path, bound, source) = (path(), path(), io::Error::other("secret"));
        let unbound = BindError::InUse {
            path: bound,
            holder: None,
        };
        let errors: [(Error, _); 3] = [
            (ConnectError::Io { path, source }.into(), Code::Unavailable),
            (unbound.into(), Code::Internal),
            (
                HandshakeError::Version { theirs: 2, ours: 1 }.into(),
                Code::Unimplemented,
            ),
        ];
        for (error, code) in errors {
            let status = Status::from(error.clone());
            assert_eq!((status.code(), error.code()), (code, code));
            assert!(!status.to_string().contains("secret"), "{status}");
        }
    }

    #[test]
    fn the_words_of_a_peer_cannot_forge_a_line_of_a_log() {
        let words = || "bye\n\u{1b}[2J\u{202e}1 error".to_owned();
        let away = ConnectionError::GoneAway {
            code: 5,
            message: words(),
        };
        let turned_away = GoAway {
            code: 64,
            message: words(),
            last_call: 0,
        };
        let texts = [
            away.to_string(),
            HandshakeError::Refused(words()).to_string(),
            HandshakeError::Overloaded(words()).to_string(),
            crate::wire::Failure::GoAway(turned_away).to_string(),
            Status::not_found(words()).to_string(),
            Failure::new(Status::not_found(words()), Outcome::MayHaveRun).to_string(),
        ];
        for text in texts {
            let escaped = r#""bye\n\u{1b}[2J\u{202e}1 error""#;
            assert!(text.contains(escaped), "{text:?}");
        }
    }
}
