//! A command ends as it should, in time.

use std::io;
use std::process::{ExitStatus, Stdio};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::{Finding, Runner};

/// Asserts that a command ends with a certain status, and perhaps what it prints.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// The program, then its arguments; no shell is involved.
    pub argv: Vec<String>,
    /// The status it should exit with.
    #[serde(default)]
    pub exit: i32,
    /// What it should print on standard output, white space at both ends left out.
    pub prints: Option<String>,
}

impl Command {
    pub(super) async fn run(&self, runner: &Runner) -> Finding {
        let argv: Vec<String> = self.argv.iter().map(|word| runner.fill_in(word)).collect();
        let line = argv.join(" ");
        let (status, printed) = match output(&argv).await {
            Ok(ended) => ended,
            Err(error) => return Finding::Unchecked(format!("{line}: {error}")),
        };
        if status.code() != Some(self.exit) {
            return Finding::drifted(line, format_args!("exit status: {}", self.exit), status);
        }
        let Some(prints) = &self.prints else {
            return Finding::Holds;
        };
        let expected = runner.fill_in(prints);
        let found = String::from_utf8_lossy(&printed);
        if expected.trim() == found.trim() {
            return Finding::Holds;
        }
        Finding::drifted(format!("output of {line}"), expected.trim(), found.trim())
    }
}

/// Dropping the future kills what was started, with all of its children that stayed in its group.
async fn output(argv: &[String]) -> io::Result<(ExitStatus, Vec<u8>)> {
    let [program, arguments @ ..] = argv else {
        return Err(io::Error::other("no program named"));
    };
    let mut child = tokio::process::Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let group = Group::of(&child);
    let stdout = child.stdout.take();
    // One after the other: as long as nobody has asked for its status, an ended command keeps its
    // number, and the group that is killed is its own.
    let printed = read_some(stdout).await?;
    let status = child.wait().await?;
    group.ended();
    Ok((status, printed))
}

/// Reads to the end and keeps the front: a command that prints without end is not kept in memory.
async fn read_some(from: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let Some(mut from) = from else {
        return Ok(Vec::new());
    };
    let mut kept = Vec::new();
    (&mut from)
        .take(OUTPUT_LIMIT)
        .read_to_end(&mut kept)
        .await?;
    tokio::io::copy(&mut from, &mut tokio::io::sink()).await?;
    Ok(kept)
}

const OUTPUT_LIMIT: u64 = 4 << 10;

/// The process group of a command that has not ended.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &tokio::process::Child) -> Self {
        Self(
            child
                .id()
                .and_then(|id| i32::try_from(id).ok())
                .map(Pid::from_raw),
        )
    }

    /// The number may be given to someone else from here on.
    fn ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(id) = self.0
            && let Err(error) = killpg(id, Signal::SIGKILL)
        {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "nobody left to kill"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn command(argv: &[&str]) -> Command {
        let argv = argv.iter().map(|&word| word.to_owned()).collect();
        Command {
            argv,
            exit: 0,
            prints: None,
        }
    }

    #[tokio::test]
    async fn the_exit_status_decides() {
        let runner = Runner::current();
        assert_eq!(command(&["true"]).run(&runner).await, Finding::Holds);
        let Finding::Drifted(drift) = command(&["false"]).run(&runner).await else {
            panic!()
        };
        assert_eq!(
            (drift.expected.as_str(), drift.found.as_str()),
            ("exit status: 0", "exit status: 1")
        );
        let expected = Command {
            exit: 1,
            ..command(&["false"])
        };
        assert_eq!(expected.run(&runner).await, Finding::Holds);
    }

    #[tokio::test]
    async fn the_output_is_compared_with_the_runner_filled_in() {
        let runner = Runner {
            uid: 7,
            home: "/h".to_owned(),
        };
        let mut echo = command(&["echo", " {home} 7"]);
        echo.prints = Some("/h {uid}\n".to_owned());
        assert_eq!(echo.run(&runner).await, Finding::Holds);
        echo.prints = Some("else".to_owned());
        let Finding::Drifted(drift) = echo.run(&runner).await else {
            panic!()
        };
        assert_eq!(drift.found, "/h 7");
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_not_a_drift() {
        let finding = command(&["/no/such/program"]).run(&Runner::current()).await;
        assert!(matches!(finding, Finding::Unchecked(_)), "{finding}");
        let finding = command(&[]).run(&Runner::current()).await;
        assert!(matches!(finding, Finding::Unchecked(_)), "{finding}");
    }

    #[tokio::test]
    async fn a_command_given_up_on_is_killed_with_its_children() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        // The grandchild holds the writing end; the reader sees the end of file when it is dead.
        let script = format!("(echo up; exec sleep 60) > '{}' & wait", fifo.display());
        let run = tokio::task::spawn_blocking(move || {
            io::BufReader::new(std::fs::File::open(fifo).unwrap())
        });
        let runner = Runner::current();
        let shell = command(&["sh", "-c", &script]);
        let mut running = Box::pin(shell.run(&runner));
        let mut reader = tokio::select! {
            reader = run => reader.unwrap(),
            finding = &mut running => panic!("{finding}"),
        };
        drop(running);
        let read = tokio::task::spawn_blocking(move || {
            io::Read::read_to_end(&mut reader, &mut Vec::new()).unwrap()
        });
        tokio::time::timeout(Duration::from_secs(20), read)
            .await
            .unwrap()
            .unwrap();
    }

    #[tokio::test]
    async fn a_command_that_has_ended_keeps_its_number_until_its_output_ends() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fifo");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        // Of the fifo the shell alone has the writing end, and of the output its child has one too.
        let script = format!("exec 3> '{}'; sleep 60 3>&- & echo $$ >&3", path.display());
        let ended = tokio::task::spawn_blocking(|| std::fs::read_to_string(path).unwrap());
        let runner = Runner::current();
        let shell = command(&["sh", "-c", &script]);
        let mut running = Box::pin(shell.run(&runner));
        let id = tokio::select! {
            finding = &mut running => panic!("{finding}"),
            id = ended => id.unwrap(),
        };
        let id = Pid::from_raw(id.trim().parse().unwrap());
        // Each end of a process wakes who waits for one.
        for _ in 0..10 {
            tokio::select! {
                biased;
                finding = &mut running => panic!("{finding}"),
                other = tokio::process::Command::new("true").status() => assert!(other.unwrap().success()),
            }
        }
        assert_eq!(nix::sys::signal::kill(id, None), Ok(()));
    }

    #[tokio::test]
    async fn endless_output_is_cut() {
        let line = "head -c 100000 /dev/zero";
        let (status, kept) = output(&["sh", "-c", line].map(str::to_owned))
            .await
            .unwrap();
        assert!(status.success());
        assert_eq!(kept.len() as u64, OUTPUT_LIMIT);
    }
}
