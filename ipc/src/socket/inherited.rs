//! Sockets that launchd or systemd made. Their path belongs to the service manager and is never touched.

use std::io;
use std::os::fd::OwnedFd;

use crate::sys;

/// Why there is no inherited socket.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum InheritError {
    /// The service manager passed no such socket, or none at all.
    #[error("the service manager passed no socket{}", name.as_ref().map(|name| format!(" named {name:?}")).unwrap_or_default())]
    NotActivated {
        /// The name that was asked for.
        name: Option<String>,
    },
    /// The service manager passed several sockets where one is wanted.
    #[error("the service manager passed {count} sockets where one is wanted")]
    Several {
        /// How many.
        count: usize,
    },
    /// What it passed is not a Unix stream socket that listens.
    #[error("the socket {name:?} of the service manager is not a listening unix stream socket")]
    NotAListener {
        /// The name of the socket.
        name: String,
    },
    /// The system refused.
    #[error("the socket of the service manager cannot be used")]
    Io(#[source] io::Error),
    /// Called outside a tokio runtime with its IO driver.
    #[error("a socket is taken over inside a tokio runtime")]
    NoRuntime,
}

pub(super) fn take(name: Option<&str>) -> Result<OwnedFd, InheritError> {
    let mut sockets = sys::activated(name).map_err(InheritError::Io)?;
    let count = sockets.len();
    match (sockets.pop(), count) {
        (Some(socket), 1) if sys::listens(&socket.socket) => Ok(socket.socket),
        (Some(socket), 1) => Err(InheritError::NotAListener { name: socket.name }),
        (Some(_), count) => Err(InheritError::Several { count }),
        (None, _) => Err(InheritError::NotActivated {
            name: name.map(str::to_owned),
        }),
    }
}
