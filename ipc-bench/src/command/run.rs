//! Scenarios under load, for one transport or several side by side.

use nix::unistd::geteuid;

use crate::command::effort::{Effort, pairs};
use crate::error::Error;
use crate::output::{say, with_causes};
use crate::process::{Measured, Setup, measure, trace};
use crate::progress::Progress;
use crate::report::row::{Ratio, Row, Sides};
use crate::report::{Shown, ratios, report, row};
use crate::transport::Transport;
use crate::workload::{Scenario, Workload};

/// What to measure, and how often.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What a call is; several, separated by commas, are measured in turn
    #[arg(value_delimiter = ',', default_value = "unary")]
    scenarios: Vec<Scenario>,
    /// What carries the calls; several are measured in turn
    #[arg(long = "transport", value_delimiter = ',', default_value = "ipc")]
    transports: Vec<Transport>,
    /// Bytes of the payload
    #[arg(long, default_value_t = 64)]
    payload: usize,
    /// Users that the client processes belong to, in turn, where this one is root's; each needs a
    /// connection
    #[arg(long, value_delimiter = ',')]
    uids: Vec<u32>,
    #[command(flatten)]
    effort: Effort,
    /// Counts system calls as well, with strace, in a run of its own
    #[arg(long)]
    syscalls: bool,
    #[command(flatten)]
    shown: Shown,
}

pub(crate) fn run(args: &Args) -> Result<(), Error> {
    let uids = args.uids();
    let kinds = pairs(&args.scenarios, &args.transports);
    let kinds = kinds.map(|(scenario, transport)| Workload {
        scenario,
        payload: args.payload,
        crowd: !uids.is_empty(),
        ..Workload::new(transport, args.effort.runtime)
    });
    let setups = args.effort.setups(&kinds.collect::<Vec<_>>(), &uids)?;
    let repetitions = args.effort.repetitions;
    let measured = interleaved(repetitions, &setups)?;
    let mut rows = Vec::new();
    for (setup, measured) in setups.iter().zip(&measured) {
        let mut row = row(setup, measured);
        if args.syscalls {
            row.syscalls_per_call = syscalls(setup);
        }
        rows.push(row);
    }
    let ratios = beside(&rows, args.transports.len() * args.scenarios.len());
    args.shown.show(&report(repetitions, rows, ratios))
}

impl Args {
    /// The users that agents belong to; none, with a word why, where this process may not choose.
    fn uids(&self) -> Vec<u32> {
        if !self.uids.is_empty() && !geteuid().is_root() {
            say("only root can start agents of other users: all belong to this one");
            return Vec::new();
        }
        self.uids.clone()
    }
}

/// Measures each setup in turn, again and again, so that what the machine does meanwhile
/// falls on all of them.
pub(crate) fn interleaved(
    repetitions: usize,
    setups: &[Setup],
) -> Result<Vec<Vec<Measured>>, Error> {
    let mut measured = Vec::new();
    interleave(repetitions, setups, &mut measured)?;
    Ok(measured)
}

/// The same, with what was measured before one failed.
pub(crate) fn interleave(
    repetitions: usize,
    setups: &[Setup],
    measured: &mut Vec<Vec<Measured>>,
) -> Result<(), Error> {
    measured.resize_with(setups.len(), Vec::new);
    let mut progress = Progress::new(setups, repetitions);
    for _ in 0..repetitions {
        for (setup, all) in setups.iter().zip(&mut *measured) {
            let mut live = |tick, part: &_| progress.show(setup, tick, part);
            all.push(measure(setup, &mut live)?);
            progress.next(setup);
        }
    }
    Ok(())
}

/// System calls per call; none, with a word why, where they cannot be counted.
fn syscalls(setup: &Setup) -> Option<Sides<f64>> {
    let scenario = setup.workload.scenario;
    if !scenario.is_alone() {
        say(&format!(
            "system calls of {scenario} are not counted: not only calls make them"
        ));
        return None;
    }
    let counted = counted(setup);
    let why = |error: &Error| {
        let why = with_causes(error);
        say(&format!("system calls are not counted: {why}"));
    };
    counted.inspect_err(why).ok()
}

/// System calls per call on each side, all names together.
pub(super) fn counted(setup: &Setup) -> Result<Sides<f64>, Error> {
    let Sides { client, server } = trace(setup, TRACED)?;
    Ok(Sides {
        client: client.values().sum(),
        server: server.values().sum(),
    })
}

/// Calls whose system calls are counted.
const TRACED: u64 = 2_000;

/// Each further row beside the first, in each group of so many rows.
fn beside(rows: &[Row], group: usize) -> Vec<Ratio> {
    let firsts = (0..rows.len()).step_by(group.max(1));
    let others = firsts.flat_map(|first| (first + 1..first + group).map(move |of| (of, first)));
    others.flat_map(|(of, to)| ratios(rows, of, to)).collect()
}
