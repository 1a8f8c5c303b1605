//! How much load, for how long, how often: what every measurement under load is told.

use clap::ValueEnum;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::error::Error;
use crate::output::say;
use crate::pace::Arrivals;
use crate::process::{Pinning, Setup};
use crate::report::units::plural;
use crate::workload::{Amount, Flavor, Workload};

/// How much load, for how long, how often.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Effort {
    /// Connections of all client processes together; several numbers make a row each
    #[arg(long, value_delimiter = ',', default_value = "1", value_parser = count)]
    connections: Vec<usize>,
    /// Calls or streams on each connection at the same time; several numbers make a row each
    /// [default: 64 for unary and reverse, otherwise 1]
    #[arg(long, value_delimiter = ',', value_parser = count)]
    in_flight: Vec<usize>,
    /// Client processes, each with a connection or more
    #[arg(long, default_value = "1", value_parser = count)]
    processes: usize,
    /// Calls per second over all connections, whether or not the server keeps up; without it each
    /// call waits for the one before
    #[arg(long, value_parser = rate)]
    rate: Option<f64>,
    /// Several rates, a row each
    #[arg(long, value_delimiter = ',', conflicts_with = "rate", value_parser = rate)]
    rate_steps: Vec<f64>,
    /// How the gaps between calls of an open loop are spread
    #[arg(long, default_value = "poisson")]
    arrivals: Arrivals,
    /// How often each row is measured, in turn
    #[arg(long, default_value = "5", value_parser = count)]
    pub(crate) repetitions: usize,
    /// Seconds of each measurement
    #[arg(long, default_value = "1", value_parser = seconds)]
    duration: f64,
    /// The runtime of both sides; of the clients alone, where the server is not ours
    #[arg(long, default_value = "multi_thread")]
    pub(crate) runtime: Flavor,
    /// Which cores the processes may use
    #[arg(long, default_value = "none")]
    pinning: Pinning,
    /// Calls without a deadline
    #[arg(long)]
    no_deadline: bool,
}

pub(super) fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("at least 1".into()),
        Ok(count) => Ok(count),
        Err(error) => Err(error.to_string()),
    }
}

/// Calls per second.
pub(super) fn rate(text: &str) -> Result<f64, String> {
    match positive(text)? {
        rate @ ..=FASTEST => Ok(rate),
        _ => Err("a rate of up to 10,000,000 per second is needed".to_owned()),
    }
}

/// A time.
pub(super) fn seconds(text: &str) -> Result<f64, String> {
    match positive(text)? {
        seconds @ ..=WEEK => Ok(seconds),
        _ => Err("a time of up to a week is needed".to_owned()),
    }
}

fn positive(text: &str) -> Result<f64, String> {
    let is_positive = |number: &f64| *number > 0.0 && number.is_finite();
    let number = text.parse().ok().filter(is_positive);
    number.ok_or_else(|| "not a number above 0".into())
}

/// Calls per second that starts can be counted out for, and those of them that come too late.
pub(super) const FASTEST: f64 = 1e7;
/// In seconds.
const WEEK: f64 = 604_800.0;

/// Takes no other values than these.
pub(super) fn one_of<T>(these: &[T]) -> impl TypedValueParser<Value = T>
where
    T: ValueEnum + Send + Sync + 'static,
{
    let names = these.iter().filter_map(T::to_possible_value);
    PossibleValuesParser::new(names).try_map(|name| T::from_str(&name, false))
}

impl Effort {
    /// Every combination of what was asked for; the kinds of calls lie side by side.
    pub(crate) fn setups(&self, kinds: &[Workload], uids: &[u32]) -> Result<Vec<Setup>, Error> {
        let pinning = self.pinning.or_none();
        let mut setups = Vec::new();
        for workload in self.workloads(kinds) {
            if workload.rate.is_some() && !workload.scenario.can_be_open() {
                return Err(Error::Unsupported("a rate of messages on a stream"));
            }
            if uids.len() > workload.connections {
                return Err(Error::Crowded {
                    users: uids.len(),
                    connections: workload.connections,
                });
            }
            let processes = self.processes.max(uids.len());
            setups.push(Setup {
                processes: with_connections(processes, workload.connections),
                uids: uids.to_vec(),
                ..Setup::new(workload, pinning)
            });
        }
        Ok(setups)
    }

    fn workloads(&self, kinds: &[Workload]) -> Vec<Workload> {
        let (mut rates, mut in_flight) = (some(&self.rate_steps), some(&self.in_flight));
        if rates.is_empty() {
            rates.push(self.rate);
        }
        if in_flight.is_empty() {
            in_flight.push(None);
        }
        let mut workloads = Vec::new();
        for rate in rates {
            for (connections, in_flight) in pairs(&self.connections, &in_flight) {
                workloads.extend(kinds.iter().map(|kind| Workload {
                    connections,
                    in_flight: in_flight.unwrap_or_else(|| kind.scenario.usual_in_flight()),
                    rate,
                    arrivals: self.arrivals,
                    deadline: !self.no_deadline,
                    amount: Amount::seconds(self.duration),
                    ..kind.clone()
                }));
            }
        }
        workloads
    }
}

/// So many processes, or as many as have a connection, with a word about it.
pub(super) fn with_connections(processes: usize, connections: usize) -> usize {
    if processes > connections {
        say(&format!(
            "{}: no more than {connections} of {processes} client processes are started",
            plural(connections, "connection", "connections")
        ));
    }
    processes.clamp(1, connections.max(1))
}

fn some<T: Copy>(all: &[T]) -> Vec<Option<T>> {
    all.iter().copied().map(Some).collect()
}

/// Each of one with each of the other.
pub(super) fn pairs<A: Copy, B: Copy>(one: &[A], other: &[B]) -> impl Iterator<Item = (A, B)> {
    one.iter()
        .flat_map(move |one| other.iter().map(move |other| (*one, *other)))
}
