//! Load tests for `ipc`, beside bare sockets and other libraries.
//!
//! Client and server are separate processes: this binary starts itself for each, pinned to
//! one core where `taskset` is there. What is printed as a ratio survives a change of
//! machine; what is printed in microseconds does not.

mod attach;
mod clock;
mod command;
mod error;
mod load;
mod machine;
mod meter;
mod observe;
mod output;
mod pace;
mod process;
mod progress;
mod proto;
mod report;
mod scenario;
mod serve;
mod soak;
mod transport;
mod usage;
mod workload;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::command::{check, compare, idle, latency, run, syscalls};

/// Load tests for ipc, beside bare sockets and other libraries.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// One call in flight: latency beside a raw ping-pong, interleaved in one run
    Latency(latency::Args),
    /// Scenarios under load, in a closed loop or an open one
    Run(run::Args),
    /// Your own daemon under load, through an echo or a method of its own
    Attach(command::attach::Args),
    /// Thousands of agents for minutes: what the daemon holds over time, and whether it grows
    Soak(command::soak::Args),
    /// ipc beside bare sockets and its peers, interleaved in one run
    Compare(compare::Args),
    /// System calls per call, both sides together, counted by strace
    Syscalls(syscalls::Args),
    /// Memory of the server for each idle connection
    Idle(idle::Args),
    /// Compares a run with a saved one as ratios to raw, and fails on a regression
    Check(check::Args),
    /// The server process of a measurement
    #[command(hide = true)]
    Serve(serve::Args),
    /// The client process of a measurement
    #[command(hide = true)]
    Load(load::Args),
    /// A client process that holds idle connections
    #[command(hide = true)]
    Hold(load::Args),
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .init();
    let done = match Cli::parse().command {
        Command::Latency(args) => latency::latency(&args),
        Command::Run(args) => run::run(&args),
        Command::Attach(args) => command::attach::attach(&args),
        Command::Soak(args) => command::soak::soak(&args),
        Command::Compare(args) => compare::compare(&args),
        Command::Syscalls(args) => syscalls::syscalls(&args),
        Command::Idle(args) => idle::idle(&args),
        Command::Check(args) => check::check(&args),
        Command::Serve(args) => serve::serve(args),
        Command::Load(args) => load::load(args),
        Command::Hold(args) => load::hold(args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(&error);
            ExitCode::FAILURE
        }
    }
}
