//! The kinds of assertion, one file each, and how many of them run at once.

mod command;
mod content;
mod file;
mod listening;
mod mounts;
mod process;

use std::time::Duration;
use std::{fmt, vec};

use tokio::task::JoinSet;

pub use self::command::Command;
pub use self::file::{File, Mode, Owner};
pub use self::listening::{Port, Socket};
pub use self::process::Process;

/// One named assertion about the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// How the check is called in the configuration, in logs and in changes.
    pub name: String,
    /// After this long the check counts as not run.
    pub timeout: Duration,
    /// What should be true.
    pub assertion: Assertion,
}

impl Check {
    /// Runs the check once.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends a command that the check has started. A file system that does not
    /// answer keeps one thread of the blocking pool until it does.
    pub async fn run(&self, runner: &Runner) -> Finding {
        match tokio::time::timeout(self.timeout, self.assertion.run(runner)).await {
            Ok(finding) => finding,
            Err(_) => Finding::Unchecked(format!(
                "no answer within {}",
                humantime::format_duration(self.timeout)
            )),
        }
    }
}

/// What a check asserts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant holds the type that documents it")]
pub enum Assertion {
    File(File),
    Process(Process),
    Port(Port),
    Socket(Socket),
    Command(Command),
}

impl Assertion {
    async fn run(&self, runner: &Runner) -> Finding {
        match self {
            Self::File(file) => file.run(runner).await,
            Self::Process(process) => process.run(runner).await,
            Self::Port(port) => port.run().await,
            Self::Socket(socket) => socket.run(runner).await,
            Self::Command(command) => command.run(runner).await,
        }
    }
}

/// What came of running a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The machine is as asserted.
    Holds,
    /// The machine differs.
    Drifted(Drift),
    /// The check could not be run, and why.
    Unchecked(String),
}

impl Finding {
    fn drifted(
        what: impl Into<String>,
        expected: impl fmt::Display,
        found: impl fmt::Display,
    ) -> Self {
        Self::Drifted(Drift {
            what: what.into(),
            expected: expected.to_string(),
            found: found.to_string(),
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Holds => f.write_str("holds"),
            Self::Drifted(drift) => drift.fmt(f),
            Self::Unchecked(why) => write!(f, "not checked: {why}"),
        }
    }
}

/// How the machine differs from an assertion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// The thing that differs.
    pub what: String,
    /// What was asserted of it.
    pub expected: String,
    /// What is the case.
    pub found: String,
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            expected,
            found,
        } = self;
        write!(f, "{what}: expected {expected}, found {found}")
    }
}

/// The one who runs a check: fills in what an assertion leaves open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runner {
    /// The effective user.
    pub uid: u32,
    /// The home folder of that user.
    pub home: String,
}

impl Runner {
    /// This process; the home folder is that of the environment, as a shell has it.
    #[must_use]
    pub fn current() -> Self {
        let home = std::env::var("HOME").unwrap_or_else(|_| "/".to_owned());
        Self {
            uid: nix::unistd::geteuid().as_raw(),
            home,
        }
    }

    fn fill_in(&self, text: &str) -> String {
        text.replace("{uid}", &self.uid.to_string())
            .replace("{home}", &self.home)
    }
}

/// Checks that are being run, a limited number at once; results come as they are ready.
#[derive(Debug)]
pub struct Running {
    waiting: vec::IntoIter<Check>,
    started: JoinSet<(String, Finding)>,
    at_once: usize,
    runner: Runner,
}

impl Running {
    /// Runs `checks` as `runner`; nothing is started before the first [`Self::next`].
    #[must_use]
    pub fn new(checks: Vec<Check>, runner: Runner, at_once: usize) -> Self {
        Self {
            waiting: checks.into_iter(),
            started: JoinSet::new(),
            at_once: at_once.max(1),
            runner,
        }
    }

    /// Waits for the next result, named after its check; `None` once all have come.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing. Dropping `self` ends the checks that run.
    pub async fn next(&mut self) -> Option<(String, Finding)> {
        while self.started.len() < self.at_once {
            let Some(check) = self.waiting.next() else {
                break;
            };
            let runner = self.runner.clone();
            self.started.spawn(async move {
                let finding = check.run(&runner).await;
                (check.name, finding)
            });
        }
        match self.started.join_next().await? {
            Ok(result) => Some(result),
            // A check that panics is a bug of this program: let it show.
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(name: &str) -> Check {
        command(name, &["sleep", "60"], Duration::from_millis(20))
    }

    fn command(name: &str, argv: &[&str], timeout: Duration) -> Check {
        let argv = argv.iter().map(|&word| word.to_owned()).collect();
        let assertion = Assertion::Command(Command {
            argv,
            exit: 0,
            prints: None,
        });
        Check {
            name: name.to_owned(),
            timeout,
            assertion,
        }
    }

    #[tokio::test]
    async fn a_check_that_takes_too_long_counts_as_not_run() {
        let finding = sleeper("slow").run(&Runner::current()).await;
        assert_eq!(
            finding,
            Finding::Unchecked("no answer within 20ms".to_owned())
        );
    }

    #[tokio::test]
    async fn every_check_gives_one_result_however_few_run_at_once() {
        let names: Vec<String> = (0..10).map(|n| format!("check {n}")).collect();
        for at_once in [0, 1, 3, 100] {
            assert_eq!(run_all(&names, at_once).await, names);
        }
    }

    async fn run_all(names: &[String], at_once: usize) -> Vec<String> {
        let check = |name: &String| command(name, &["true"], Duration::from_secs(30));
        let checks = names.iter().map(check).collect();
        let mut running = Running::new(checks, Runner::current(), at_once);
        let mut seen = Vec::new();
        while let Some((name, finding)) = running.next().await {
            assert_eq!(finding, Finding::Holds);
            assert!(running.started.len() < at_once.max(1));
            seen.push(name);
        }
        seen.sort();
        seen
    }

    #[test]
    fn the_runner_fills_in_uid_and_home() {
        let runner = Runner {
            uid: 501,
            home: "/Users/ada".to_owned(),
        };
        assert_eq!(
            runner.fill_in("{home}/{uid}/{else}"),
            "/Users/ada/501/{else}"
        );
    }
}
