//! System calls per call, as strace counts them.
//!
//! strace counts each process from its start to its end, twice: the second time with more
//! calls. What the further calls added is what they cost.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Setup, folder, is_there, measure};
use crate::error::Error;
use crate::report::float;
use crate::report::row::Sides;
use crate::workload::{Amount, Workload};

/// System calls per call by name.
pub(crate) type PerCall = BTreeMap<String, f64>;

type Counts = BTreeMap<String, u64>;

/// Counts the system calls of so many calls, each side for itself.
pub(crate) fn trace(setup: &Setup, calls: u64) -> Result<Sides<PerCall>, Error> {
    can_trace()?;
    let before = count(setup, calls / 10)?;
    let after = count(setup, calls + calls / 10)?;
    let added = |after: &Counts, before: &Counts| {
        let each = after.iter().filter_map(|(name, count)| {
            let less = before.get(name).copied().unwrap_or(0);
            let per_call = float(count.saturating_sub(less)) / float(calls.max(1));
            (per_call >= NOISE).then(|| (name.clone(), per_call))
        });
        each.collect()
    };
    Ok(Sides {
        client: added(&after.client, &before.client),
        server: added(&after.server, &before.server),
    })
}

/// Whether strace is there, and may trace what it starts: a container may forbid that.
pub(crate) fn can_trace() -> Result<(), Error> {
    if !is_there("strace") {
        return Err(Error::Missing("strace"));
    }
    let mut strace = Command::new("strace");
    let output = strace.args(["-f", "-c", "-o", "/dev/null", "true"]);
    let output = output
        .output()
        .map_err(Error::io("strace cannot be started"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::Untraceable(said.trim().to_owned()))
}

/// Rarer than this, a system call is not one of the calls' own.
const NOISE: f64 = 0.005;

/// What both sides did from start to end.
fn count(setup: &Setup, calls: u64) -> Result<Sides<Counts>, Error> {
    let folder = folder()?;
    let [server, client] = ["server", "client"].map(|side| folder.path().join(side));
    let setup = Setup {
        workload: Workload {
            amount: Amount::Calls(calls),
            rate: None,
            ..setup.workload.clone()
        },
        processes: 1,
        uids: Vec::new(),
        strace: Some((server.clone(), client.clone())),
        ..setup.clone()
    };
    measure(&setup, &mut |_, _| {})?;
    Ok(Sides {
        client: read(&client)?,
        server: read(&server)?,
    })
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
