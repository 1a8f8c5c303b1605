//! Both ends real: every test binds, and most connect.

mod accepting;
mod bind;
mod connecting;
mod inherited;
mod unidentified;
mod users;
mod watch;

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::Instant;

use super::{Accepted, BindError, BindOptions, Listener, connect};
use crate::path::SocketPath;
use crate::sys;

/// A path in a directory of its own, which every user may enter.
fn scratch() -> (TempDir, SocketPath) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let path =
        SocketPath::at(directory.path().canonicalize().unwrap().join("daemon.sock")).unwrap();
    (directory, path)
}

fn bind(path: &SocketPath) -> Result<Listener, BindError> {
    let options = BindOptions {
        mode: 0o666,
        ..BindOptions::default()
    };
    Listener::bind(path, &options)
}

/// Far enough that reaching it means that something is broken.
fn patience() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

/// The next connection; a test that waits in vain fails instead of hanging.
async fn accept(listener: &Listener) -> Accepted {
    tokio::time::timeout_at(patience(), listener.accept())
        .await
        .expect("nobody was accepted")
        .unwrap()
}

/// Whether a client reaches this listener.
async fn serves(listener: &Listener, path: &SocketPath) -> bool {
    let Ok(client) = connect(path, Instant::now()).await else {
        return false;
    };
    let accepted = accept(listener).await;
    sys::send(accepted.fd.as_fd(), b"!").unwrap();
    sys::poll(client.as_fd(), sys::Interest::Read, Some(Duration::ZERO)).unwrap()
}

fn is_at_end(client: &OwnedFd) -> bool {
    let mut buffer = bytes::BytesMut::with_capacity(1);
    sys::receive(client.as_fd(), &mut buffer, false).is_ok_and(|received| received.bytes == 0)
}

/// Names the path of a child's socket.
const PATH: &str = "IPC_TEST_PATH";
const CHILD: &str = "IPC_TEST_CHILD";

/// Whether this process was started by [`in_child`].
fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// This test binary again, running `test` only and marked as a child.
fn child(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(CHILD, "1");
    command
}

fn succeeds(mut command: Command) {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}\n{failed}"
    );
}
