//! Watches this machine for drift, and asks each user's agent for what only that user sees.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use daemon_example::agents::Agents;
use daemon_example::checks::{Finding, Runner, Running};
use daemon_example::cli::{self, Failure, Output, Place};
use daemon_example::config::{Config, Scope, length_of_time};
use daemon_example::convert::escape;
use daemon_example::daemon::Daemon;
use daemon_example::desk::{Desk, Source};
use daemon_example::events::Event;
use daemon_example::{proto, rounds};
use ipc::{Policy, Server};
use tokio_util::sync::CancellationToken;

/// Watch this machine for drift from what a file asserts
///
/// Runs in the foreground until Ctrl-C or SIGTERM. Checks of scope `user` are sent to the agents
/// that connect; see agent-example.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The file with the assertions
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    #[command(flatten)]
    place: Place,
    /// Let in this user too, beside root and the user of the daemon; may be repeated
    #[arg(long, value_name = "UID")]
    allow_uid: Vec<u32>,
    /// Time between two rounds, such as 500ms, instead of that in the file
    #[arg(long, value_name = "TIME", value_parser = length_of_time)]
    interval: Option<Duration>,
    /// Run the checks of the system once, print what came of each and end
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    output: Output,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    cli::run("daemon-example", run(arguments))
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    let source = Source {
        path: arguments.config.clone(),
        interval: arguments.interval,
    };
    let config = source.read()?;
    if arguments.once {
        look_once(&config).await
    } else {
        serve(arguments, source, config).await
    }
}

async fn look_once(config: &Config) -> Result<(), Failure> {
    let signal = cli::stop_signal()?;
    tokio::select! {
        looked = look(config) => looked,
        () = signal => Err(Failure::Stopped),
    }
}

async fn look(config: &Config) -> Result<(), Failure> {
    let checks = config.checks(Scope::System);
    let mut running = Running::new(checks, Runner::current(), config.at_once);
    let mut failed = 0;
    while let Some((name, finding)) = running.next().await {
        failed += usize::from(finding != Finding::Holds);
        // A command says what it likes.
        let line = escape(&format!("{name}: {finding}"));
        cli::print(io::stdout(), line + "\n")
            .await
            .map_err(|source| Failure::io("cannot print", source))?;
    }
    if failed == 0 {
        Ok(())
    } else {
        Err(Failure::Drifted(failed))
    }
}

async fn serve(arguments: Arguments, source: Source, config: Config) -> Result<(), Failure> {
    let outlet = arguments.output.start();
    let signal = cli::stop_signal()?;
    let allowed = arguments.allow_uid.iter().map(|&uid| Policy::user(uid));
    let policy = allowed.fold(Policy::root().or(Policy::same_user()), Policy::or);
    let (desk, agents) = (
        Arc::new(Desk::new(source, config)),
        Arc::new(Agents::default()),
    );
    let stop = CancellationToken::new();
    let daemon = Daemon::new(Arc::clone(&desk), Arc::clone(&agents), stop.clone());
    let server = Server::builder(arguments.place.path()?)
        .allow(policy)
        .service(proto::DriftServer::new(daemon))
        .mode(0o666) // who may speak is decided by the policy, which knows who asks
        .bind()
        .map_err(|error| Failure::ipc("cannot start", error))?;
    let uid = nix::unistd::geteuid().as_raw();
    tracing::info!(uid, path = %server.path(), "watching");
    outlet.tell(&Event::Ready { uid }).await;
    let until = async {
        signal.await;
        stop.cancel();
    };
    let rounds = rounds::run(Arc::clone(&desk), agents, stop.clone());
    let serving = async {
        let served = server.serve_until(until).await;
        // Also where that failed.
        stop.cancel();
        served
    };
    let (served, ()) = tokio::join!(serving, rounds);
    outlet.end(&Event::DaemonEnds(desk.totals())).await;
    served.map_err(|error| Failure::ipc("cannot go on serving", error))
}
