//! Shows the pair at work: one daemon, two agents, a stranger, and a change on the machine.

mod binaries;
mod outcome;
mod place;
mod program;
mod scene;
mod screen;
mod waits;

use std::io::{self, Write};
use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use daemon_example::cli;

use self::binaries::Binaries;
use self::outcome::Outcome;
use self::screen::Screen;
use self::waits::Waits;

/// Build the example pair, run it against this machine, and prove that no call was lost
///
/// Starts one daemon, two agents and a stranger; as root each of them is another user.
/// Exits with 0 only if every call was answered.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo demo")]
struct Arguments {
    /// Print one JSON object on standard output, everything else on standard error
    #[arg(long)]
    json: bool,
    /// Calls that each agent makes
    #[arg(long, value_name = "N", default_value_t = 1000)]
    calls: u64,
    /// Reports that each agent sends
    #[arg(long, value_name = "N", default_value_t = 20)]
    reports: u64,
    /// Give up after so many seconds, not counting the build
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    limit: u64,
    /// Run this daemon instead of building one
    #[arg(long, value_name = "FILE", requires = "agent")]
    daemon: Option<PathBuf>,
    /// Run this agent instead of building one
    #[arg(long, value_name = "FILE", requires = "daemon")]
    agent: Option<PathBuf>,
}

/// Why the demo cannot go on.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("cannot {doing}")]
    Io { doing: String, source: io::Error },
    #[error("cargo could not build the pair; its messages are above")]
    Build,
    #[error("{program} ended early with {status}; the end of its log:\n{log}")]
    Ended {
        program: String,
        status: String,
        log: String,
    },
    #[error("{0} ended without saying what it counted")]
    Uncounted(&'static str),
    #[error("the stranger was not refused but ended with {0}")]
    LetIn(String),
    #[error("not over after {} s, still waiting for {missing}; `--limit` gives it longer", limit.as_secs())]
    TooLong { limit: Duration, missing: String },
    #[error("stopped")]
    Stopped,
    #[error(transparent)]
    Signals(#[from] cli::Failure),
}

impl Trouble {
    fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        |source| Self::Io {
            doing: doing.into(),
            source,
        }
    }

    /// In one line, with its cause.
    fn text(&self) -> String {
        match std::error::Error::source(self) {
            Some(source) => format!("{self}: {source}"),
            None => self.to_string(),
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let screen = Screen::new();
    let result = run(&arguments, &screen).await;
    let told = match &result {
        Ok(outcome) if arguments.json => writeln!(io::stdout(), "{}", outcome.json()),
        Ok(outcome) => write!(io::stdout(), "\n{outcome}"),
        Err(trouble) => {
            screen.step(&format!("demo: {}", trouble.text()));
            let object = serde_json::json!({ "error": trouble.text() });
            if arguments.json {
                writeln!(io::stdout(), "{object}")
            } else {
                Ok(())
            }
        }
    };
    match (result, told) {
        (Ok(outcome), Ok(())) if outcome.is_complete() => ExitCode::SUCCESS,
        // As a shell tells of a program that was interrupted.
        (Err(Trouble::Stopped), _) => ExitCode::from(130),
        _ => ExitCode::FAILURE,
    }
}

async fn run(arguments: &Arguments, screen: &Screen) -> Result<Outcome, Trouble> {
    let stop = cli::stop_signal()?;
    let limit = Duration::from_secs(arguments.limit);
    let show = async {
        let binaries = match (&arguments.daemon, &arguments.agent) {
            (Some(daemon), Some(agent)) => Binaries::given(daemon, agent)?,
            _ => {
                screen.step("building daemon-example and agent-example");
                binaries::build().await?
            }
        };
        let waits = Waits::default();
        let scene = pin!(scene::play(arguments, screen, &waits, binaries));
        // Pinned outside of the timeout: what it waits for is asked before it is dropped.
        tokio::time::timeout(limit, scene)
            .await
            .map_err(|_| Trouble::TooLong {
                limit,
                missing: waits.text(),
            })?
    };
    // Whichever comes first, the other is dropped, and with it every program and folder.
    tokio::select! {
        // Ctrl-C ends cargo too: that the build failed is not the news then.
        biased;
        () = stop => Err(Trouble::Stopped),
        result = show => result,
    }
}
