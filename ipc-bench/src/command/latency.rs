//! One call in flight: what a call costs beside a bare ping-pong of the same bytes.

use super::effort::{count, seconds};
use super::run::interleaved;
use crate::error::Error;
use crate::process::{Pinning, Setup};
use crate::report::{Shown, ratios, report, row};
use crate::transport::Transport;
use crate::workload::{Amount, Flavor, Workload};

/// What to measure, and how often.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Bytes of the payload
    #[arg(long, default_value_t = 64)]
    payload: usize,
    /// How often each transport is measured, in turn
    #[arg(long, default_value_t = 5, value_parser = count)]
    repetitions: usize,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 1.0, value_parser = seconds)]
    duration: f64,
    /// The runtime of both sides
    #[arg(long, default_value = "current_thread")]
    runtime: Flavor,
    /// Which cores the two processes may use
    #[arg(long, default_value = "same")]
    pinning: Pinning,
    /// Calls without a deadline
    #[arg(long)]
    no_deadline: bool,
    #[command(flatten)]
    shown: Shown,
}

pub(crate) fn latency(args: &Args) -> Result<(), Error> {
    let pinning = args.pinning.or_none();
    let setups = [Transport::Raw, Transport::Ipc].map(|transport| {
        let workload = Workload {
            payload: args.payload,
            deadline: !args.no_deadline,
            amount: Amount::seconds(args.duration),
            ..Workload::new(transport, args.runtime)
        };
        Setup::new(workload, pinning)
    });
    let measured = interleaved(args.repetitions, &setups)?;
    let rows = setups.iter().zip(&measured);
    let rows = rows.map(|(setup, measured)| row(setup, measured));
    let rows = rows.collect::<Vec<_>>();
    let ratios = ratios(&rows, 1, 0);
    args.shown.show(&report(args.repetitions, rows, ratios))
}
