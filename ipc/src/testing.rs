//! A connected pair in memory, over a stream that dribbles and splits bytes.
//!
//! A test that has paused tokio's clock before the connection was made drives its deadlines by it.

use std::io;

use crate::client::Client;
use crate::conn::io::{Reader, Writer};
pub use crate::conn::memory::Split;
use crate::conn::memory::{MemoryEnd, stream};
use crate::error::Error;
use crate::handshake;
use crate::limits::Limits;
use crate::link::Link;
use crate::peer::Peer;
use crate::policy::{Admitted, Policy};
use crate::service::Service;
use crate::sync::Arc;
use crate::wire::Side;

/// One side of a [`pair`]: what it serves and what it accepts.
#[derive(Default)]
pub struct End {
    services: Vec<Arc<dyn Service>>,
    limits: Limits,
}

impl End {
    /// A side that serves nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Offers a service.
    #[must_use]
    pub fn service(mut self, service: impl Service) -> Self {
        self.services.push(Arc::new(service));
        self
    }

    /// Bounds other than the default ones.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }
}

impl std::fmt::Debug for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("End")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Connects two sides in memory; the first is the connecting one. Both see this process's
/// own user as their peer.
///
/// # Errors
///
/// As [`ClientBuilder::connect`](crate::ClientBuilder::connect).
///
/// # Cancel safety
///
/// Dropping the future drops both sides.
pub async fn pair(
    connecting: End,
    accepting: End,
    split: Split,
) -> Result<(Client, Client), Error> {
    let (near, far) = stream(split);
    let near_link = Link::new(Side::Connecting, connecting.services, connecting.limits)?;
    let far_link = Link::new(Side::Accepting, accepting.services, accepting.limits)?;
    let near = halves(near);
    let far = halves(far);
    let (ours, theirs) = tokio::join!(
        handshake::connect(&near.0, &near.1, &near_link.local, || Ok(())),
        handshake::accept(&far.0, &far.1, &far_link.local, [7; 16]),
    );
    let ours = near_link.start(ourselves()?, near, ours?.1);
    let theirs = far_link.start(ourselves()?, far, theirs?);
    Ok((Client::owning(ours, None), Client::owning(theirs, None)))
}

fn halves(end: MemoryEnd) -> (Reader, Writer) {
    let end = Arc::new(end);
    (Reader::Memory(Arc::clone(&end)), Writer::Memory(end))
}

fn ourselves() -> Result<Admitted, Error> {
    let (socket, _other) = crate::sys::socket_pair()?;
    let peer = Peer::of(&socket).map_err(io::Error::other)?;
    let admitted = Policy::any_user().resolve()?.check(peer);
    Ok(admitted.map_err(io::Error::other)?)
}
