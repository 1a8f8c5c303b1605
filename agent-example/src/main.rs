//! Answers for what only its user can see: runs the checks that the daemon sends, and follows the state.

mod checker;
mod load;
mod session;
mod tally;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use daemon_example::cli::{self, Output, Place};

/// Run this user's checks for daemon-example, and log what changes on this machine
///
/// Runs in the foreground until Ctrl-C or SIGTERM, or until the daemon is gone.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Take a daemon of this user for genuine, beside one of root; it will choose commands to run
    #[arg(long, value_name = "UID")]
    trust_uid: Option<u32>,
    /// Wait so long, such as 10s, for a daemon that is not there yet
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = humantime::parse_duration)]
    wait: Duration,
    /// Wait so long for the answer to a call
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    deadline: Duration,
    /// Name among the agents of this user
    #[arg(long, default_value = "agent")]
    name: String,
    /// Make this many calls, then as many of each other kind as fit
    #[arg(long, value_name = "N", default_value_t = 0)]
    calls: u64,
    /// Send this many reports unasked, each of them twice
    #[arg(long, value_name = "N", default_value_t = 0)]
    reports: u64,
    #[command(flatten)]
    output: Output,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    cli::run("agent-example", session::run(arguments))
}
