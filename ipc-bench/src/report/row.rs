//! What a measurement says, as it stands in JSON.

use std::collections::BTreeMap;

use clap::ValueEnum as _;
use serde::{Deserialize, Serialize};

use super::judged::Goals;
use crate::machine::Machine;
use crate::soak::Samples;
use crate::workload::Scenario;

/// What a subcommand found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) repetitions: usize,
    pub(crate) rows: Vec<Row>,
    pub(crate) ratios: Vec<Ratio>,
    /// What a comparison counted beside its rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) counted: Vec<Counted>,
    /// What a comparison was to reach.
    #[serde(default, skip_serializing_if = "Goals::is_empty")]
    pub(crate) goals: Goals,
    /// What a soak sampled beside its row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) soak: Option<Samples>,
}

/// One transport in one scenario: medians over the repetitions.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    /// `ipc`, `raw`, `tonic`, ...
    pub(crate) transport: String,
    /// Version of what carries the calls; none for the raw socket.
    pub(crate) version: Option<String>,
    /// `current_thread`, `multi_thread` or `blocking`.
    pub(crate) runtime: String,
    /// `none`, `same` or `split`.
    pub(crate) pinning: String,
    /// `unary`, `one_way`, `server_stream`, ...
    pub(crate) scenario: String,
    pub(crate) payload_bytes: usize,
    /// Over all client processes.
    pub(crate) connections: usize,
    /// On each connection.
    pub(crate) in_flight: usize,
    /// Client processes.
    pub(crate) processes: usize,
    /// Calls per second that were intended over all connections; none in a closed loop.
    pub(crate) rate: Option<f64>,
    /// `poisson` or `constant`; none in a closed loop.
    pub(crate) arrivals: Option<String>,
    /// Whether each call carried a deadline, where the transport has one.
    pub(crate) deadline: bool,
    /// Users that the client processes belonged to, in turn; none for that of this program.
    pub(crate) uids: Vec<u32>,
    /// Calls that were answered well, over all repetitions.
    pub(crate) calls: u64,
    /// Calls that failed, over all repetitions.
    pub(crate) errors: u64,
    /// The same by status and outcome: `UNAVAILABLE/NotSent`.
    pub(crate) errors_by: BTreeMap<String, u64>,
    pub(crate) calls_per_s: f64,
    /// Payload bytes per second, both directions together.
    pub(crate) bytes_per_s: f64,
    /// What of it a stream moved beside the calls; none where there is no such stream.
    pub(crate) stream_bytes_per_s: Option<f64>,
    pub(crate) latency_us: Latency,
    /// Whether that is the latency of a window, all that is in flight at once, and not of a call.
    pub(crate) windowed: bool,
    /// None where no call was sent, or where not only calls went on.
    pub(crate) cpu_us_per_call: Option<Sides<f64>>,
    /// None where no call was sent, or where not only calls went on.
    pub(crate) switches_per_call: Option<Sides<f64>>,
    /// With all connections.
    pub(crate) rss_bytes: Sides<u64>,
    /// What the connections added to the server, divided by their number.
    pub(crate) rss_bytes_per_connection: f64,
    /// Counted in a run of its own; none unless asked for.
    pub(crate) syscalls_per_call: Option<Sides<f64>>,
    /// Each repetition alone, in the order in which they were made.
    pub(crate) each: Vec<Repetition>,
    /// Latency over all repetitions: pairs of quantile (0 to 1) and microseconds.
    pub(crate) percentiles: Vec<(f64, f64)>,
    /// The last repetition, second by second.
    pub(crate) timeline: Vec<Tick>,
}

impl Row {
    /// Whether nothing but calls went on.
    pub(crate) fn is_alone(&self) -> bool {
        Scenario::from_str(&self.scenario, false).map_or(true, Scenario::is_alone)
    }
}

/// Latency in microseconds.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) p9999: f64,
    pub(crate) max: f64,
}

/// The same quantity on both sides; several processes of a side are added up.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Sides<T> {
    pub(crate) client: T,
    pub(crate) server: T,
}

/// What one repetition found.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Repetition {
    pub(crate) calls_per_s: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// Both sides together; none where no call was sent, or where not only calls went on.
    pub(crate) cpu_us_per_call: Option<f64>,
    /// 0 where no stream runs beside the calls.
    pub(crate) stream_bytes_per_s: f64,
}

/// One interval of a time line.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Tick {
    /// Seconds since the measured part began.
    pub(crate) at_s: f64,
    pub(crate) calls_per_s: f64,
    pub(crate) p99_us: f64,
}

/// One quantity of two rows, divided repetition by repetition.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Ratio {
    /// `calls_per_s`, `p50`, `p99`, `cpu_us_per_call` or `stream_bytes_per_s`.
    pub(crate) what: String,
    /// Index into `rows` of the dividend.
    pub(crate) of: usize,
    /// Index into `rows` of the divisor.
    pub(crate) to: usize,
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    /// Whether the repetitions agree too little to tell.
    pub(crate) noisy: bool,
}

/// What was counted, apart from timed calls.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Counted {
    /// `syscalls_per_call`, `rss_bytes_per_agent` or `wakeups_per_minute`.
    pub(crate) what: String,
    pub(crate) runtime: String,
    /// Calls in flight, or idle agents.
    pub(crate) among: usize,
    /// Each repetition.
    pub(crate) each: Vec<f64>,
}
