//! One scenario under load, for one transport or several side by side.

use nix::unistd::geteuid;

use crate::error::Error;
use crate::output::{Format, say};
use crate::pace::Arrivals;
use crate::process::{Measured, Pinning, Setup, measure};
use crate::report::row::{Ratio, Row};
use crate::report::{lines, ratios, report, row};
use crate::transport::Transport;
use crate::workload::{Amount, Flavor, Scenario, Workload};

/// What to measure, and how often.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What a call is
    #[arg(default_value = "unary")]
    scenario: Scenario,
    /// What carries the calls; several are measured in turn
    #[arg(long = "transport", value_delimiter = ',', default_value = "ipc")]
    transports: Vec<Transport>,
    /// Bytes of the payload
    #[arg(long, default_value_t = 64)]
    payload: usize,
    /// Connections of all client processes together; several numbers make a row each
    #[arg(long, value_delimiter = ',', default_value = "1")]
    connections: Vec<usize>,
    /// Calls that wait for their answers at the same time, on each connection; several numbers
    /// make a row each
    #[arg(long, value_delimiter = ',', default_value = "64")]
    in_flight: Vec<usize>,
    /// Client processes
    #[arg(long, default_value_t = 1)]
    processes: usize,
    /// Users that the client processes belong to, in turn, where this one is root's
    #[arg(long, value_delimiter = ',')]
    uids: Vec<u32>,
    /// Calls per second over all connections, whether or not the server keeps up; without it each
    /// call waits for the one before
    #[arg(long)]
    rate: Option<f64>,
    /// Several rates, a row each
    #[arg(long, value_delimiter = ',', conflicts_with = "rate")]
    rate_steps: Vec<f64>,
    /// How the gaps between calls of an open loop are spread
    #[arg(long, default_value = "poisson")]
    arrivals: Arrivals,
    /// How often each row is measured, in turn
    #[arg(long, default_value_t = 5)]
    repetitions: usize,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 1.0)]
    duration: f64,
    /// The runtime of both sides
    #[arg(long, default_value = "multi_thread")]
    runtime: Flavor,
    /// Which cores the processes may use
    #[arg(long, default_value = "none")]
    pinning: Pinning,
    /// Calls without a deadline
    #[arg(long)]
    no_deadline: bool,
    #[command(flatten)]
    format: Format,
}

pub(crate) fn run(args: &Args) -> Result<(), Error> {
    let setups = args.setups()?;
    let measured = interleaved(args.repetitions, &setups)?;
    let rows = setups.iter().zip(&measured);
    let rows = rows.map(|(setup, measured)| row(setup, measured));
    let rows = rows.collect::<Vec<_>>();
    let ratios = beside(&rows, args.transports.len());
    args.format
        .show(&report(args.repetitions, rows, ratios), lines)
}

impl Args {
    /// Every combination of what was asked for; transports lie side by side.
    fn setups(&self) -> Result<Vec<Setup>, Error> {
        let (pinning, uids) = (self.pinning.or_none(), self.uids());
        let steps = self.rate_steps.iter().copied().map(Some);
        let mut rates = steps.collect::<Vec<_>>();
        if rates.is_empty() {
            rates.push(self.rate);
        }
        let mut setups = Vec::new();
        for workload in self.workloads(&rates, !uids.is_empty()) {
            let processes = self.processes.max(uids.len());
            setups.push(Setup {
                processes: processes.clamp(1, workload.connections.max(1)),
                uids: uids.clone(),
                ..Setup::new(workload, pinning)
            });
        }
        Ok(setups)
    }

    fn workloads(&self, rates: &[Option<f64>], crowd: bool) -> Vec<Workload> {
        let of = |rate, connections, in_flight, transport| Workload {
            scenario: self.scenario,
            payload: self.payload,
            connections,
            in_flight,
            rate,
            arrivals: self.arrivals,
            deadline: !self.no_deadline,
            crowd,
            amount: Amount::seconds(self.duration),
            ..Workload::new(transport, self.runtime)
        };
        let mut workloads = Vec::new();
        for &rate in rates {
            for (&connections, &in_flight) in pairs(&self.connections, &self.in_flight) {
                let transports = self.transports.iter();
                let row = |&transport| of(rate, connections, in_flight, transport);
                workloads.extend(transports.map(row));
            }
        }
        workloads
    }

    /// The users that agents belong to; none, with a word why, where this process may not choose.
    fn uids(&self) -> Vec<u32> {
        if !self.uids.is_empty() && !geteuid().is_root() {
            say("only root can start agents of other users: all belong to this one");
            return Vec::new();
        }
        self.uids.clone()
    }
}

/// Each of one with each of the other.
fn pairs<'a, A, B>(one: &'a [A], other: &'a [B]) -> impl Iterator<Item = (&'a A, &'a B)> {
    one.iter()
        .flat_map(move |one| other.iter().map(move |other| (one, other)))
}

/// Measures each setup in turn, again and again, so that what the machine does meanwhile
/// falls on all of them.
pub(crate) fn interleaved(
    repetitions: usize,
    setups: &[Setup],
) -> Result<Vec<Vec<Measured>>, Error> {
    let mut measured = setups.iter().map(|_| Vec::new()).collect::<Vec<_>>();
    for _ in 0..repetitions {
        for (setup, all) in setups.iter().zip(&mut measured) {
            all.push(measure(setup, &mut |_, _| {})?);
        }
    }
    Ok(measured)
}

/// Each further transport beside the first, in each group of so many rows.
fn beside(rows: &[Row], group: usize) -> Vec<Ratio> {
    let firsts = (0..rows.len()).step_by(group.max(1));
    let others = firsts.flat_map(|first| (first + 1..first + group).map(move |of| (of, first)));
    others.flat_map(|(of, to)| ratios(rows, of, to)).collect()
}
