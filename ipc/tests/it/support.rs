//! Both ends of a connection.

use std::future::poll_fn;
use std::os::unix::fs::PermissionsExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use ipc::testing::{End, Split, pair};
use ipc::{Client, Error, Limits, Policy, Server, SocketPath};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) use crate::echo::*;

/// Both ends in memory; both serve `Echo`.
pub(crate) async fn memory(split: Split) -> (Client, Client, Arc<Seen>) {
    let echo = Echo::default();
    let seen = Arc::clone(&echo.0);
    let (near, far) = pair(
        End::new().service(Echo::default()),
        End::new().service(echo),
        split,
    )
    .await
    .unwrap();
    (near, far, seen)
}

/// Both ends in memory; the first has the default limits, the second these.
pub(crate) async fn limited(limits: Limits) -> (Client, Client, Arc<Seen>) {
    let echo = Echo::default();
    let seen = Arc::clone(&echo.0);
    let near = End::new().service(Echo::default());
    let far = End::new().service(echo).limits(limits);
    let (near, far) = pair(near, far, Split::Whole).await.unwrap();
    (near, far, seen)
}

/// The default limits, changed.
pub(crate) fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}

/// Waits for something that must happen; that it does not is a failure, not a hang.
pub(crate) async fn soon<T>(event: impl Future<Output = T>) -> T {
    let patience = Duration::from_secs(60);
    tokio::time::timeout(patience, event)
        .await
        .expect("did not happen")
}

/// Polls a future once, so that it begins.
pub(crate) async fn begins<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    poll_fn(|cx| match Pin::new(&mut *future).poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// A daemon on a real socket, in this process.
pub(crate) struct Daemon {
    pub(crate) path: SocketPath,
    pub(crate) seen: Arc<Seen>,
    _folder: tempfile::TempDir,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<(), Error>>,
}

impl Daemon {
    pub(crate) fn start() -> Self {
        Self::start_with(|server| server)
    }

    pub(crate) fn start_with(
        choose: impl FnOnce(ipc::ServerBuilder) -> ipc::ServerBuilder,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Other users may come in; whether they are let in is for the policy.
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder.path(), open).unwrap();
        let path = folder.path().canonicalize().unwrap().join("d.sock");
        let path = SocketPath::at(path).unwrap();
        let echo = Echo::default();
        let seen = Arc::clone(&echo.0);
        let server = choose(Server::builder(path.clone()).service(echo))
            .bind()
            .unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        #[expect(clippy::disallowed_methods, reason = "joined by `stop`")]
        let task = tokio::spawn(server.serve_until(stopped));
        Self {
            path,
            seen,
            _folder: folder,
            stop: Some(stop),
            task,
        }
    }

    pub(crate) async fn connect(&self) -> Client {
        self.client().connect().await.unwrap()
    }

    pub(crate) fn client(&self) -> ipc::ClientBuilder {
        Client::builder(self.path.clone())
            .service(Echo::default())
            .trust(Policy::any_user())
            .connect_within(Duration::from_secs(20))
    }

    /// Asks the daemon to stop.
    pub(crate) fn ask_to_stop(&mut self) {
        self.stop.take().into_iter().for_each(drop);
    }

    /// Stops the daemon and waits for its end.
    pub(crate) async fn stop(mut self) -> Result<(), Error> {
        self.ask_to_stop();
        self.task.await.unwrap()
    }
}
