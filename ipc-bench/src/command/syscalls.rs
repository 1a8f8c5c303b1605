//! System calls per call, both sides together.
//!
//! strace counts each process from its start to its end, twice: the second time with more
//! calls. What the further calls added is what they cost.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::error::Error;
use crate::machine::Machine;
use crate::output::Format;
use crate::process::{Pinning, Setup, folder, is_there, measure};
use crate::report::float;
use crate::transport::Transport;
use crate::workload::{Amount, Flavor, Workload};

/// What to count.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Calls that wait for their answers at the same time
    #[arg(long, default_value_t = 1)]
    in_flight: usize,
    /// Bytes of the payload
    #[arg(long, default_value_t = 64)]
    payload: usize,
    /// Calls to count
    #[arg(long, default_value_t = 5_000)]
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
    client: BTreeMap<String, f64>,
    server: BTreeMap<String, f64>,
}

type Counts = BTreeMap<String, u64>;

pub(crate) fn syscalls(args: &Args) -> Result<(), Error> {
    if !is_there("strace") {
        return Err(Error::Missing("strace"));
    }
    let raw = match args.in_flight {
        0 | 1 => Transport::Raw,
        _ => Transport::RawPipelined,
    };
    let rows = [raw, Transport::Ipc].map(|transport| row(args, transport));
    let counted = Counted {
        machine: Machine::this(),
        in_flight: args.in_flight,
        payload_bytes: args.payload,
        calls: args.calls,
        rows: rows.into_iter().collect::<Result<_, _>>()?,
    };
    args.format.show(&counted, lines)
}

fn row(args: &Args, transport: Transport) -> Result<Row, Error> {
    let before = trace(args, transport, args.calls / 10)?;
    let after = trace(args, transport, args.calls + args.calls / 10)?;
    let calls = float(args.calls.max(1));
    let [server, client] = [0, 1].map(|side| {
        let added = |(name, count): (&String, &u64)| {
            let less = before.get(side).and_then(|counts| counts.get(name));
            let per_call = float(count.saturating_sub(less.copied().unwrap_or(0))) / calls;
            (per_call >= NOISE).then(|| (name.clone(), per_call))
        };
        let counts = after.get(side).into_iter().flatten();
        counts.filter_map(added).collect::<BTreeMap<_, _>>()
    });
    Ok(Row {
        transport,
        runtime: transport.runtime(args.runtime),
        per_call: server.values().chain(client.values()).sum(),
        client,
        server,
    })
}

/// Rarer than this, a system call is not one of the calls' own.
const NOISE: f64 = 0.005;

/// What the server and the client did from start to end.
fn trace(args: &Args, transport: Transport, calls: u64) -> Result<[Counts; 2], Error> {
    let folder = folder()?;
    let [server, client] = ["server", "client"].map(|side| folder.path().join(side));
    let workload = Workload {
        payload: args.payload,
        in_flight: args.in_flight.max(1),
        deadline: !args.no_deadline,
        amount: Amount::Calls(calls),
        ..Workload::new(transport, args.runtime)
    };
    let setup = Setup {
        strace: Some((server.clone(), client.clone())),
        ..Setup::new(workload, args.pinning.or_none())
    };
    measure(&setup, &mut |_, _| {})?;
    Ok([read(&server)?, read(&client)?])
}

fn read(file: &Path) -> Result<Counts, Error> {
    let text = fs::read_to_string(file).map_err(Error::io("what strace counted is not there"))?;
    Ok(parse(&text))
}

/// Reads the table of `strace -c`: share, seconds, time, calls, errors if any, name.
fn parse(text: &str) -> Counts {
    let row = |line: &str| {
        let columns = line.split_whitespace().collect::<Vec<_>>();
        let [share, _, _, calls, .., name] = columns.as_slice() else {
            return None;
        };
        share.parse::<f64>().ok()?;
        let is_total = *name == "total";
        (!is_total).then_some(((*name).to_owned(), calls.parse().ok()?))
    };
    text.lines().filter_map(row).collect()
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
        let side = |counts: &BTreeMap<String, f64>| {
            let each = counts
                .iter()
                .map(|(name, count)| format!("{name} {count:.2}"));
            each.collect::<Vec<_>>().join(", ")
        };
        lines.push(format!(
            "{:<13} {:.2} system calls per call\n       client: {}\n       server: {}",
            row.transport.to_string(),
            row.per_call,
            side(&row.client),
            side(&row.server)
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_strace_is_read_with_and_without_errors() {
        let text = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.010000           2      5000           epoll_wait
 40.00    0.005000           1      4321        12 recvmsg
------ ----------- ----------- --------- --------- ----------------
100.00    0.015000           1      9321        12 total
";
        let counts = parse(text);
        let expected = [("epoll_wait", 5_000), ("recvmsg", 4_321)];
        let expected = expected.map(|(name, count)| (name.to_owned(), count));
        assert_eq!(counts, expected.into());
    }
}
