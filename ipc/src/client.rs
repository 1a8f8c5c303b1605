//! The connecting side.

use std::fmt;
use std::time::Duration;

use prost::Message;

use crate::conn::Connection;
use crate::error::ConnectionError;
use crate::method::Method;
use crate::peer::Peer;
use crate::request::{Bidirectional, ClientStreaming, OneWay, Request, ServerStreaming, Unary};
use crate::sync::Arc;

/// Calls the other end of a connection. Clones share the connection.
///
/// The connection closes once the last clone and the last open call are gone.
#[derive(Clone)]
pub struct Client {
    hold: Hold,
    timeout: Option<Duration>,
}

/// What a client has of its connection.
#[derive(Clone)]
enum Hold {
    /// It made it.
    Owned(Arc<Owner>),
    /// It is for calls back.
    Borrowed(Arc<Connection>),
}

/// Closes the connection when the last client that made it is dropped.
struct Owner(Arc<Connection>);

impl Client {
    /// A client on a connection that lives by itself.
    pub(crate) fn borrowed(connection: Arc<Connection>) -> Self {
        Self {
            hold: Hold::Borrowed(connection),
            timeout: None,
        }
    }

    pub(crate) fn owning(connection: Arc<Connection>, timeout: Option<Duration>) -> Self {
        Self {
            hold: Hold::Owned(Arc::new(Owner(connection))),
            timeout,
        }
    }

    /// The same client with another deadline for every call; see
    /// [`ClientBuilder::deadline`](crate::ClientBuilder::deadline).
    #[must_use]
    pub fn with_deadline(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Who is at the other end.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.connection().peer
    }

    /// Why the connection is over, if it is.
    #[must_use]
    pub fn close_reason(&self) -> Option<ConnectionError> {
        self.connection().lock().over.clone()
    }

    /// Waits until the connection is over, and says why.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn closed(&self) -> ConnectionError {
        self.connection().ended.cancelled().await;
        self.close_reason().unwrap_or(ConnectionError::Shutdown)
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

    pub(crate) fn connection(&self) -> &Arc<Connection> {
        match &self.hold {
            Hold::Owned(owner) => &owner.0,
            Hold::Borrowed(connection) => connection,
        }
    }

    pub(crate) const fn timeout(&self) -> Option<Duration> {
        self.timeout
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("peer", &self.connection().peer)
            .finish_non_exhaustive()
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.close_when_done();
    }
}
