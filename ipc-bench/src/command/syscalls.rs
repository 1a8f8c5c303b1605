//! System calls per call, both sides together.

use clap::value_parser;
use serde::Serialize;

use super::effort::count;
use crate::error::Error;
use crate::machine::Machine;
use crate::output::Format;
use crate::process::{PerCall, Pinning, Setup, trace};
use crate::report::row::Sides;
use crate::transport::Transport;
use crate::workload::{Flavor, Workload};

/// What to count.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Calls that wait for their answers at the same time
    #[arg(long, default_value_t = 1, value_parser = count)]
    in_flight: usize,
    /// Bytes of the payload
    #[arg(long, default_value_t = 64)]
    payload: usize,
    /// Calls to count
    #[arg(long, default_value_t = 5_000, value_parser = value_parser!(u64).range(1..))]
    calls: u64,
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

/// What was counted.
#[derive(Debug, Serialize)]
struct Counted {
    machine: Machine,
    in_flight: usize,
    payload_bytes: usize,
    calls: u64,
    rows: Vec<Row>,
}

/// One transport: system calls per call by name, and together.
#[derive(Debug, Serialize)]
struct Row {
    transport: Transport,
    runtime: Flavor,
    per_call: f64,
    #[serde(flatten)]
    sides: Sides<PerCall>,
}

pub(crate) fn syscalls(args: &Args) -> Result<(), Error> {
    let pinning = args.pinning.or_none();
    let raw = match args.in_flight {
        1 => Transport::Raw,
        _ => Transport::RawPipelined,
    };
    let row = |transport| {
        let workload = Workload {
            payload: args.payload,
            in_flight: args.in_flight,
            deadline: !args.no_deadline,
            ..Workload::new(transport, args.runtime)
        };
        let runtime = workload.runtime;
        let sides = trace(&Setup::new(workload, pinning), args.calls)?;
        Ok::<_, Error>(Row {
            transport,
            runtime,
            per_call: sides.client.values().chain(sides.server.values()).sum(),
            sides,
        })
    };
    let counted = Counted {
        machine: Machine::this(),
        in_flight: args.in_flight,
        payload_bytes: args.payload,
        calls: args.calls,
        rows: vec![row(raw)?, row(Transport::Ipc)?],
    };
    args.format.show(&counted, lines)
}

fn lines(counted: &Counted) -> Vec<String> {
    let Counted {
        machine,
        in_flight,
        payload_bytes,
        calls,
        rows,
    } = counted;
    let mut lines = vec![
        machine.line(),
        format!("{payload_bytes} B unary, {in_flight} in flight, {calls} calls counted by strace"),
    ];
    for row in rows {
        let side = |counts: &PerCall| {
            let each = counts
                .iter()
                .map(|(name, count)| format!("{name} {count:.2}"));
            each.collect::<Vec<_>>().join(", ")
        };
        lines.push(format!(
            "{} {:.2} system calls per call\n       client: {}\n       server: {}",
            row.transport,
            row.per_call,
            side(&row.sides.client),
            side(&row.sides.server)
        ));
    }
    lines
}
