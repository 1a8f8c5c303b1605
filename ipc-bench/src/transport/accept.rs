//! The accept loop of transports that bring none.

use std::future::Future;
use std::io;
use std::os::unix::net;
use std::thread;

use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

use crate::error::Error;
use crate::output::complain;
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

/// Answers each connection in a thread of its own, until the process ends.
pub(super) fn threads(
    serving: Serving,
    answer: fn(net::UnixStream) -> io::Result<()>,
) -> Result<(), Error> {
    let listener =
        net::UnixListener::bind(&serving.socket).map_err(Error::io("the server cannot bind"))?;
    thread::spawn(move || {
        if let Err(error) = each_in_a_thread(&listener, answer) {
            complain(&Error::io("the server cannot accept")(error));
        }
    });
    serving.listens()?.blocking_recv().ok();
    Ok(())
}

fn each_in_a_thread(
    listener: &net::UnixListener,
    answer: fn(net::UnixStream) -> io::Result<()>,
) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept()?;
        // A client that goes ends its connection only.
        thread::spawn(move || answer(stream).ok());
    }
}
