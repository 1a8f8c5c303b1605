//! What is measured beside each other.

use std::fmt;

use clap::ValueEnum;

use crate::pace::Arrivals;
use crate::process::{Pinning, Setup};
use crate::report::row::Row;
use crate::transport::Transport;
use crate::workload::{Amount, Flavor, Scenario, Workload};

/// Cells that answer the same question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(super) enum Group {
    /// One call at a time, both processes on one core: 64 B, 64 KiB and 1 MiB; its system calls
    Latency,
    /// One call at a time, a core for each process, with and without busy polling
    TwoCores,
    /// 16, 64 and 256 calls in flight on one connection, the CPU time and system calls they take
    InFlight,
    /// 64 and 1,000 connections with one call each; 10,000 idle ones
    Connections,
    /// A stream of 64 KiB and of 1 MiB messages from the server
    Bulk,
    /// Small calls beside such a stream, on the same connection and on another
    Mixed,
    /// Calls from the server to its client, and the other way
    Reverse,
    /// Connect, handshake and one call
    Connect,
}

/// One workload that several transports are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) group: Group,
    pub(super) payload: usize,
    pub(super) connections: usize,
    pub(super) in_flight: usize,
}

/// Who takes part, and in what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Contender {
    pub(super) transport: Transport,
    pub(super) runtime: Flavor,
    pub(super) scenario: Scenario,
}

/// Every bare socket that is the floor of a cell.
const RAW: &str = "raw";
/// Payload of every cell that is not about large ones, in bytes.
pub(super) const SMALL: usize = 64;

/// All cells, or a few for a short run.
pub(super) fn cells(only: &[Group], small: usize, is_quick: bool) -> Vec<Cell> {
    let latency = |payload| cell(Group::Latency, payload, 1, 1);
    let in_flight = |calls| cell(Group::InFlight, small, 1, calls);
    let connections = |count| cell(Group::Connections, small, count, 1);
    let bulk = |payload| cell(Group::Bulk, payload, 1, 1);
    let alone = |group| cell(group, small, 1, 1);
    let last = [Group::Mixed, Group::Reverse, Group::Connect].map(alone);
    let mut cells = if is_quick {
        vec![
            latency(small),
            alone(Group::TwoCores),
            in_flight(64),
            connections(64),
            bulk(64 << 10),
        ]
    } else {
        vec![
            latency(small),
            latency(64 << 10),
            latency(1 << 20),
            alone(Group::TwoCores),
            in_flight(16),
            in_flight(64),
            in_flight(256),
            connections(64),
            connections(1_000),
            bulk(64 << 10),
            bulk(1 << 20),
        ]
    };
    cells.extend(last);
    cells.retain(|cell| only.is_empty() || only.contains(&cell.group));
    cells
}

const fn cell(group: Group, payload: usize, connections: usize, in_flight: usize) -> Cell {
    Cell {
        group,
        payload,
        connections,
        in_flight,
    }
}

impl Cell {
    /// What the cell is about.
    pub(super) const fn scenario(self) -> Scenario {
        match self.group {
            Group::Latency | Group::TwoCores | Group::InFlight | Group::Connections => {
                Scenario::Unary
            }
            Group::Bulk => Scenario::ServerStream,
            Group::Mixed => Scenario::Mixed,
            Group::Reverse => Scenario::Reverse,
            Group::Connect => Scenario::Connect,
        }
    }

    /// What all others are compared with: a bare socket, or this crate without what the cell is
    /// about.
    pub(super) const fn base(self) -> (Transport, Scenario) {
        let transport = match self.group {
            Group::Latency | Group::TwoCores => Transport::Raw,
            Group::InFlight => Transport::RawPipelined,
            // Its server needs no new thread for a connection.
            Group::Connections | Group::Connect => Transport::RawEpoll,
            Group::Bulk => Transport::RawStream,
            Group::Mixed => return (Transport::Ipc, Scenario::MixedSeparate),
            Group::Reverse => return (Transport::Ipc, Scenario::Unary),
        };
        (transport, self.scenario())
    }

    /// The same for people.
    pub(super) fn base_name(self) -> String {
        match self.base() {
            (Transport::Ipc, scenario) => format!("{} {scenario}", Transport::Ipc),
            _ => RAW.to_owned(),
        }
    }

    /// Whether a row of this cell is what another is compared with.
    pub(super) fn is_base(self, of: &Row, to: &Row) -> bool {
        let (transport, scenario) = self.base();
        let is_like = |row: &Row| {
            row.transport == transport.to_string() && row.scenario == scenario.to_string()
        };
        let has_runtime = to.runtime == Flavor::Blocking.to_string() || to.runtime == of.runtime;
        is_like(to) && has_runtime && !is_like(of)
    }

    /// Who takes part, what others are compared with first.
    pub(super) fn contenders(self, peers: &[Transport], runtimes: &[Flavor]) -> Vec<Contender> {
        let (transport, scenario) = self.base();
        let runtimes_of = |transport: Transport| match transport.runtime(Flavor::MultiThread) {
            Flavor::Blocking => &[Flavor::Blocking],
            _ => runtimes,
        };
        let of = |transport, scenario| {
            let runtimes = runtimes_of(transport).iter();
            runtimes.map(move |&runtime| Contender {
                transport,
                runtime,
                scenario,
            })
        };
        let mut all = of(transport, scenario).collect::<Vec<_>>();
        if self.group == Group::Latency {
            all.push(Contender {
                transport: Transport::Ipc,
                runtime: Flavor::Blocking,
                scenario,
            });
        }
        let here = [Transport::RawTokio, Transport::Ipc, Transport::IpcBusyPoll];
        for &transport in here.iter().chain(peers) {
            if transport.supports(self.scenario()) && self.has_room_for(transport) {
                all.extend(of(transport, self.scenario()));
            }
        }
        all
    }

    /// A bare socket has one call at a time; busy polling needs a core for each process.
    fn has_room_for(self, transport: Transport) -> bool {
        match transport {
            Transport::RawTokio => self.in_flight == 1,
            Transport::IpcBusyPoll => self.group == Group::TwoCores,
            _ => true,
        }
    }

    /// How many cores it takes.
    pub(super) const fn cores(self) -> usize {
        match self.group {
            Group::TwoCores => 2,
            _ => 1,
        }
    }

    pub(super) fn setup(self, contender: Contender, seconds: f64) -> Setup {
        let pinning = match self.group {
            Group::Latency | Group::Reverse | Group::Connect => Pinning::Same,
            Group::TwoCores => Pinning::Split,
            Group::InFlight | Group::Connections | Group::Bulk | Group::Mixed => Pinning::None,
        };
        let workload = Workload {
            transport: contender.transport,
            runtime: contender.runtime,
            scenario: contender.scenario,
            payload: self.payload,
            connections: self.connections,
            in_flight: self.in_flight,
            rate: None,
            arrivals: Arrivals::default(),
            ahead: 0.0,
            deadline: true,
            crowd: false,
            attached: None,
            amount: Amount::seconds(seconds),
        };
        Setup::new(workload, pinning)
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let payload = bytes(self.payload);
        match self.group {
            Group::Latency => write!(f, "latency, {payload}, one core"),
            Group::TwoCores => write!(f, "latency, {payload}, two cores"),
            Group::InFlight => write!(f, "{} in flight, {payload}", self.in_flight),
            Group::Connections => write!(f, "{} connections, {payload}", self.connections),
            Group::Bulk => write!(f, "stream of {payload} messages"),
            Group::Mixed => write!(f, "{payload} beside a stream of 1 MiB messages"),
            Group::Reverse => write!(f, "server calls client, {payload}, one core"),
            Group::Connect => write!(f, "connect and call, {payload}, one core"),
        }
    }
}

impl Contender {
    /// Its name beside others of its cell.
    pub(super) fn name(self, cell: Cell, runtimes: &[Flavor]) -> String {
        let transport = self.transport;
        let name = match self.runtime {
            Flavor::Blocking if transport == Transport::Ipc => format!("{transport} blocking"),
            Flavor::Blocking => RAW.to_owned(),
            runtime if runtimes == [runtime] => transport.to_string(),
            Flavor::CurrentThread => format!("{transport}/ct"),
            Flavor::MultiThread => format!("{transport}/mt"),
        };
        if self.scenario == cell.scenario() {
            name
        } else {
            format!("{name} {}", self.scenario)
        }
    }
}

fn bytes(count: usize) -> String {
    match count {
        ..1_024 => format!("{count} B"),
        1_024..1_048_576 => format!("{} KiB", count / 1_024),
        _ => format!("{} MiB", count / 1_048_576),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_alone_leaves_its_cells_only() {
        let cells = cells(&[Group::Connections], SMALL, false);
        let texts = cells.iter().map(Cell::to_string).collect::<Vec<_>>();
        assert_eq!(texts, ["64 connections, 64 B", "1000 connections, 64 B"]);
    }

    #[test]
    fn only_who_can_take_part_does() {
        let names = |cell: &Cell| {
            let runtimes = [Flavor::MultiThread];
            let all = cell.contenders(&[], &runtimes);
            let names = all.iter().map(|one| one.name(*cell, &runtimes));
            names.collect::<Vec<_>>().join(", ")
        };
        let names = cells(&[], SMALL, true)
            .iter()
            .map(names)
            .collect::<Vec<_>>();
        let expected = [
            "raw, ipc blocking, raw_tokio, ipc",
            "raw, raw_tokio, ipc, ipc_busy_poll",
            "raw, ipc",
            "raw, raw_tokio, ipc",
            "raw, ipc",
            "ipc mixed_separate, ipc",
            "ipc unary, ipc",
            "raw, raw_tokio, ipc",
        ];
        assert_eq!(names, expected);
    }
}
