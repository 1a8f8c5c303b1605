//! One program of the pair while it runs: what it has told so far, and how it is stopped.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};

use daemon_example::events::{AgentTotals, DaemonTotals, Event, Now};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::Trouble;
use crate::waits::Waits;

/// A running program; dropping it kills it.
#[derive(Debug)]
pub(crate) struct Program<'a> {
    waits: &'a Waits,
    name: String,
    child: Child,
    events: Lines<BufReader<ChildStdout>>,
    log: PathBuf,
    told: Told,
}

/// What a program has told by its events.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Its user, once it is ready.
    pub(crate) ready: Option<u32>,
    /// Calls answered so far.
    pub(crate) calls: u64,
    /// Its load is over.
    pub(crate) is_driven: bool,
    /// How each check stands that it knows of.
    pub(crate) checks: BTreeMap<String, Now>,
    /// What an agent counted, at its end.
    pub(crate) agent: Option<AgentTotals>,
    /// What the daemon counted, at its end.
    pub(crate) daemon: Option<DaemonTotals>,
}

impl Told {
    /// What is missing until the program is ready, which is `what` for one of its kind.
    pub(crate) fn unready(&self, what: &str) -> Option<String> {
        self.ready.is_none().then(|| what.to_owned())
    }

    fn take_in(&mut self, event: Event) {
        match event {
            Event::Ready { uid } => self.ready = Some(uid),
            Event::Progress { calls } => self.calls = self.calls.max(calls),
            Event::Driven => self.is_driven = true,
            Event::Change { check, now } => {
                self.checks.insert(check, now);
            }
            Event::AgentEnds(totals) => self.agent = Some(totals),
            Event::DaemonEnds(totals) => self.daemon = Some(totals),
        }
    }
}

impl<'a> Program<'a> {
    /// Starts a program that tells its events on standard output, and logs into `log`; what it is
    /// to do is told to `waits`.
    pub(crate) fn start(
        waits: &'a Waits,
        name: &str,
        mut command: Command,
        log: PathBuf,
    ) -> Result<Self, Trouble> {
        let failed = || Trouble::io(format!("start {name}"));
        let file = File::create(&log).map_err(failed())?;
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(file)
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(failed())?;
        let Some(stdout) = child.stdout.take() else {
            return Err(failed()(io::ErrorKind::BrokenPipe.into()));
        };
        let events = BufReader::new(stdout).lines();
        Ok(Self {
            waits,
            name: name.to_owned(),
            child,
            events,
            log,
            told: Told::default(),
        })
    }

    /// Waits until nothing is `missing` from what the program told so far; shows each step to `see`.
    pub(crate) async fn until(
        &mut self,
        missing: impl Fn(&Told) -> Option<String>,
        see: impl Fn(&Told),
    ) -> Result<&Told, Trouble> {
        let wait = self.waits.on(&self.name);
        while let Some(what) = missing(&self.told) {
            wait.is_for(what);
            if !self.listen().await? {
                return Err(self.ended().await);
            }
            see(&self.told);
        }
        Ok(&self.told)
    }

    /// Tells the program to stop, and waits until it has.
    pub(crate) async fn stop(mut self) -> Result<Told, Trouble> {
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok());
        if let Some(pid) = pid {
            kill(Pid::from_raw(pid), Signal::SIGTERM)
                .map_err(io::Error::from)
                .map_err(Trouble::io(format!("stop {}", self.name)))?;
        }
        let wait = self.waits.on(&self.name);
        wait.is_for("to end");
        while self.listen().await? {}
        if self.wait().await?.success() {
            Ok(self.told)
        } else {
            Err(self.ended().await)
        }
    }

    /// Takes in the next event; whether there was one.
    async fn listen(&mut self) -> Result<bool, Trouble> {
        let line = self
            .events
            .next_line()
            .await
            .map_err(Trouble::io(format!("hear {}", self.name)))?;
        let Some(line) = line else { return Ok(false) };
        let event = serde_json::from_str(&line).map_err(io::Error::from);
        self.told
            .take_in(event.map_err(Trouble::io(format!("understand {}", self.name)))?);
        Ok(true)
    }

    /// Waits for the end of the program.
    pub(crate) async fn wait(&mut self) -> Result<ExitStatus, Trouble> {
        self.child
            .wait()
            .await
            .map_err(Trouble::io(format!("wait for {}", self.name)))
    }

    async fn ended(&mut self) -> Trouble {
        let status = match self.wait().await {
            Ok(status) => status.to_string(),
            Err(trouble) => return trouble,
        };
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.trim().lines().collect();
        let log = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
        Trouble::Ended {
            program: self.name.clone(),
            status,
            log,
        }
    }
}

/// What is shown of the log of a program that failed.
const LOG_LINES: usize = 20;

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn shell<'a>(waits: &'a Waits, script: &str) -> (tempfile::TempDir, Program<'a>) {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let program = Program::start(waits, "sh", command, dir.path().join("log")).unwrap();
        (dir, program)
    }

    fn undriven(told: &Told) -> Option<String> {
        (!told.is_driven).then(|| format!("to go on from {}", told.calls))
    }

    #[tokio::test]
    async fn a_wish_is_fulfilled_by_what_was_told_before_it_was_made() {
        let ready = r#"echo '{"event":"ready","uid":7}'; echo '{"event":"driven"}'; exec sleep 60"#;
        let waits = Waits::default();
        let (_dir, mut program) = shell(&waits, ready);
        program.until(undriven, |_| {}).await.unwrap();
        let told = program
            .until(|told| told.unready("to be ready"), |_| {})
            .await
            .unwrap();
        assert_eq!(told.ready, Some(7));
    }

    #[tokio::test]
    async fn what_is_missing_is_told_as_it_stands_until_it_is_there() {
        let script = r#"
            echo '{"event":"progress","calls":5}'; echo '{"event":"progress","calls":6}'
            echo '{"event":"driven"}'; exec sleep 60
        "#;
        let waits = Waits::default();
        let (_dir, mut program) = shell(&waits, script);
        let seen = RefCell::new(Vec::new());
        let see = |_: &Told| seen.borrow_mut().push(waits.text());
        program.until(undriven, see).await.unwrap();
        // Each event is shown before what it leaves missing is known.
        let missing = [0, 5, 6].map(|calls| format!("sh to go on from {calls}"));
        assert_eq!(seen.take(), missing);
        assert_eq!(waits.text(), "");
    }

    #[tokio::test]
    async fn a_program_that_ends_early_is_told_of_with_the_end_of_its_log() {
        let waits = Waits::default();
        let (_dir, mut program) = shell(&waits, "echo why it failed >&2; exit 3");
        let trouble = program
            .until(undriven, |_| {})
            .await
            .unwrap_err()
            .to_string();
        assert!(trouble.contains("exit status: 3"), "{trouble}");
        assert!(trouble.contains("why it failed"), "{trouble}");
    }
}
