//! Many calls in flight on one connection.

use serde::Serialize;

use crate::error::Error;
use crate::latency::interleaved;
use crate::machine::Machine;
use crate::output::Format;
use crate::process::{Amount, Pinning, Setup};
use crate::report::{Report, Row, Spread, rate, ratio};
use crate::rpc::Flavor;
use crate::serve::Transport;

/// What to measure, and how often.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Calls that wait for their answers at the same time
    #[arg(long, default_value_t = 64)]
    in_flight: usize,
    /// Bytes of the payload
    #[arg(long, default_value_t = 64)]
    payload: usize,
    /// How often each transport is measured, in turn
    #[arg(long, default_value_t = 5)]
    repetitions: usize,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 1.0)]
    duration: f64,
    /// The runtime of both sides
    #[arg(long, default_value = "multi_thread")]
    runtime: Flavor,
    /// Which cores the two processes may use
    #[arg(long, default_value = "none")]
    pinning: Pinning,
    /// Calls without a deadline
    #[arg(long)]
    no_deadline: bool,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Serialize)]
struct Ratios {
    calls_per_s_to_raw: Spread,
}

pub(crate) fn run(args: &Args) -> Result<(), Error> {
    let pinning = args.pinning.or_none();
    let [raw, ipc] = [Transport::Raw, Transport::Ipc].map(|transport| Setup {
        transport,
        runtime: args.runtime,
        pinning,
        payload: args.payload,
        in_flight: args.in_flight.max(1),
        no_deadline: args.no_deadline,
        amount: Amount::Seconds(args.duration),
        strace: None,
    });
    let [of_raw, of_ipc] = interleaved(args.repetitions, [&raw, &ipc])?;
    let rates = |measured: &[_]| measured.iter().map(rate).collect::<Vec<_>>();
    let report = Report {
        machine: Machine::this(),
        repetitions: args.repetitions,
        ratios: Ratios {
            calls_per_s_to_raw: ratio(&rates(&of_ipc), &rates(&of_raw)),
        },
        rows: vec![Row::new(&raw, &of_raw), Row::new(&ipc, &of_ipc)],
    };
    args.format.show(&report, lines)
}

fn lines(report: &Report<Ratios>) -> Vec<String> {
    let mut lines = vec![report.machine.line()];
    for row in &report.rows {
        lines.push(format!(
            "{:<4} {} B unary, {} in flight, {}: {} calls/s",
            row.transport.name(),
            row.payload_bytes,
            row.in_flight,
            row.runtime.map_or("blocking windows", Flavor::name),
            row.calls_per_s.text(0),
        ));
    }
    let ratio = &report.ratios.calls_per_s_to_raw;
    lines.push(format!(
        "ipc / raw: {}; median of {} (min..max)",
        ratio.text(2),
        report.repetitions
    ));
    lines
}
