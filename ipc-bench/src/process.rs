//! Starts this program again, as the server or the client of a measurement.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use clap::ValueEnum;
use serde::Serialize;

use crate::error::Error;
use crate::load::Measured;
use crate::rpc::Flavor;
use crate::serve::{READY, Transport};

/// Where the two processes of a measurement may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Pinning {
    /// Wherever the system puts them.
    None,
    /// Both on core 0: what the code costs, without the distance between cores.
    Same,
    /// The server on core 1, the client on core 0.
    Split,
}

impl Pinning {
    /// This, or none with a word about it where `taskset` is not there: macOS has no such thing.
    pub(crate) fn or_none(self) -> Self {
        if self != Self::None && !is_there("taskset") {
            crate::output::say("taskset is not there, so nothing is pinned to a core");
            return Self::None;
        }
        self
    }

    /// As it is written on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Same => "same",
            Self::Split => "split",
        }
    }

    const fn core(self, role: Role) -> Option<&'static str> {
        match (self, role) {
            (Self::None, _) => None,
            (Self::Same, _) | (Self::Split, Role::Client) => Some("0"),
            (Self::Split, Role::Server) => Some("1"),
        }
    }
}

/// Whether a program can be started.
pub(crate) fn is_there(program: &str) -> bool {
    let mut command = Command::new(program);
    command
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Server,
    Client,
}

impl Role {
    const fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
        }
    }
}

/// One measurement: what is called how, and where.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) transport: Transport,
    pub(crate) runtime: Flavor,
    pub(crate) pinning: Pinning,
    pub(crate) payload: usize,
    pub(crate) in_flight: usize,
    pub(crate) no_deadline: bool,
    pub(crate) amount: Amount,
    /// Files into which strace counts, for the server and the client.
    pub(crate) strace: Option<(PathBuf, PathBuf)>,
}

/// How long a measurement goes on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Amount {
    Seconds(f64),
    Calls(u64),
}

/// Measures once, with a server and a client of its own.
pub(crate) fn measure(setup: &Setup) -> Result<Measured, Error> {
    let folder = folder()?;
    let socket = folder.path().join("s");
    let trace = setup.strace.as_ref();
    let server = Server::start(setup, &socket, trace.map(|(server, _)| server.as_path()))?;
    let mut command = command(Role::Client, setup, trace.map(|(_, client)| client))?;
    command.arg("load").args(common(setup, &socket)).args([
        "--payload",
        &setup.payload.to_string(),
        "--in-flight",
        &setup.in_flight.to_string(),
    ]);
    match setup.amount {
        Amount::Seconds(seconds) => command.args(["--seconds", &seconds.to_string()]),
        Amount::Calls(calls) => command.args(["--calls", &calls.to_string()]),
    };
    if setup.no_deadline {
        command.arg("--no-deadline");
    }
    command.stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = command
        .output()
        .map_err(Error::io("the client cannot be started"))?;
    if !output.status.success() {
        return Err(ended(Role::Client, output.status.to_string()));
    }
    let measured = serde_json::from_slice(&output.stdout)?;
    server.stop()?;
    Ok(measured)
}

/// A folder for a socket that nobody else can reach.
pub(crate) fn folder() -> Result<tempfile::TempDir, Error> {
    tempfile::tempdir().map_err(Error::io("no folder for the socket"))
}

/// A server process that listens; killed when it is dropped.
pub(crate) struct Server {
    child: Child,
    stdin: Option<ChildStdin>,
}

impl Server {
    pub(crate) fn start(
        setup: &Setup,
        socket: &Path,
        strace: Option<&Path>,
    ) -> Result<Self, Error> {
        let mut command = command(Role::Server, setup, strace)?;
        command
            .arg("serve")
            .args(common(setup, socket))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command
            .spawn()
            .map_err(Error::io("the server cannot be started"))?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let server = Self { child, stdin };
        let said = first_line(stdout)?;
        if said.trim_end() == READY {
            Ok(server)
        } else {
            Err(ended(Role::Server, "ended before it listened".into()))
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
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
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails only where there is nothing left to end.
        if self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}

fn first_line(stdout: Option<ChildStdout>) -> Result<String, Error> {
    let mut line = String::new();
    if let Some(stdout) = stdout {
        BufReader::new(stdout.take(256))
            .read_line(&mut line)
            .map_err(Error::io("the server cannot be heard"))?;
    }
    Ok(line)
}

/// This program behind `strace` and `taskset`, as wanted; each replaces itself by the next.
fn command(role: Role, setup: &Setup, strace: Option<impl AsRef<Path>>) -> Result<Command, Error> {
    let this = std::env::current_exe().map_err(Error::io("this program cannot be found"))?;
    let mut words = Vec::new();
    if let Some(file) = strace {
        words.extend(["strace", "-f", "-c", "-o"].map(Into::into));
        words.push(file.as_ref().as_os_str().to_owned());
    }
    if let Some(core) = setup.pinning.core(role) {
        words.extend(["taskset", "-c", core].map(Into::into));
    }
    words.push(this.into());
    let mut words = words.into_iter();
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words);
    Ok(command)
}

fn common(setup: &Setup, socket: &Path) -> [std::ffi::OsString; 6] {
    [
        "--transport".into(),
        setup.transport.name().into(),
        "--runtime".into(),
        setup.runtime.name().into(),
        "--socket".into(),
        socket.into(),
    ]
}

fn ended(role: Role, what: String) -> Error {
    let role = role.name();
    Error::Process { role, what }
}
