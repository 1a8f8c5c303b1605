//! The accept loop of transports that bring none.

use std::future::Future;

use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

use crate::error::Error;
use crate::serve::Serving;

/// Answers each connection in a task of its own, until the server is to stop.
pub(super) async fn each<F, Fut>(serving: Serving, answer: F) -> Result<(), Error>
where
    F: Fn(UnixStream) -> Fut,
    Fut: Future<Output = Result<(), Error>> + Send + 'static,
{
    let listener =
        UnixListener::bind(&serving.socket).map_err(Error::io("the server cannot bind"))?;
    let mut stopped = serving.listens()?;
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stopped => return Ok(()),
            accepted = listener.accept() => {
                let (stream, _) = accepted.map_err(Error::io("the server cannot accept"))?;
                connections.spawn(answer(stream));
            }
            Some(done) = connections.join_next() => done.map_err(Error::Task)??,
        }
    }
}
