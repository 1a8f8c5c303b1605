//! A client without a runtime, for command-line tools and installers.
//!
//! One thread uses one client: every call borrows it until it is over. It answers pings and
//! refuses calls of the peer while it waits, and only then. Calls read as those of the
//! asynchronous [`Client`](crate::Client) do, with `send` where those are awaited:
//! `jobs.submit(request).deadline(second).send()?`.

mod handshake;
mod held;
mod link;
mod request;
mod stream;

use std::fmt;
use std::time::Duration;

use prost::Message;

use self::link::Link;
pub use self::request::{Bidirectional, ClientStreaming, OneWay, Request, ServerStreaming, Unary};
pub use self::stream::{Exchange, Receiver, Upload};
use crate::error::{ConnectionError, Error};
use crate::limits::Limits;
use crate::method::Method;
use crate::path::SocketPath;
use crate::peer::Peer;
use crate::policy::Policy;

/// Calls a daemon, one call at a time, and waits in the calling thread.
pub struct Client {
    link: Link,
    timeout: Option<Duration>,
}

impl Client {
    /// A client for the daemon at `path`.
    pub fn builder(path: SocketPath) -> ClientBuilder {
        ClientBuilder {
            path,
            trust: Policy::default(),
            limits: Limits::default(),
            timeout: None,
            patience: Duration::from_secs(5),
        }
    }

    /// The same client with another deadline for every call; see [`ClientBuilder::deadline`].
    #[must_use]
    pub fn with_deadline(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Who is at the other end.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        self.link.peer()
    }

    /// Why the connection is over, if it is. Only calls find out: nobody reads between them.
    #[must_use]
    pub fn close_reason(&self) -> Option<ConnectionError> {
        self.link.close_reason().cloned()
    }

    /// Calls a method that takes one message and gives one.
    pub fn unary<Req, Res>(&mut self, method: &'static Method, request: Req) -> Unary<'_, Req, Res>
    where
        Req: Message,
        Res: Message + Default,
    {
        Request::new(&mut self.link, method, self.timeout, request)
    }

    /// Calls a method that takes one message and gives many.
    pub fn server_streaming<Req, Res>(
        &mut self,
        method: &'static Method,
        request: Req,
    ) -> ServerStreaming<'_, Req, Res>
    where
        Req: Message,
        Res: Message + Default,
    {
        Request::new(&mut self.link, method, self.timeout, request)
    }

    /// Calls a method that takes many messages and gives one.
    pub fn client_streaming<Req, Res>(
        &mut self,
        method: &'static Method,
    ) -> ClientStreaming<'_, Req, Res>
    where
        Req: Message,
        Res: Message + Default,
    {
        Request::new(&mut self.link, method, self.timeout, ())
    }

    /// Calls a method that takes many messages and gives many.
    pub fn bidirectional<Req, Res>(
        &mut self,
        method: &'static Method,
    ) -> Bidirectional<'_, Req, Res>
    where
        Req: Message,
        Res: Message + Default,
    {
        Request::new(&mut self.link, method, self.timeout, ())
    }

    /// Calls a method that gives no answer.
    pub fn one_way<Req: Message>(
        &mut self,
        method: &'static Method,
        request: Req,
    ) -> OneWay<'_, Req> {
        Request::new(&mut self.link, method, self.timeout, request)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("peer", self.peer())
            .finish_non_exhaustive()
    }
}

/// Puts a [`Client`] together.
#[derive(Debug)]
#[must_use = "a builder does nothing until `connect`"]
pub struct ClientBuilder {
    path: SocketPath,
    trust: Policy,
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

    /// A deadline for every call that has one answer or none; a call may choose its own.
    /// A stream of answers has none unless it chooses one, because it may be meant to last.
    /// Default: none.
    pub fn deadline(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// How long to wait for a daemon that is not there yet, or that restarts before it has
    /// answered. Default 5 s.
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
    /// As for [`ClientBuilder::connect`](crate::ClientBuilder::connect).
    pub fn connect(self) -> Result<Client, Error> {
        let trust = self.trust.resolve()?;
        let link = Link::connect(&self.path, &trust, self.limits, self.patience)?;
        Ok(Client {
            link,
            timeout: self.timeout,
        })
    }
}
