//! The client processes, as the one that started them sees them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use super::pinning::Role;
use super::{PATIENCE, Pinning, Setup, command, ended};
use crate::clock::now;
use crate::error::Error;
use crate::load::Said;
use crate::machine::resident;
use crate::meter::Part;
use crate::usage::Usage;
use crate::workload::Workload;

/// All client processes of a measurement; killed when they are dropped.
pub(crate) struct Clients {
    all: Vec<Client>,
    heard: Receiver<Option<Said>>,
    /// What they counted, by tick.
    pub(super) ticks: BTreeMap<usize, Part>,
    /// What they counted after the last tick.
    pub(super) rest: Part,
    /// What those that are done have used.
    pub(super) usage: Usage,
    /// How long the slowest of them was measured.
    pub(super) seconds: f64,
    /// Those of which the awaited word has not come yet.
    left: usize,
    /// How long they may take to connect, to end what they have begun, and to leave.
    patience: Duration,
}

struct Client {
    child: Child,
    stdin: Option<ChildStdin>,
}

impl Clients {
    /// Starts them, and waits until all connections are there.
    pub(super) fn start(setup: &Setup, socket: &Path) -> Result<Self, Error> {
        let (say, heard) = sync_channel(QUEUE);
        let mut all = Vec::with_capacity(setup.processes);
        for index in 0..setup.processes {
            all.push(Client::start(setup, socket, index, say.clone())?);
        }
        drop(say);
        let mut clients = Self::of(all, heard);
        clients.listen(clients.patience, &mut |_, _| {})?;
        Ok(clients)
    }

    /// Starts a process for each of these sockets, and waits until they hold their shares of the
    /// connections, idle.
    pub(crate) fn hold(workload: &Workload, sockets: &[PathBuf]) -> Result<Self, Error> {
        let (say, heard) = sync_channel(QUEUE);
        let mut all = Vec::with_capacity(sockets.len());
        for (index, socket) in sockets.iter().enumerate() {
            let mut command = command(Role::Client, Pinning::None, None)?;
            let share = workload.share(index, sockets.len());
            command.arg("hold").args(told(socket, &share)?);
            all.push(Client::of(command, say.clone())?);
        }
        drop(say);
        let mut clients = Self::of(all, heard);
        clients.listen(clients.patience, &mut |_, _| {})?;
        Ok(clients)
    }

    fn of(all: Vec<Client>, heard: Receiver<Option<Said>>) -> Self {
        Self {
            left: all.len(),
            all,
            heard,
            ticks: BTreeMap::new(),
            rest: Part::default(),
            usage: Usage::default(),
            seconds: 0.0,
            patience: PATIENCE,
        }
    }

    pub(super) fn go(&mut self) -> Result<(), Error> {
        for client in &mut self.all {
            let stdin = client.stdin.as_mut().expect("it was not told to stop");
            writeln!(stdin, "go").map_err(Error::io("a client cannot be told to go"))?;
        }
        self.left = self.all.len();
        Ok(())
    }

    /// Waits until all are done, which takes so long.
    pub(super) fn finish(
        &mut self,
        window: Duration,
        live: &mut dyn FnMut(usize, &Part),
    ) -> Result<(), Error> {
        self.listen(window + self.patience, live)
    }

    /// Takes in what they say until all have said what is awaited.
    fn listen(
        &mut self,
        patience: Duration,
        live: &mut dyn FnMut(usize, &Part),
    ) -> Result<(), Error> {
        let until = now() + patience;
        while self.left > 0 {
            let time = until.saturating_duration_since(now());
            match self.heard.recv_timeout(time) {
                Ok(Some(Said::Ready)) => self.left -= 1,
                Ok(Some(Said::Rest(counts))) => self.rest.add(&counts.into()),
                Ok(Some(Said::Done(usage, seconds))) => {
                    self.usage.add(usage);
                    self.seconds = self.seconds.max(seconds);
                    self.left -= 1;
                }
                Ok(Some(Said::Tick(tick, counts))) => {
                    let part = Part::from(counts);
                    let all = self.ticks.entry(tick).or_default();
                    all.add(&part);
                    live(tick, all);
                }
                Ok(None) | Err(RecvTimeoutError::Disconnected) => {
                    return Err(ended(Role::Client, "ended before its time"));
                }
                Err(RecvTimeoutError::Timeout) => {
                    return Err(ended(Role::Client, "does not come to an end"));
                }
            }
        }
        Ok(())
    }

    /// Waits until all have said their last word.
    fn listen_to_the_end(&self) -> Result<(), Error> {
        let until = now() + self.patience;
        let mut left = self.all.len();
        while left > 0 {
            let time = until.saturating_duration_since(now());
            match self.heard.recv_timeout(time) {
                Ok(None) => left -= 1,
                Ok(Some(_)) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => {
                    return Err(ended(Role::Client, "does not come to an end"));
                }
            }
        }
        Ok(())
    }

    /// Resident memory of all, in bytes.
    pub(super) fn resident(&self) -> Result<u64, Error> {
        self.all.iter().map(|one| resident(one.child.id())).sum()
    }

    /// Lets them end by themselves.
    pub(crate) fn stop(mut self) -> Result<(), Error> {
        for client in &mut self.all {
            drop(client.stdin.take());
        }
        self.listen_to_the_end()?;
        for client in &mut self.all {
            let status = client
                .child
                .wait()
                .map_err(Error::io("a client cannot be waited for"))?;
            if !status.success() {
                return Err(ended(Role::Client, status.to_string()));
            }
        }
        Ok(())
    }
}

impl Client {
    fn start(
        setup: &Setup,
        socket: &Path,
        index: usize,
        say: SyncSender<Option<Said>>,
    ) -> Result<Self, Error> {
        let trace = setup.strace.as_ref().map(|(_, client)| client.as_path());
        let mut command = command(Role::Client, setup.pinning, trace)?;
        if let Some(uid) = setup.uid(index) {
            command.uid(uid).gid(uid);
        }
        let share = setup.workload.share(index, setup.processes);
        command.arg("load").args(told(socket, &share)?);
        Self::of(command, say)
    }

    fn of(mut command: Command, say: SyncSender<Option<Said>>) -> Result<Self, Error> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(Error::io("a client cannot be started"))?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().expect("its output was asked for");
        thread::spawn(move || hear(stdout, &say));
        Ok(Self { child, stdin })
    }
}

/// The arguments that tell a client process what to do.
fn told(socket: &Path, share: &Workload) -> Result<[OsString; 4], Error> {
    let workload = serde_json::to_string(share)?;
    Ok([
        "--socket".into(),
        socket.into(),
        "--workload".into(),
        workload.into(),
    ])
}

/// Passes on what a client says; a last word if it has ended without being told to.
fn hear(stdout: ChildStdout, say: &SyncSender<Option<Said>>) {
    for line in BufReader::new(stdout).lines() {
        let said = line.ok().and_then(|line| serde_json::from_str(&line).ok());
        let is_last = said.is_none();
        if say.send(said).is_err() || is_last {
            return;
        }
    }
    // Nobody listens any more after the measurement.
    say.send(None).ok();
}

impl Drop for Client {
    fn drop(&mut self) {
        // Fails only where there is nothing left to end.
        if self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}

/// What is said and not yet heard, over all clients.
const QUEUE: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn clients(script: &str) -> Clients {
        let (say, heard) = sync_channel(QUEUE);
        let client = || {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            Client::of(command, say.clone()).unwrap()
        };
        let all = vec![client(), client()];
        Clients::of(all, heard)
    }

    #[test]
    fn clients_that_do_not_stop_are_given_up() {
        let mut clients = clients("exec tail -f /dev/null");
        clients.patience = Duration::ZERO;
        let error = clients.stop().unwrap_err().to_string();
        assert_eq!(error, "the client process does not come to an end");
    }

    #[test]
    fn clients_end_once_they_are_no_longer_wanted() {
        clients("read _; exit 0").stop().unwrap();
        let error = clients("read _; exit 3").stop().unwrap_err().to_string();
        assert_eq!(error, "the client process exit status: 3");
    }
}
