//! System calls per call, as strace counts them.
//!
//! strace counts each process from its start to its end, twice: the second time with more
//! calls. What the further calls added is what they cost.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Folder, Setup, is_there, measure};
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
    let (before, few) = count(setup, calls / 10)?;
    let (after, many) = count(setup, calls + calls / 10)?;
    let sent = many.saturating_sub(few);
    Ok(Sides {
        client: added(&before.client, &after.client, sent)?,
        server: added(&before.server, &after.server, sent)?,
    })
}

/// What so many further calls added, for each of them.
fn added(before: &Counts, after: &Counts, sent: u64) -> Result<PerCall, Error> {
    if sent == 0 {
        return Err(Error::NoCalls);
    }
    let each = after.iter().filter_map(|(name, count)| {
        let less = before.get(name).copied().unwrap_or(0);
        let per_call = float(count.saturating_sub(less)) / float(sent);
        (per_call >= NOISE).then(|| (name.clone(), per_call))
    });
    Ok(each.collect())
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

/// Rarer than this, a system call is not one of the calls' own: no two runs allocate alike.
const NOISE: f64 = 0.005;

/// What both sides did from start to end, and for how many calls.
fn count(setup: &Setup, calls: u64) -> Result<(Sides<Counts>, u64), Error> {
    let folder = Folder::new()?;
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
    let measured = measure(&setup, &mut |_, _| {})?;
    let counts = Sides {
        client: read(&client)?,
        server: read(&server)?,
    };
    Ok((counts, measured.total.sent()))
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

    fn counts(each: [(&str, u64); 2]) -> Counts {
        let each = each.map(|(name, count)| (name.to_owned(), count));
        each.into()
    }

    #[test]
    fn what_further_calls_added_is_divided_by_those_that_were_sent() {
        let before = counts([("read", 100), ("mmap", 30)]);
        let after = counts([("read", 300), ("mmap", 30)]);
        let found = added(&before, &after, 50).unwrap();
        assert_eq!(found, [("read".to_owned(), 4.0)].into());
        let after = counts([("read", 1_100), ("mmap", 34)]);
        let found = added(&before, &after, 1_000).unwrap();
        assert_eq!(found, [("read".to_owned(), 1.0)].into());
        let none = added(&before, &after, 0).unwrap_err().to_string();
        assert_eq!(none, "no call was sent, so nothing can be said of one");
    }

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
        assert_eq!(
            parse(text),
            counts([("epoll_wait", 5_000), ("recvmsg", 4_321)])
        );
    }
}
