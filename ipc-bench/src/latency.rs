//! One call in flight: what a call costs beside a bare ping-pong of the same bytes.

use serde::Serialize;

use crate::error::Error;
use crate::load::Measured;
use crate::machine::Machine;
use crate::output::Format;
use crate::process::{Amount, Pinning, Setup, measure};
use crate::report::{Latency, Report, Row, Spread, micros, ratio};
use crate::rpc::Flavor;
use crate::serve::Transport;

/// What to measure, and how often.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
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
    #[arg(long, default_value = "current_thread")]
    runtime: Flavor,
    /// Which cores the two processes may use
    #[arg(long, default_value = "same")]
    pinning: Pinning,
    /// Calls without a deadline
    #[arg(long)]
    no_deadline: bool,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Serialize)]
struct Ratios {
    p50_to_raw: Spread,
    p99_to_raw: Spread,
}

pub(crate) fn latency(args: &Args) -> Result<(), Error> {
    let setup = |transport| Setup {
        transport,
        runtime: args.runtime,
        pinning: args.pinning,
        payload: args.payload,
        in_flight: 1,
        no_deadline: args.no_deadline,
        amount: Amount::Seconds(args.duration),
        strace: None,
    };
    let pinning = args.pinning.or_none();
    let [raw, ipc] = [Transport::Raw, Transport::Ipc].map(|transport| Setup {
        pinning,
        ..setup(transport)
    });
    let [of_raw, of_ipc] = interleaved(args.repetitions, [&raw, &ipc])?;
    let all = |measured: &[Measured], value: fn(&Measured) -> u64| {
        let values = measured.iter().map(|one| micros(value(one)));
        values.collect::<Vec<_>>()
    };
    let ratios = Ratios {
        p50_to_raw: ratio(&all(&of_ipc, |one| one.p50), &all(&of_raw, |one| one.p50)),
        p99_to_raw: ratio(&all(&of_ipc, |one| one.p99), &all(&of_raw, |one| one.p99)),
    };
    let report = Report {
        machine: Machine::this(),
        repetitions: args.repetitions,
        rows: vec![Row::new(&raw, &of_raw), Row::new(&ipc, &of_ipc)],
        ratios,
    };
    args.format.show(&report, lines)
}

/// Measures each setup in turn, again and again, so that what the machine does meanwhile
/// falls on all of them.
pub(crate) fn interleaved<const N: usize>(
    repetitions: usize,
    setups: [&Setup; N],
) -> Result<[Vec<Measured>; N], Error> {
    let mut measured = [const { Vec::new() }; N];
    for _ in 0..repetitions {
        for (setup, all) in setups.iter().zip(&mut measured) {
            all.push(measure(setup)?);
        }
    }
    Ok(measured)
}

fn lines(report: &Report<Ratios>) -> Vec<String> {
    let Report {
        machine,
        repetitions,
        rows,
        ratios,
    } = report;
    let mut lines = vec![machine.line()];
    if let Some(row) = rows.last() {
        lines.push(format!(
            "{} B unary, 1 in flight, {}, pinning {}; median of {repetitions} (min..max)",
            row.payload_bytes,
            row.runtime.map_or("", Flavor::name),
            row.pinning.name(),
        ));
    }
    for row in rows {
        let Latency { p50, p99, .. } = &row.latency_us;
        lines.push(format!(
            "{:<4} p50 {:>22} us   p99 {:>22} us   {} calls",
            row.transport.name(),
            p50.text(2),
            p99.text(2),
            row.calls
        ));
    }
    lines.push(format!(
        "ipc / raw: p50 {}   p99 {}",
        ratios.p50_to_raw.text(2),
        ratios.p99_to_raw.text(2)
    ));
    lines
}
