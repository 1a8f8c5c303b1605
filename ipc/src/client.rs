//! The connecting side.

use std::fmt;
use std::time::Duration;

use prost::Message;
use tokio::time::Instant;

use crate::conn::Connection;
use crate::error::{ConnectionError, Error};
use crate::limits::Limits;
use crate::link::Link;
use crate::path::SocketPath;
use crate::peer::Peer;
use crate::policy::Policy;
use crate::request::{Bidirectional, ClientStreaming, OneWay, Request, ServerStreaming, Unary};
use crate::service::{Method, Service};
use crate::socket;
use crate::sync::Arc;
use crate::wire::Side;

/// Calls the other end of a connection. Clones share the connection.
///
/// The connection closes once the last clone and the last open call are gone.
#[derive(Clone)]
pub struct Client {
    connection: Arc<Connection>,
    timeout: Option<Duration>,
    /// Closes the connection of a client that made it; a client for calls back has none.
    _owner: Option<Arc<Owner>>,
}

/// Closes the connection when the last client that made it is dropped.
struct Owner(Arc<Connection>);

impl Client {
    /// A client for the daemon at `path`.
    pub fn builder(path: SocketPath) -> ClientBuilder {
        ClientBuilder {
            path,
            trust: Policy::default(),
            services: Vec::new(),
            limits: Limits::default(),
            timeout: None,
            patience: Duration::from_secs(5),
        }
    }

    /// A client on a connection that lives by itself.
    pub(crate) fn borrowed(connection: Arc<Connection>) -> Self {
        Self {
            connection,
            timeout: None,
            _owner: None,
        }
    }

    pub(crate) fn owning(connection: Arc<Connection>, timeout: Option<Duration>) -> Self {
        let owner = Arc::new(Owner(Arc::clone(&connection)));
        Self {
            connection,
            timeout,
            _owner: Some(owner),
        }
    }

    /// The same client with another deadline for every call; a call may choose its own.
    #[must_use]
    pub fn with_deadline(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Who is at the other end.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.connection.peer
    }

    /// Why the connection is over, if it is.
    #[must_use]
    pub fn closed(&self) -> Option<ConnectionError> {
        self.connection.lock().over.clone()
    }

    /// Calls a method that takes one message and gives one.
    pub fn unary<Req, Res>(&self, method: &'static Method, request: Req) -> Unary<Req, Res>
    where
        Req: Message,
        Res: Message + Default,
    {
        Request::new(self.clone(), method, request)
    }

    /// Calls a method that takes one message and gives many.
    pub fn server_streaming<Req, Res>(
        &self,
        method: &'static Method,
        request: Req,
    ) -> ServerStreaming<Req, Res>
    where
        Req: Message,
        Res: Message + Default,
    {
        Request::new(self.clone(), method, request)
    }

    /// Calls a method that takes many messages and gives one.
    pub fn client_streaming<Req, Res>(&self, method: &'static Method) -> ClientStreaming<Req, Res>
    where
        Req: Message,
        Res: Message + Default,
    {
        Request::new(self.clone(), method, ())
    }

    /// Calls a method that takes many messages and gives many.
    pub fn bidirectional<Req, Res>(&self, method: &'static Method) -> Bidirectional<Req, Res>
    where
        Req: Message,
        Res: Message + Default,
    {
        Request::new(self.clone(), method, ())
    }

    /// Calls a method that gives no answer.
    pub fn one_way<Req: Message>(&self, method: &'static Method, request: Req) -> OneWay<Req> {
        Request::new(self.clone(), method, request)
    }

    pub(crate) const fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    pub(crate) const fn timeout(&self) -> Option<Duration> {
        self.timeout
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("peer", &self.connection.peer)
            .finish_non_exhaustive()
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.close_when_flushed();
    }
}

/// Puts a [`Client`] together.
#[must_use = "a builder does nothing until `connect`"]
pub struct ClientBuilder {
    path: SocketPath,
    trust: Policy,
    services: Vec<Arc<dyn Service>>,
    limits: Limits,
    timeout: Option<Duration>,
    patience: Duration,
}

impl ClientBuilder {
    /// Who may answer; a squatter on the path is refused. Default: root and our own user.
    pub fn trust(mut self, policy: Policy) -> Self {
        self.trust = policy;
        self
    }

    /// Offers a service for calls the other way.
    pub fn service(mut self, service: impl Service) -> Self {
        self.services.push(Arc::new(service));
        self
    }

    /// A deadline for every call; a call may choose its own. Default: none.
    pub fn deadline(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// How long to wait for a daemon that is not there yet. Default 5 s; a daemon that
    /// launchd respawns may take 10 s.
    pub fn connect_within(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Bounds other than the default ones.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Connects, checks who answers, and agrees on the terms.
    ///
    /// # Errors
    ///
    /// [`Error::Connect`] if nobody took the connection in time, [`Error::Handshake`] if the
    /// two sides did not come to terms, [`Error::Build`] and [`Error::Policy`] for what was
    /// put together wrongly.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes what it opened.
    pub async fn connect(self) -> Result<Client, Error> {
        let trust = self.trust.resolve()?;
        let link = Link::new(Side::Connecting, self.services, self.limits)?;
        let deadline = Instant::now() + self.patience;
        let socket = socket::connect(&self.path, deadline).await?;
        link.connect(socket, &trust, self.timeout).await
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("path", &self.path)
            .field("trust", &self.trust)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
