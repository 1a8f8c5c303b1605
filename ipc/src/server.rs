//! The accepting side.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::pin;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, debug, debug_span, warn};

use crate::conn::io::{self as transport, Writer};
use crate::error::Error;
use crate::handshake::{accept, say};
use crate::limits::Limits;
use crate::link::Link;
use crate::path::SocketPath;
use crate::policy::{Admitted, Policy, ResolvedPolicy};
use crate::service::Service;
use crate::socket::{Accepted, BindOptions, Listener};
use crate::sync::{Arc, Mutex, PoisonError};
use crate::wire::{GoAwayCode, Side, turn_away};

/// Puts a [`Server`] together.
#[must_use = "a builder does nothing until `bind`"]
pub struct ServerBuilder {
    path: SocketPath,
    allow: Policy,
    services: Vec<Arc<dyn Service>>,
    limits: Limits,
    socket: BindOptions,
}

impl ServerBuilder {
    /// Who may connect; checked before the first byte is read. Default: root and the
    /// daemon's own user.
    pub fn allow(mut self, policy: Policy) -> Self {
        self.allow = policy;
        self
    }

    /// Offers a service.
    pub fn service(mut self, service: impl Service) -> Self {
        self.services.push(Arc::new(service));
        self
    }

    /// Bounds other than the default ones.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The mode of the socket file. Default 0o666: the policy decides, by the kernel's word.
    pub fn mode(mut self, mode: u32) -> Self {
        self.socket.mode = mode;
        self
    }

    /// Binds the socket and starts to listen; nothing is accepted before
    /// [`Server::serve_until`].
    ///
    /// # Errors
    ///
    /// [`Error::Bind`] if the path is taken by a running daemon or its directory is not
    /// safe, [`Error::Build`] and [`Error::Policy`] for what was put together wrongly.
    pub fn bind(self) -> Result<Server, Error> {
        let (path, socket) = (self.path.clone(), self.socket.clone());
        self.serve(move || Ok(Listener::bind(&path, &socket)?))
    }

    /// Takes over the socket that launchd or systemd holds under `name`; the path is not
    /// touched. Without a name, the only one.
    ///
    /// # Errors
    ///
    /// [`Error::Inherit`] if there is no such socket, and as for [`Self::bind`].
    pub fn inherit(self, name: Option<&str>) -> Result<Server, Error> {
        self.serve(|| Ok(Listener::inherited(name)?))
    }

    /// All that can be wrong in the configuration is found before a file is made.
    fn serve(self, listen: impl FnOnce() -> Result<Listener, Error>) -> Result<Server, Error> {
        let policy = self.allow.resolve()?;
        let link = Link::new(Side::Accepting, self.services, self.limits)?;
        let session = crate::sys::random()?;
        let shared = Shared {
            policy,
            link,
            session,
            limits: self.limits,
            open: Mutex::default(),
        };
        Ok(Server {
            path: self.path,
            listener: listen()?,
            shared: Arc::new(shared),
        })
    }
}

impl fmt::Debug for ServerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerBuilder")
            .field("path", &self.path)
            .field("allow", &self.allow)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// A socket that listens, and what to serve on it.
#[derive(Debug)]
#[must_use = "nothing is accepted before `serve_until`"]
pub struct Server {
    path: SocketPath,
    listener: Listener,
    shared: Arc<Shared>,
}

impl Server {
    /// A server at `path`.
    pub fn builder(path: SocketPath) -> ServerBuilder {
        ServerBuilder {
            path,
            allow: Policy::default(),
            services: Vec::new(),
            limits: Limits::default(),
            socket: BindOptions {
                mode: 0o666,
                ..BindOptions::default()
            },
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn path(&self) -> &SocketPath {
        &self.path
    }

    /// Serves until `stop` is done; then takes no more connections and calls, lets open
    /// calls finish within [`Limits::drain`], closes and returns.
    ///
    /// # Errors
    ///
    /// [`Error::Accept`] if the listening socket fails for good.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops as `stop` does, without waiting for the connections.
    pub async fn serve_until<F: Future>(self, stop: F) -> Result<(), Error> {
        let Self {
            listener,
            shared,
            path,
        } = self;
        debug!(%path, "listening");
        let mut stop = pin!(stop);
        let closing = CancellationToken::new();
        let _guard = closing.clone().drop_guard();
        let stopping = closing.child_token();
        let connections = TaskTracker::new();
        let ended = loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = &mut stop => break Ok(()),
            };
            match accepted {
                Ok(accepted) => {
                    let stop = (stopping.clone(), closing.clone());
                    connections.spawn(serve(Arc::clone(&shared), accepted, stop));
                }
                Err(error) => break Err(error.into()),
            }
        };
        drop(listener);
        stopping.cancel();
        connections.close();
        connections.wait().await;
        ended
    }
}

/// What all connections of a server share.
#[derive(Debug)]
struct Shared {
    policy: ResolvedPolicy,
    link: Link,
    session: [u8; 16],
    limits: Limits,
    open: Mutex<HashMap<u32, u32>>,
}

/// Serves one connection from its acceptance to its end, which is wanted soon when the first
/// token is cancelled, and now when the second is.
async fn serve(
    shared: Arc<Shared>,
    accepted: Accepted,
    (stopping, closing): (CancellationToken, CancellationToken),
) {
    let uid = accepted.peer.uid();
    let span = debug_span!(
        "connection",
        peer.uid = uid,
        peer.pid = accepted.peer.informational_pid()
    );
    async {
        let (reader, writer) = match transport::open(accepted.fd) {
            Ok(halves) => halves,
            Err(error) => return warn!(%error, "connection cannot be registered"),
        };
        let Some((admitted, _seat)) = admit(&shared, accepted.peer, &writer) else {
            return;
        };
        let local = &shared.link.local;
        let shaken = tokio::select! {
            shaken = accept(&reader, &writer, local, shared.session) => shaken,
            () = stopping.cancelled() => return,
        };
        let shaken = match shaken {
            Ok(shaken) => shaken,
            Err(error) => return debug!(error = &error as &dyn std::error::Error, "no handshake"),
        };
        let (connection, task) = shared.link.join(admitted, (reader, writer), shaken);
        debug!("connected");
        let mut run = pin!(task.run());
        tokio::select! {
            _ = &mut run => return,
            () = stopping.cancelled() => connection.drain(),
        }
        tokio::select! {
            _ = &mut run => return,
            () = sleep(shared.limits.drain) => {}
            () = closing.cancelled() => {}
        }
        connection.close();
        run.await;
    }
    .instrument(span)
    .await;
}

/// Lets a peer in, or turns it away without having read a byte of it.
fn admit(
    shared: &Arc<Shared>,
    peer: crate::peer::Peer,
    writer: &Writer,
) -> Option<(Admitted, Seat)> {
    let uid = peer.uid();
    let admitted = match shared.policy.check(peer) {
        Ok(admitted) => admitted,
        Err(denied) => {
            warn!(%denied, "refused");
            say(
                writer,
                &turn_away(false, GoAwayCode::REFUSED, "not admitted by policy"),
            );
            return None;
        }
    };
    let seat = Seat::take(shared, uid);
    if seat.is_none() {
        warn!("too many connections");
        say(
            writer,
            &turn_away(false, GoAwayCode::OVERLOADED, "too many connections"),
        );
    }
    Some((admitted, seat?))
}

/// One connection in the count; gives its place up when dropped.
struct Seat {
    shared: Arc<Shared>,
    uid: u32,
}

impl Seat {
    fn take(shared: &Arc<Shared>, uid: u32) -> Option<Self> {
        let mut open = shared.open.lock().unwrap_or_else(PoisonError::into_inner);
        let total: u32 = open.values().sum();
        let own = open.get(&uid).copied().unwrap_or_default();
        if total >= shared.limits.max_connections || own >= shared.limits.max_connections_per_user {
            return None;
        }
        open.insert(uid, own + 1);
        drop(open);
        Some(Self {
            shared: Arc::clone(shared),
            uid,
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut open = self
            .shared
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = open.get_mut(&self.uid) {
            *own -= 1;
            if *own == 0 {
                open.remove(&self.uid);
            }
        }
    }
}
