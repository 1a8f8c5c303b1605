//! Scenarios under load, for one transport or several side by side.

use nix::unistd::geteuid;

use crate::error::Error;
use crate::output::say;
use crate::pace::Arrivals;
use crate::process::{Measured, Pinning, Setup, measure, trace};
use crate::progress::Progress;
use crate::report::row::{Ratio, Row, Sides};
use crate::report::{Shown, ratios, report, row};
use crate::transport::Transport;
use crate::workload::{Amount, Flavor, Scenario, Workload};

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
    /// Connections of all client processes together; several numbers make a row each
    #[arg(long, value_delimiter = ',', default_value = "1", value_parser = count)]
    connections: Vec<usize>,
    /// Calls or streams on each connection at the same time; several numbers make a row each
    /// [default: 64 for unary and reverse, otherwise 1]
    #[arg(long, value_delimiter = ',', value_parser = count)]
    in_flight: Vec<usize>,
    /// Client processes
    #[arg(long, default_value = "1", value_parser = count)]
    processes: usize,
    /// Users that the client processes belong to, in turn, where this one is root's
    #[arg(long, value_delimiter = ',')]
    uids: Vec<u32>,
    /// Calls per second over all connections, whether or not the server keeps up; without it each
    /// call waits for the one before
    #[arg(long, value_parser = positive)]
    rate: Option<f64>,
    /// Several rates, a row each
    #[arg(long, value_delimiter = ',', conflicts_with = "rate", value_parser = positive)]
    rate_steps: Vec<f64>,
    /// How the gaps between calls of an open loop are spread
    #[arg(long, default_value = "poisson")]
    arrivals: Arrivals,
    /// How often each row is measured, in turn
    #[arg(long, default_value = "5", value_parser = count)]
    repetitions: usize,
    /// Seconds of each measurement
    #[arg(long, default_value = "1", value_parser = positive)]
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
    /// Counts system calls as well, with strace, in a run of its own
    #[arg(long)]
    syscalls: bool,
    #[command(flatten)]
    shown: Shown,
}

fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("at least 1".into()),
        Ok(count) => Ok(count),
        Err(error) => Err(error.to_string()),
    }
}

fn positive(text: &str) -> Result<f64, String> {
    let is_positive = |number: &f64| *number > 0.0 && number.is_finite();
    let number = text.parse().ok().filter(is_positive);
    number.ok_or_else(|| "not a number above 0".into())
}

pub(crate) fn run(args: &Args) -> Result<(), Error> {
    let setups = args.setups()?;
    let measured = interleaved(args.repetitions, &setups)?;
    let mut rows = Vec::new();
    for (setup, measured) in setups.iter().zip(&measured) {
        let mut row = row(setup, measured);
        if args.syscalls {
            row.syscalls_per_call = syscalls(setup);
        }
        rows.push(row);
    }
    let ratios = beside(&rows, args.transports.len() * args.scenarios.len());
    args.shown.show(&report(args.repetitions, rows, ratios))
}

impl Args {
    /// Every combination of what was asked for; scenarios and transports lie side by side.
    fn setups(&self) -> Result<Vec<Setup>, Error> {
        let (pinning, uids) = (self.pinning.or_none(), self.uids());
        let steps = self.rate_steps.iter().copied().map(Some);
        let mut rates = steps.collect::<Vec<_>>();
        if rates.is_empty() {
            rates.push(self.rate);
        }
        let mut setups = Vec::new();
        for workload in self.workloads(&rates, !uids.is_empty()) {
            if workload.rate.is_some() && !workload.scenario.can_be_open() {
                return Err(Error::Unsupported("a rate of messages on a stream"));
            }
            let processes = self.processes.max(uids.len());
            setups.push(Setup {
                processes: processes.clamp(1, workload.connections),
                uids: uids.clone(),
                ..Setup::new(workload, pinning)
            });
        }
        Ok(setups)
    }

    fn workloads(&self, rates: &[Option<f64>], crowd: bool) -> Vec<Workload> {
        let of = |rate, connections, in_flight: Option<usize>, (scenario, transport)| {
            let scenario: Scenario = scenario;
            Workload {
                scenario,
                payload: self.payload,
                connections,
                in_flight: in_flight.unwrap_or_else(|| scenario.usual_in_flight()),
                rate,
                arrivals: self.arrivals,
                deadline: !self.no_deadline,
                crowd,
                amount: Amount::seconds(self.duration),
                ..Workload::new(transport, self.runtime)
            }
        };
        let in_flight = self.in_flight.iter().copied().map(Some);
        let mut in_flight = in_flight.collect::<Vec<_>>();
        if in_flight.is_empty() {
            in_flight.push(None);
        }
        let mut workloads = Vec::new();
        for &rate in rates {
            for (connections, in_flight) in pairs(&self.connections, &in_flight) {
                let kinds = pairs(&self.scenarios, &self.transports);
                workloads.extend(kinds.map(|kind| of(rate, connections, in_flight, kind)));
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
fn pairs<A: Copy, B: Copy>(one: &[A], other: &[B]) -> impl Iterator<Item = (A, B)> {
    one.iter()
        .flat_map(move |one| other.iter().map(move |other| (*one, *other)))
}

/// Measures each setup in turn, again and again, so that what the machine does meanwhile
/// falls on all of them.
pub(crate) fn interleaved(
    repetitions: usize,
    setups: &[Setup],
) -> Result<Vec<Vec<Measured>>, Error> {
    let mut measured = setups.iter().map(|_| Vec::new()).collect::<Vec<_>>();
    let mut progress = Progress::new(setups, repetitions);
    for _ in 0..repetitions {
        for (setup, all) in setups.iter().zip(&mut measured) {
            let mut live = |tick, part: &_| progress.show(setup, tick, part);
            all.push(measure(setup, &mut live)?);
            progress.next(setup);
        }
    }
    Ok(measured)
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
    match trace(setup, TRACED) {
        Ok(Sides { client, server }) => Some(Sides {
            client: client.values().sum(),
            server: server.values().sum(),
        }),
        Err(error) => {
            say(&format!("system calls are not counted: {error}"));
            None
        }
    }
}

/// Calls whose system calls are counted.
const TRACED: u64 = 2_000;

/// Each further row beside the first, in each group of so many rows.
fn beside(rows: &[Row], group: usize) -> Vec<Ratio> {
    let firsts = (0..rows.len()).step_by(group.max(1));
    let others = firsts.flat_map(|first| (first + 1..first + group).map(move |of| (of, first)));
    others.flat_map(|(of, to)| ratios(rows, of, to)).collect()
}
