//! What happens in the demo, in order.

use std::env;
use std::path::Path;
use std::process::Stdio;

use daemon_example::cli::REFUSED;
use daemon_example::events::Now;
use nix::unistd::geteuid;
use tokio::process::Command;

use crate::binaries::Binaries;
use crate::outcome::Outcome;
use crate::place::{ALARMING, CALM, CANARY, CHECKS, Place};
use crate::program::{Program, Told};
use crate::screen::Screen;
use crate::waits::Waits;
use crate::{Arguments, Trouble};

/// Plays all of it, and keeps in `waits` what it waits for. Dropping the future ends every program and
/// removes every file.
pub(crate) async fn play(
    arguments: &Arguments,
    screen: &Screen,
    waits: &Waits,
    binaries: Binaries,
) -> Result<Outcome, Trouble> {
    let place = Place::new()?;
    let binaries = binaries.reachable(place.folder())?;
    let stage = Stage {
        arguments,
        screen,
        waits,
        place: &place,
        binaries: &binaries,
        is_root: geteuid().is_root(),
    };
    let daemon = stage.start_daemon().await?;
    let [mut one, mut two] = stage.start_agents().await?;
    let refused_strangers = stage.try_stranger().await?;
    tokio::try_join!(stage.drive(0, &mut one), stage.drive(1, &mut two))?;
    screen.step(&format!(
        "changing the mode of a watched file to {ALARMING:04o}"
    ));
    place.set_canary(ALARMING)?;
    tokio::try_join!(
        stage.see(&mut one, Now::Drifted),
        stage.see(&mut two, Now::Drifted)
    )?;
    screen.step(&format!(
        "both agents were told; changing it back to {CALM:04o}"
    ));
    place.set_canary(CALM)?;
    tokio::try_join!(
        stage.see(&mut one, Now::Holds),
        stage.see(&mut two, Now::Holds)
    )?;
    screen.step("both agents were told; stopping");
    let (one, two) = tokio::try_join!(one.stop(), two.stop())?;
    let daemon = daemon.stop().await?;
    let counted = |told: Told| told.agent.ok_or(Trouble::Uncounted("an agent"));
    Ok(Outcome {
        agents: vec![counted(one)?, counted(two)?],
        daemon: daemon.daemon.ok_or(Trouble::Uncounted("the daemon"))?,
        refused_strangers,
    })
}

struct Stage<'a> {
    arguments: &'a Arguments,
    screen: &'a Screen,
    waits: &'a Waits,
    place: &'a Place,
    binaries: &'a Binaries,
    /// Only root can be several users.
    is_root: bool,
}

impl<'a> Stage<'a> {
    async fn start_daemon(&self) -> Result<Program<'a>, Trouble> {
        let mut command = clean(&self.binaries.daemon);
        command
            .arg("--json")
            .arg("--config")
            .arg(self.place.write_config()?);
        command.arg("--socket").arg(self.place.socket());
        for uid in self.agents() {
            command.arg("--allow-uid").arg(uid.to_string());
        }
        let log = self.place.log("daemon");
        let mut daemon = Program::start(self.waits, "daemon", command, log)?;
        daemon
            .until(|told| told.unready("to listen"), |_| {})
            .await?;
        let socket = self.place.socket();
        self.screen.step(&format!(
            "daemon listens at {} as uid {}",
            socket.display(),
            geteuid()
        ));
        Ok(daemon)
    }

    fn agents(&self) -> [u32; 2] {
        if self.is_root {
            AGENTS
        } else {
            [geteuid().as_raw(); 2]
        }
    }

    async fn start_agents(&self) -> Result<[Program<'a>; 2], Trouble> {
        let [one, two] = self.agents();
        if one == two {
            self.screen
                .step("not run by root: both agents are the same user");
        }
        Ok([
            self.start_agent("one", one).await?,
            self.start_agent("two", two).await?,
        ])
    }

    async fn start_agent(&self, name: &str, uid: u32) -> Result<Program<'a>, Trouble> {
        let mut command = self.agent(uid);
        command.env("HOME", self.place.home(name, uid)?);
        command.args(["--json", "--name", name]);
        command.arg("--calls").arg(self.arguments.calls.to_string());
        command
            .arg("--reports")
            .arg(self.arguments.reports.to_string());
        let program = format!("agent {name}");
        let log = self.place.log(name);
        let mut agent = Program::start(self.waits, &program, command, log)?;
        agent
            .until(|told| told.unready("to be registered"), |_| {})
            .await?;
        self.screen
            .step(&format!("{program} is registered as uid {uid}"));
        Ok(agent)
    }

    /// The agent's program as a user, on its way to the daemon.
    fn agent(&self, uid: u32) -> Command {
        let mut command = clean(&self.binaries.agent);
        command.arg("--socket").arg(self.place.socket());
        if self.is_root {
            // The standard library drops the groups of root with its uid.
            command.uid(uid).gid(uid);
        } else {
            command.arg("--trust-uid").arg(uid.to_string());
        }
        command
    }

    /// A user that nobody let in tries to; how many were refused.
    async fn try_stranger(&self) -> Result<u32, Trouble> {
        if !self.is_root {
            self.screen
                .step("stranger: skipped, needs root to be another user");
            return Ok(0);
        }
        let mut command = self.agent(STRANGER);
        command.stdin(Stdio::null()).kill_on_drop(true);
        let wait = self.waits.on("stranger");
        wait.is_for("to be refused");
        let output = command
            .output()
            .await
            .map_err(Trouble::io("run the stranger"))?;
        if output.status.code() != Some(REFUSED.into()) {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(Trouble::LetIn(format!(
                "{}: {}",
                output.status,
                said.trim()
            )));
        }
        self.screen
            .step(&format!("a stranger with uid {STRANGER} was refused"));
        Ok(1)
    }

    /// Waits until an agent has made its calls and knows how all of its checks stand.
    async fn drive(&self, index: usize, agent: &mut Program<'_>) -> Result<(), Trouble> {
        let all = self.arguments.calls * AGENTS.len() as u64;
        let see = |told: &Told| {
            self.screen
                .calls(index, told.calls.min(self.arguments.calls), all);
        };
        agent
            .until(|told| undone(self.arguments, told), see)
            .await
            .map(drop)
    }

    /// Waits until an agent is told that the canary stands so.
    async fn see(&self, agent: &mut Program<'_>, now: Now) -> Result<(), Trouble> {
        let missing = |told: &Told| {
            let is_told = told.checks.get(CANARY) == Some(&now);
            (!is_told).then(|| format!("to be told how {CANARY} stands after its change"))
        };
        agent.until(missing, |_| {}).await.map(drop)
    }
}

/// What an agent still has to do before the demo goes on: its load, and to know that all is well.
fn undone(arguments: &Arguments, told: &Told) -> Option<String> {
    let Arguments { calls, reports, .. } = arguments;
    if !told.is_driven {
        let answered = told.calls.min(*calls);
        return Some(format!(
            "to make {calls} calls ({answered} answered so far) and {reports} reports"
        ));
    }
    let holds = |check: &str| told.checks.get(check) == Some(&Now::Holds);
    let unknown: Vec<_> = CHECKS.into_iter().filter(|check| !holds(check)).collect();
    (!unknown.is_empty()).then(|| format!("to be told that {} hold", unknown.join(", ")))
}

/// A command with nothing of our own environment but where programs are.
fn clean(program: &Path) -> Command {
    let mut command = Command::new(program);
    command
        // Ctrl-C is for the demo to act upon; it ends what it started.
        .process_group(0)
        .env_clear()
        .envs(env::var_os("PATH").map(|path| ("PATH", path)))
        .current_dir("/");
    command
}

/// The users of the agents, where there can be several. They need no account.
const AGENTS: [u32; 2] = [1001, 1002];

/// Nobody, on most systems.
const STRANGER: u32 = 65_534;

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn an_agent_has_something_to_do_until_it_made_its_calls_and_knows_that_all_is_well() {
        let arguments = Arguments::parse_from(["demo", "--calls", "9", "--reports", "4"]);
        let mut told = Told {
            calls: 5,
            ..Told::default()
        };
        let missing = undone(&arguments, &told).unwrap();
        assert_eq!(missing, "to make 9 calls (5 answered so far) and 4 reports");
        told.is_driven = true;
        told.checks = CHECKS.map(|check| (check.to_owned(), Now::Holds)).into();
        assert_eq!(undone(&arguments, &told), None);
        told.checks.insert("port".to_owned(), Now::Drifted);
        told.checks.remove("home");
        let missing = undone(&arguments, &told).unwrap();
        assert_eq!(missing, "to be told that port, home hold");
    }
}
