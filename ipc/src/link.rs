//! What all connections of one client or server have in common, and how one is started.

use std::os::fd::OwnedFd;
use std::time::Duration;

use tracing::{Instrument, debug_span};

use crate::client::Client;
use crate::complaints::Complaints;
use crate::conn::io::{self as transport, Reader, Writer};
use crate::conn::{Connection, Dispatch, Setup, Task};
use crate::error::{BuildError, ConnectionError, Error, HandshakeError};
use crate::handshake::{self, Shaken};
use crate::limits::Limits;
use crate::peer::{Peer, PeerError};
use crate::policy::{Admitted, ResolvedPolicy};
use crate::pool::Pool;
use crate::service::{Service, Services};
use crate::sync::Arc;
use crate::wire::{Local, Side};

/// What this side calls itself, for the peer's logs.
pub(crate) const SOFTWARE: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

/// What all connections of one client or server have in common.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) local: Arc<Local>,
    services: Arc<dyn Dispatch>,
    pool: Arc<Pool>,
    complaints: Arc<Complaints>,
    side: Side,
}

impl Link {
    pub(crate) fn new(
        side: Side,
        services: Vec<Arc<dyn Service>>,
        limits: Limits,
    ) -> Result<Self, Error> {
        limits.validate()?;
        let services = Services::new(services)?;
        let local = Arc::new(Local {
            limits,
            services: services.infos(),
            software: SOFTWARE.into(),
        });
        if !local.fits() {
            return Err(BuildError::TooManyServices.into());
        }
        Ok(Self {
            local,
            services: Arc::new(services),
            pool: Pool::new(limits.pooled),
            complaints: Arc::default(),
            side,
        })
    }

    pub(crate) async fn connect(
        self,
        socket: OwnedFd,
        trust: &ResolvedPolicy,
        timeout: Option<Duration>,
    ) -> Result<Client, Error> {
        let socket = Arc::new(socket);
        let (reader, writer) = transport::open(Arc::clone(&socket))?;
        let trust = || {
            let peer = Peer::of(&socket).map_err(unidentified)?;
            trust.check(peer).map_err(HandshakeError::NotTrusted)
        };
        let (admitted, shaken) = handshake::connect(&reader, &writer, &self.local, trust).await?;
        let connection = self.start(admitted, (reader, writer), shaken);
        Ok(Client::owning(connection, timeout))
    }

    /// Starts the connection of a client; only a peer that was let in has one.
    pub(crate) fn start(
        &self,
        admitted: Admitted,
        (reader, writer): (Reader, Writer),
        shaken: Shaken,
    ) -> Arc<Connection> {
        let (connection, task) = self.join(admitted, (reader, writer), shaken);
        let span = debug_span!("connection", peer.uid = connection.peer.uid());
        #[expect(
            clippy::disallowed_methods,
            reason = "ends with its connection, which the client owns"
        )]
        tokio::spawn(task.run().instrument(span));
        connection
    }

    /// A connection and its task, after the handshake.
    pub(crate) fn join(
        &self,
        admitted: Admitted,
        (reader, writer): (Reader, Writer),
        (established, input): Shaken,
    ) -> (Arc<Connection>, Task) {
        let setup = Setup {
            side: self.side,
            limits: self.local.limits,
            peer: admitted.into_peer(),
            dispatch: Arc::clone(&self.services),
            pool: Arc::clone(&self.pool),
            complaints: Arc::clone(&self.complaints),
        };
        let connection = Connection::new(writer, setup, &established);
        let task = Task::new(Arc::clone(&connection), reader, input);
        (connection, task)
    }
}

/// What it means to a client that it cannot know the server: on macOS also that it has left, as one that restarts does.
pub(crate) fn unidentified(error: PeerError) -> HandshakeError {
    if error.is_gone() {
        HandshakeError::Lost(ConnectionError::Closed)
    } else {
        HandshakeError::Unidentified(Arc::new(error))
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use nix::errno::Errno;

    use super::*;

    #[test]
    fn a_server_that_left_before_it_was_identified_is_tried_again() {
        let tried_again = |error: PeerError| Error::from(unidentified(error)).is_end_of_daemon();
        for errno in [Errno::ENOTCONN, Errno::EINVAL] {
            assert!(tried_again(PeerError::Unreadable(errno.into())), "{errno}");
        }
        for errno in [Errno::ENOTSOCK, Errno::ENOPROTOOPT, Errno::EMFILE] {
            assert!(!tried_again(PeerError::Unreadable(errno.into())), "{errno}");
        }
        let other_user = io::Error::new(io::ErrorKind::InvalidData, "another user's process");
        assert!(!tried_again(PeerError::Unreadable(other_user)));
        assert!(!tried_again(PeerError::Unidentified));
    }
}
