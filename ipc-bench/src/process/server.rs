//! The server process, as the one that started it sees it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use super::pinning::Role;
use super::{Setup, command, ended};
use crate::error::Error;
use crate::serve::{READY, USAGE};
use crate::usage::Usage;

/// A server process that listens; killed when it is dropped.
pub(crate) struct Server {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Server {
    pub(crate) fn start(setup: &Setup, socket: &Path) -> Result<Self, Error> {
        let workload = &setup.workload;
        let trace = setup.strace.as_ref().map(|(server, _)| server.as_path());
        let mut command = command(Role::Server, setup.pinning, trace)?;
        command
            .args(["serve", "--transport", &workload.transport.to_string()])
            .args(["--runtime", &workload.runtime.to_string(), "--socket"])
            .arg(socket)
            .args(["--connections", &workload.connections.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        if workload.crowd {
            command.arg("--crowd");
        }
        let mut child = command
            .spawn()
            .map_err(Error::io("the server cannot be started"))?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().expect("its output was asked for");
        let mut server = Self {
            child,
            stdin,
            stdout: BufReader::new(stdout),
        };
        if server.line()?.trim_end() == READY {
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
        writeln!(stdin, "{USAGE}").map_err(Error::io("the server cannot be asked"))?;
        Ok(serde_json::from_str(&self.line()?)?)
    }

    /// Lets the server end by itself.
    pub(crate) fn stop(mut self) -> Result<(), Error> {
        drop(self.stdin.take());
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

    fn line(&mut self) -> Result<String, Error> {
        let mut line = String::new();
        self.stdout
            .read_line(&mut line)
            .map_err(Error::io("the server cannot be heard"))?;
        Ok(line)
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
