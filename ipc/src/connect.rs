//! How a client comes to its connection.

use std::fmt;
use std::time::Duration;

use crate::client::Client;
use crate::clock::{end_of, now};
use crate::error::Error;
use crate::limits::Limits;
use crate::link::Link;
use crate::path::SocketPath;
use crate::policy::Policy;
use crate::service::Service;
use crate::socket;
use crate::sync::Arc;
use crate::wire::Side;

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

    /// A deadline for every call that has one answer or none; a call may choose its own.
    /// A stream of answers has none unless it chooses one, because it may be meant to last.
    /// Default: none.
    pub fn deadline(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// How long to wait for a daemon that is not there yet, or that restarts before it has
    /// answered. Default 5 s; a daemon that launchd respawns may take 10 s.
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
        let deadline = end_of(now(), self.patience).into();
        let meet = |socket| link.clone().connect(socket, &trust, self.timeout);
        socket::connect_and_meet(&self.path, deadline, meet, Error::is_end_of_daemon).await
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
