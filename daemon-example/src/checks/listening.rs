//! Something accepts connections, by TCP or on a Unix socket.

use std::io;

use tokio::net::{TcpStream, UnixStream};

use super::{Finding, Runner};

/// Asserts that something accepts TCP connections.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// The address to connect to.
    #[serde(default = "loopback")]
    pub host: String,
    /// The port number.
    pub port: u16,
}

impl Port {
    pub(super) async fn run(&self) -> Finding {
        let Self { host, port } = self;
        let tried = TcpStream::connect((host.as_str(), *port)).await;
        judge(format!("{host} port {port}"), tried.map(drop))
    }
}

fn loopback() -> String {
    "127.0.0.1".to_owned()
}

/// Asserts that something accepts connections on a Unix stream socket.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Socket {
    /// Where the socket is.
    pub path: String,
}

impl Socket {
    pub(super) async fn run(&self, runner: &Runner) -> Finding {
        let path = runner.fill_in(&self.path);
        let tried = UnixStream::connect(&path).await;
        judge(format!("socket {path}"), tried.map(drop))
    }
}

/// Connecting is the one question that every system answers alike and to every user.
fn judge(what: String, tried: io::Result<()>) -> Finding {
    match tried {
        Ok(()) => Finding::Holds,
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            Finding::drifted(what, "listening", "nobody listens")
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Finding::drifted(what, "listening", "no such socket")
        }
        Err(error) => Finding::Unchecked(format!("{what}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::checks::Drift;

    #[tokio::test]
    async fn a_port_holds_while_its_listener_lives() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = Port {
            host: loopback(),
            port: listener.local_addr().unwrap().port(),
        };
        assert_eq!(port.run().await, Finding::Holds);
        drop(listener);
        assert_eq!(
            drift(async || port.run().await).await.found,
            "nobody listens"
        );
    }

    #[tokio::test]
    async fn a_socket_file_that_nobody_listens_on_has_drifted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let socket = Socket {
            path: path.to_str().unwrap().to_owned(),
        };
        let runner = Runner::current();
        let Finding::Drifted(absent) = socket.run(&runner).await else {
            panic!()
        };
        assert_eq!(absent.found, "no such socket");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert_eq!(socket.run(&runner).await, Finding::Holds);
        drop(listener);
        let stale = drift(async || socket.run(&runner).await).await;
        assert_eq!(stale.found, "nobody listens");
    }

    /// Waits for a listener to be gone: until its exec, a child that a test beside this one
    /// starts has it too.
    async fn drift(check: impl AsyncFn() -> Finding) -> Drift {
        let drift = async {
            loop {
                match check().await {
                    Finding::Drifted(drift) => break drift,
                    _ => tokio::task::yield_now().await,
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(30), drift)
            .await
            .unwrap()
    }
}
