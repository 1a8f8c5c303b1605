//! The server process, as the one that started it sees it.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::iter;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use super::pinning::Role;
use super::{PATIENCE, Setup, command, ended};
use crate::clock::now;
use crate::error::Error;
use crate::serve::{READY, USAGE};
use crate::usage::Usage;

/// A server process that listens; killed when it is dropped.
pub(crate) struct Server {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<io::Result<String>>,
    /// How long it may take to answer, and to end.
    patience: Duration,
}

impl Server {
    pub(crate) fn start(setup: &Setup, socket: &Path) -> Result<Self, Error> {
        Self::start_several(setup, &[socket.to_owned()])
    }

    /// The same with a server of its own for each of these sockets, all in the one process.
    pub(crate) fn start_several(setup: &Setup, sockets: &[PathBuf]) -> Result<Self, Error> {
        let workload = &setup.workload;
        let trace = setup.strace.as_ref().map(|(server, _)| server.as_path());
        let mut command = command(Role::Server, setup.pinning, trace)?;
        command
            .args(["serve", "--transport", &workload.transport.to_string()])
            .args(["--runtime", &workload.runtime.to_string()])
            .args(["--connections", &setup.seats().to_string()]);
        let names = iter::once("--socket").chain(iter::repeat("--further"));
        for (name, socket) in names.zip(sockets) {
            command.arg(name).arg(socket);
        }
        if workload.crowd {
            command.arg("--crowd");
        }
        Self::of(command, PATIENCE)
    }

    /// Waits until it listens.
    fn of(mut command: Command, patience: Duration) -> Result<Self, Error> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(Error::io("the server cannot be started"))?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().expect("its output was asked for");
        let (say, lines) = sync_channel(QUEUE);
        thread::spawn(move || {
            let mut lines = BufReader::new(stdout).lines();
            // Until nobody listens.
            while lines.next().is_some_and(|line| say.send(line).is_ok()) {}
        });
        let server = Self {
            child,
            stdin,
            lines,
            patience,
        };
        if server.line()? == READY {
            Ok(server)
        } else {
            Err(ended(Role::Server, "ended before it listened"))
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has used up to now.
    pub(crate) fn usage(&mut self) -> Result<Usage, Error> {
        let stdin = self.stdin.as_mut().expect("it was not told to stop");
        // In one write: the server would wake up again for the end of a line that comes by itself.
        let asked = stdin.write_all(format!("{USAGE}\n").as_bytes());
        asked.map_err(Error::io("the server cannot be asked"))?;
        Ok(serde_json::from_str(&self.line()?)?)
    }

    /// Lets the server end by itself.
    pub(crate) fn stop(mut self) -> Result<(), Error> {
        drop(self.stdin.take());
        let until = now() + self.patience;
        loop {
            let time = until.saturating_duration_since(now());
            match self.lines.recv_timeout(time) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    return Err(ended(Role::Server, "does not come to an end"));
                }
            }
        }
        let status = self
            .child
            .wait()
            .map_err(Error::io("the server cannot be waited for"))?;
        if status.success() {
            Ok(())
        } else {
            Err(ended(Role::Server, status.to_string()))
        }
    }

    fn line(&self) -> Result<String, Error> {
        match self.lines.recv_timeout(self.patience) {
            Ok(line) => line.map_err(Error::io("the server cannot be heard")),
            Err(RecvTimeoutError::Disconnected) => {
                Err(ended(Role::Server, "ended before its time"))
            }
            Err(RecvTimeoutError::Timeout) => Err(ended(Role::Server, "does not answer")),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails only where there is nothing left to end.
        if self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}

/// What it says and was not heard yet.
const QUEUE: usize = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn server(script: &str, patience: Duration) -> Result<Server, Error> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Server::of(command, patience)
    }

    #[test]
    fn a_server_that_does_not_listen_in_time_is_given_up() {
        let hangs = server("exec tail -f /dev/null", Duration::ZERO);
        let error = hangs.err().unwrap().to_string();
        assert_eq!(error, "the server process does not answer");
    }

    #[test]
    fn a_server_that_ends_before_it_listens_is_told() {
        let error = server("exit 3", PATIENCE).err().unwrap().to_string();
        assert_eq!(error, "the server process ended before its time");
    }

    #[test]
    fn a_server_that_does_not_stop_is_given_up() {
        let mut server = server("echo ready; exec tail -f /dev/null", PATIENCE).unwrap();
        server.patience = Duration::ZERO;
        let error = server.stop().unwrap_err().to_string();
        assert_eq!(error, "the server process does not come to an end");
    }
}
