//! The accepting side.

use std::fmt;
use std::future::Future;
use std::io;
use std::panic::resume_unwind;
use std::pin::pin;

use slab::Slab;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use tracing::{Instrument, debug, debug_span, warn};

use crate::admission::{Admission, Refusal};
use crate::conn::Connection;
use crate::conn::io::{self as transport, Writer};
use crate::error::Error;
use crate::handshake::{accept, say};
use crate::limits::Limits;
use crate::link::Link;
use crate::path::SocketPath;
use crate::policy::Policy;
use crate::service::Service;
use crate::socket::{AcceptError, Accepted, BindOptions, Listener};
use crate::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
    /// Raises the process's soft limit of open descriptors to the hard one: each connection
    /// takes two, and a third while a write to its peer is blocked. Where the limit is below
    /// four for each of [`Limits::max_connections`], fewer are taken. On macOS the process's umask
    /// is 0o077 for a moment, for what other threads make then as well; also when the socket is
    /// bound again because its file was removed.
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
    /// On macOS a daemon that is not root turns away who has connected before, to be seen by
    /// clients in launchd's place: they come back within their `connect_within`.
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
        let listener = listen()?;
        let shared = Shared {
            admission: Arc::new(Admission::new(policy, &self.limits)),
            link,
            session,
            live: Mutex::default(),
        };
        Ok(Server {
            path: self.path,
            listener,
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
    /// [`Error::Accept`] if the listening socket fails for good, or the runtime ends.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops as `stop` does, without waiting for the connections: the path is
    /// free at once.
    pub async fn serve_until<F: Future>(self, stop: F) -> Result<(), Error> {
        let Self {
            listener,
            shared,
            path,
        } = self;
        debug!(%path, "listening");
        let stop = pin!(stop);
        let _closing = End(Arc::clone(&shared), Stage::Closing);
        let stopping = CancellationToken::new();
        let guard = (
            stopping.clone().drop_guard(),
            End(Arc::clone(&shared), Stage::Draining),
        );
        let connections = TaskTracker::new();
        let accepting = Accepting::begin(listener, shared, &connections, stopping);
        let ended = accepting.until(stop).await;
        drop(guard);
        connections.close();
        connections.wait().await;
        ended
    }
}

/// The task that accepts. What `block_on` polls runs on a thread of its own: there each connection
/// would change threads twice.
struct Accepting {
    listener: Arc<Listener>,
    task: AbortOnDropHandle<AcceptError>,
}

impl Accepting {
    fn begin(
        listener: Listener,
        shared: Arc<Shared>,
        connections: &TaskTracker,
        stopping: CancellationToken,
    ) -> Self {
        let listener = Arc::new(listener);
        let each = connections.clone();
        let accept = accept_all(Arc::clone(&listener), shared, each, stopping);
        Self {
            listener,
            task: AbortOnDropHandle::new(connections.spawn(accept.in_current_span())),
        }
    }

    /// Returns once `stop` is done or the listener has failed; the task may last a little longer.
    async fn until(mut self, stop: impl Future) -> Result<(), Error> {
        let ended = tokio::select! {
            ended = &mut self.task => ended,
            _ = stop => return Ok(()),
        };
        match ended {
            Ok(error) => Err(error.into()),
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            // And with the runtime all connections.
            Err(_cancelled) => Err(AcceptError::RuntimeEnded.into()),
        }
    }
}

/// Nobody finds the path taken by a server that is gone, whenever its task notices.
impl Drop for Accepting {
    fn drop(&mut self) {
        self.listener.leave();
    }
}

/// Accepts until that fails for good, and serves each connection in a task of its own.
async fn accept_all(
    listener: Arc<Listener>,
    shared: Arc<Shared>,
    connections: TaskTracker,
    stopping: CancellationToken,
) -> AcceptError {
    loop {
        match listener.accept().await {
            Ok(accepted) => {
                let serve = serve(Arc::clone(&shared), accepted, stopping.clone());
                connections.spawn(serve);
            }
            Err(error) => return error,
        }
    }
}

/// Completes when the process is asked to stop, by SIGTERM or SIGINT: by launchd, systemd or a
/// terminal. For [`Server::serve_until`].
///
/// # Errors
///
/// If the handlers cannot be installed.
pub fn stop_signal() -> io::Result<impl Future<Output = ()> + Send> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// What all connections of a server share.
#[derive(Debug)]
struct Shared {
    admission: Arc<Admission>,
    link: Link,
    session: [u8; 16],
    live: Mutex<Live>,
}

/// Connections after their handshake, for the end of the server.
#[derive(Debug, Default)]
struct Live {
    stage: Stage,
    connections: Slab<Arc<Connection>>,
}

/// How far the end of a server has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Serving,
    Draining,
    Closing,
}

impl Stage {
    fn tell(self, connection: &Connection) {
        match self {
            Self::Serving => {}
            Self::Draining => connection.drain(),
            Self::Closing => connection.close(),
        }
    }
}

/// Brings all connections to a stage when dropped, and those that come later.
struct End(Arc<Shared>, Stage);

impl Drop for End {
    fn drop(&mut self) {
        let mut live = self.0.live();
        live.stage = self.1;
        for (_, connection) in &live.connections {
            self.1.tell(connection);
        }
    }
}

/// One connection among the live ones; goes when dropped.
struct Listed<'a>(&'a Shared, usize);

impl<'a> Listed<'a> {
    fn new(shared: &'a Shared, connection: Arc<Connection>) -> Self {
        let mut live = shared.live();
        live.stage.tell(&connection);
        Self(shared, live.connections.insert(connection))
    }
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        self.0.live().connections.try_remove(self.1);
    }
}

impl Shared {
    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves one connection from its acceptance to its end; `stopping` ends its handshake.
async fn serve(shared: Arc<Shared>, accepted: Accepted, stopping: CancellationToken) {
    let uid = accepted.peer.uid();
    let span = debug_span!(
        "connection",
        peer.uid = uid,
        peer.pid = accepted.peer.informational_pid()
    );
    async {
        let (reader, writer) = match transport::open(Arc::new(accepted.fd)) {
            Ok(halves) => halves,
            Err(error) => {
                return warn!(
                    error = &error as &dyn std::error::Error,
                    "connection cannot be registered"
                );
            }
        };
        let (admitted, _seat) = match shared.admission.admit(accepted.peer) {
            Ok(let_in) => let_in,
            // Turned away without having read a byte.
            Err(refusal) => return turn_back(&writer, &refusal),
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
        // Waiting for the end of the server here would cost each call a look at it.
        let _listed = Listed::new(&shared, connection);
        task.run().await;
    }
    .instrument(span)
    .await;
}

/// Tells a peer why it is turned away.
fn turn_back(writer: &Writer, refusal: &Refusal) {
    let code = match refusal {
        Refusal::Denied(_) => GoAwayCode::REFUSED,
        Refusal::Full => GoAwayCode::OVERLOADED,
    };
    say(writer, &turn_away(false, code, &refusal.to_string()));
}
