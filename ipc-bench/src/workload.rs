//! What is called how: all that a client process is told.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use tokio::runtime::{Builder, Runtime};

use crate::attach::Attached;
use crate::error::Error;
use crate::pace::Arrivals;
use crate::report::float;
use crate::transport::Transport;

/// What the connections of one client process do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Workload {
    pub(crate) transport: Transport,
    pub(crate) runtime: Flavor,
    pub(crate) scenario: Scenario,
    /// Bytes of each payload.
    pub(crate) payload: usize,
    pub(crate) connections: usize,
    /// Calls that wait for their answers at the same time, on each connection.
    pub(crate) in_flight: usize,
    /// Calls per second over all connections; none for a closed loop.
    pub(crate) rate: Option<f64>,
    pub(crate) arrivals: Arrivals,
    /// How much earlier than a gap after the first moment calls start, as a share of the gap: so
    /// the constant arrivals of all parts of a workload are constant too.
    pub(crate) ahead: f64,
    /// Whether each call carries [`DEADLINE`].
    pub(crate) deadline: bool,
    /// Whether callers are other users than the server.
    pub(crate) crowd: bool,
    pub(crate) amount: Amount,
    /// What is called of a server that is not ours.
    pub(crate) attached: Option<Attached>,
}

/// How long a measurement goes on.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Amount {
    /// Calls that begin after the warm-up, within so much time. In seconds.
    Time { warm_up: f64, measured: f64 },
    /// So many calls over all connections, all of them measured.
    Calls(u64),
}

impl Amount {
    /// So many seconds after the usual warm-up.
    pub(crate) const fn seconds(measured: f64) -> Self {
        let warm_up = WARM_UP;
        Self::Time { warm_up, measured }
    }

    /// How long the warm-up takes, and how long the rest at most.
    pub(crate) fn times(self) -> (Duration, Duration) {
        match self {
            Self::Time { warm_up, measured } => (
                Duration::from_secs_f64(warm_up),
                Duration::from_secs_f64(measured),
            ),
            Self::Calls(_) => (Duration::ZERO, LONGEST),
        }
    }
}

/// What a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub(crate) enum Scenario {
    /// One message each way
    Unary,
    /// One message, no answer; latency is until it is taken
    OneWay,
    /// One request, payloads without end; latency is from one to the next
    ServerStream,
    /// Payloads without end; latency is until each is taken
    ClientStream,
    /// Payloads both ways, each answered before the next
    BidiStream,
    /// Unary calls that the server makes to its clients
    Reverse,
    /// Unary calls beside a stream of 1 MiB messages on the same connection
    Mixed,
    /// Unary calls beside such a stream on a connection of its own
    MixedSeparate,
    /// Connect, handshake and one call, for each call anew
    Connect,
    /// Unary calls while other connections come and go
    Churn,
}

impl Scenario {
    /// Whether calls have an intended start of their own, as an open loop needs.
    pub(crate) const fn can_be_open(self) -> bool {
        !matches!(
            self,
            Self::ServerStream | Self::ClientStream | Self::BidiStream
        )
    }

    /// Whether nothing but calls goes on.
    pub(crate) const fn is_alone(self) -> bool {
        !matches!(self, Self::Mixed | Self::MixedSeparate | Self::Churn)
    }

    /// Whether a stream goes on beside the calls.
    pub(crate) const fn has_stream_beside(self) -> bool {
        matches!(self, Self::Mixed | Self::MixedSeparate)
    }

    /// How many calls or streams a connection has at the same time unless it is told.
    pub(crate) const fn usual_in_flight(self) -> usize {
        match self {
            Self::Unary | Self::Reverse => 64,
            _ => 1,
        }
    }
}

/// Which runtime both sides use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub(crate) enum Flavor {
    /// Tokio's, one thread does all
    CurrentThread,
    /// Tokio's with two workers
    MultiThread,
    /// None: a thread per connection in the client; a server that needs one has `current_thread`
    Blocking,
}

impl Flavor {
    /// Tokio's.
    pub(crate) const TOKIO: &[Self] = &[Self::CurrentThread, Self::MultiThread];

    pub(crate) fn build(self) -> Result<Runtime, Error> {
        let mut builder = match self {
            Self::CurrentThread | Self::Blocking => Builder::new_current_thread(),
            Self::MultiThread => Builder::new_multi_thread(),
        };
        builder
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(Error::io("the runtime cannot be built"))
    }
}

/// Where a client connects to, and as what.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) socket: PathBuf,
    /// The deadline of each call.
    pub(crate) deadline: Option<Duration>,
    /// Whether callers are other users than the server.
    pub(crate) crowd: bool,
    /// Whether the server calls back.
    pub(crate) serves: bool,
}

impl Workload {
    /// Unary calls of 64 bytes with a deadline, one at a time on one connection, for a second.
    pub(crate) fn new(transport: Transport, runtime: Flavor) -> Self {
        Self {
            transport,
            runtime: transport.runtime(runtime),
            scenario: Scenario::Unary,
            payload: 64,
            connections: 1,
            in_flight: 1,
            rate: None,
            arrivals: Arrivals::default(),
            ahead: 0.0,
            deadline: true,
            crowd: false,
            amount: Amount::seconds(1.0),
            attached: None,
        }
    }

    /// What one of several parts is to do.
    pub(crate) fn share(&self, index: usize, parts: usize) -> Self {
        let (all, parts) = (self.connections, parts.max(1));
        let connections = all / parts + usize::from(index < all % parts);
        let count = |count: usize| float(u64::try_from(count).unwrap_or(u64::MAX));
        let share = count(connections) / count(all.max(1));
        let amount = match self.amount {
            Amount::Calls(calls) => {
                let split = |of: usize| u64::try_from(of).unwrap_or(u64::MAX);
                Amount::Calls(calls * split(connections) / split(all.max(1)))
            }
            time @ Amount::Time { .. } => time,
        };
        Self {
            connections,
            rate: self.rate.map(|rate| rate * share),
            ahead: (self.ahead + count(index)) / count(parts),
            amount,
            ..self.clone()
        }
    }

    /// Connections that there are at the same time, those included that are still on their way out
    /// while the next come.
    pub(crate) const fn seats(&self) -> usize {
        let all = self.connections;
        match self.scenario {
            Scenario::MixedSeparate => 2 * all,
            Scenario::Connect => 2 * all * self.in_flight,
            Scenario::Churn => all + 2 * self.passing(),
            _ => all,
        }
    }

    /// Connections that come and go beside those that stay, where they churn.
    pub(crate) const fn passing(&self) -> usize {
        self.connections.div_ceil(STEADY)
    }

    /// The deadline of each call.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.deadline.then_some(DEADLINE)
    }

    pub(crate) fn target(&self, socket: PathBuf) -> Target {
        Target {
            socket,
            deadline: self.deadline(),
            crowd: self.crowd,
            serves: self.scenario == Scenario::Reverse,
        }
    }
}

/// As it is written on the command line and in JSON.
pub(crate) fn word(value: &impl ValueEnum) -> String {
    value
        .to_possible_value()
        .map(|value| value.get_name().to_owned())
        .unwrap_or_default()
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&word(self))
    }
}

impl fmt::Display for Flavor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&word(self))
    }
}

/// The deadline each call carries unless it is told not to.
const DEADLINE: Duration = Duration::from_secs(10);
/// How long a number of calls may take.
const LONGEST: Duration = Duration::from_secs(600);
/// Connections that stay for each that comes and goes.
const STEADY: usize = 4;
/// Seconds before the measured part: caches, branch predictors and buffers settle.
const WARM_UP: f64 = 0.2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_workload_make_up_the_whole() {
        let whole = Workload {
            connections: 7,
            rate: Some(700.0),
            amount: Amount::Calls(7_000),
            ..Workload::new(Transport::Ipc, Flavor::MultiThread)
        };
        let parts = [0, 1, 2].map(|index| whole.share(index, 3));
        assert_eq!(parts.each_ref().map(|part| part.connections), [3, 2, 2]);
        let rates = parts.each_ref().map(|part| part.rate.unwrap().round());
        assert_eq!(rates.map(|rate| rate.to_string()), ["300", "200", "200"]);
        let calls = parts.map(|part| match part.amount {
            Amount::Calls(calls) => calls,
            Amount::Time { .. } => 0,
        });
        assert_eq!(calls, [3_000, 2_000, 2_000]);
    }

    #[test]
    fn each_scenario_has_seats_for_all_its_connections() {
        let seats = |scenario| {
            let workload = Workload {
                scenario,
                connections: 110,
                in_flight: 10,
                ..Workload::new(Transport::Ipc, Flavor::MultiThread)
            };
            workload.seats()
        };
        assert_eq!(seats(Scenario::Unary), 110);
        assert_eq!(seats(Scenario::Mixed), 110);
        assert_eq!(seats(Scenario::MixedSeparate), 220);
        // 28 come and go, and as many may not be gone yet; so it is with all that connect.
        assert_eq!(seats(Scenario::Churn), 166);
        assert_eq!(seats(Scenario::Connect), 2_200);
    }

    #[test]
    fn words_are_those_of_the_command_line_and_of_json() {
        for scenario in Scenario::value_variants() {
            let json = serde_json::to_value(scenario).unwrap();
            assert_eq!(json, scenario.to_string());
        }
        for flavor in Flavor::value_variants() {
            assert_eq!(serde_json::to_value(flavor).unwrap(), flavor.to_string());
        }
    }
}
