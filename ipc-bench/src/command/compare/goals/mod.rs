//! What this crate is to reach.

use super::matrix::{Cell, Contender, Group, SMALL};
use crate::report::judged::{Judged, Name, Verdict};
use crate::report::ratio::{Metric, Quartiles, each, lack, quotients};
use crate::report::row::Row;
use crate::transport::Transport;
use crate::workload::Flavor;

/// One quantity with its bound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Goal {
    cell: Cell,
    metric: Metric,
    ours: &'static str,
    /// Runtime of the client, if the goal is about one.
    runtime: Option<Flavor>,
    bound: Bound,
    to: To,
}

/// What the quantity is divided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum To {
    /// It is looked at alone.
    Nothing,
    /// What its cell is compared with.
    Base,
    /// This crate without what the goal is about.
    Plain,
    /// Its own best repetition.
    Itself,
    Peer(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Bound {
    AtMost(f64),
    AtLeast(f64),
    /// The worst repetition to the best one.
    Steady(f64),
}

const TONIC: To = To::Peer("tonic");
const TTRPC: To = To::Peer("ttrpc");

/// All goals that this program can measure.
pub(super) fn goals() -> Vec<Goal> {
    use Bound::{AtLeast, AtMost, Steady};
    use Metric::{CallsPerS, Cpu, P50, P99};
    let latency = |payload| (Group::Latency, payload, 1, 1);
    let flying = |calls| (Group::InFlight, SMALL, 1, calls);
    let connected = |count| (Group::Connections, SMALL, count, 1);
    let bulk = |payload| (Group::Bulk, payload, 1, 1);
    let alone = |group| (group, SMALL, 1, 1);
    let mut goals = vec![
        goal(latency(SMALL), P50, AtMost(1.2), To::Base),
        goal(latency(SMALL), P99, AtMost(1.2), To::Base),
        goal(latency(SMALL), P50, AtMost(0.35), TONIC),
        goal(latency(SMALL), P50, AtMost(0.7), TTRPC),
        goal(latency(SMALL), P50, AtMost(1.08), To::Base).on(Flavor::Blocking),
    ];
    for payload in [64 << 10, 1 << 20] {
        goals.push(goal(latency(payload), P50, AtMost(1.25), To::Base));
        goals.push(goal(latency(payload), P50, AtMost(0.35), TONIC));
    }
    let polling = |metric, bound, to| Goal {
        ours: POLLING,
        ..goal(alone(Group::TwoCores), metric, bound, to)
    };
    goals.extend([
        polling(P50, AtMost(0.15), To::Base),
        polling(Cpu, AtMost(1.0), To::Plain),
        polling(P50, Steady(3.0), To::Itself),
        goal(flying(16), CallsPerS, AtLeast(4.0), TONIC),
        goal(flying(64), CallsPerS, AtLeast(11.0), TONIC),
        goal(flying(64), CallsPerS, AtLeast(2.0), TTRPC),
        goal(flying(256), CallsPerS, AtLeast(10.0), TONIC),
        goal(connected(64), CallsPerS, AtLeast(0.8), To::Base),
        goal(connected(64), CallsPerS, AtLeast(5.0), TONIC),
        goal(connected(1_000), CallsPerS, AtLeast(0.75), To::Base),
        goal(connected(1_000), CallsPerS, AtLeast(8.0), TONIC),
        goal(flying(64), Cpu, AtMost(1.1), To::Nothing).on(Flavor::CurrentThread),
        goal(flying(64), Cpu, AtMost(1.4), To::Nothing).on(Flavor::MultiThread),
        goal(flying(64), Cpu, AtMost(0.1), TONIC),
        goal(bulk(1 << 20), CallsPerS, AtLeast(0.95), To::Base),
        goal(bulk(64 << 10), CallsPerS, AtLeast(0.9), To::Base),
        goal(alone(Group::Mixed), P99, AtMost(2.0), To::Base),
        goal(alone(Group::Mixed), P99, AtMost(0.5), TONIC),
        goal(alone(Group::Reverse), P50, AtMost(1.05), To::Base),
        goal(alone(Group::Connect), P50, AtMost(3.0), To::Base),
    ]);
    goals
}

/// Who else is to take part in a cell, so that goals about one runtime are judged whichever is compared.
pub(super) fn further(cell: Cell, contenders: &[Contender]) -> Vec<Contender> {
    let mut further = Vec::new();
    for goal in goals().iter().filter(|goal| goal.cell == cell) {
        let wanted = goal.runtime.map(|runtime| Contender {
            transport: Transport::Ipc,
            runtime,
            scenario: cell.scenario(),
        });
        further.extend(wanted.filter(|wanted| !contenders.contains(wanted)));
    }
    further
}

/// Group, payload, connections and calls in flight.
type Which = (Group, usize, usize, usize);

const fn goal(which: Which, metric: Metric, bound: Bound, to: To) -> Goal {
    let (group, payload, connections, in_flight) = which;
    Goal {
        cell: Cell {
            group,
            payload,
            connections,
            in_flight,
        },
        metric,
        ours: OURS,
        runtime: None,
        bound,
        to,
    }
}

impl Goal {
    const fn on(mut self, runtime: Flavor) -> Self {
        self.runtime = Some(runtime);
        self
    }

    pub(super) const fn cell(&self) -> Cell {
        self.cell
    }

    pub(super) fn name(&self) -> Name {
        Name {
            what: match self.ours {
                POLLING => format!("{}, busy polling", self.cell),
                _ => self.cell.to_string(),
            },
            only: self.runtime,
            goal: self.text(),
        }
    }

    fn text(&self) -> String {
        let (sign, bound) = match self.bound {
            Bound::AtMost(bound) => ("<=", bound),
            Bound::AtLeast(bound) => (">=", bound),
            Bound::Steady(bound) => ("worst <=", bound),
        };
        let what = match self.metric {
            Metric::P50 => "p50",
            Metric::P99 => "p99",
            Metric::CallsPerS => "calls/s",
            Metric::Cpu => "CPU per call",
            Metric::Stream => "stream",
        };
        match self.to {
            To::Nothing => format!("{what} {sign} {bound} us"),
            To::Base => format!("{what} {sign} {bound} x {}", self.cell.base_name()),
            To::Plain => format!("{what} {sign} {bound} x {OURS}"),
            To::Itself => format!("{what} {sign} {bound} x best"),
            To::Peer(name) => format!("{what} {sign} {bound} x {name}"),
        }
    }

    /// Judges every row of this crate that the goal is about. `rows` are those of its cell.
    pub(super) fn judge(&self, rows: &[&Row]) -> Vec<Judged> {
        let is_meant = |row: &&&Row| match self.runtime {
            Some(runtime) => row.runtime == runtime.to_string(),
            None => row.runtime != Flavor::Blocking.to_string(),
        };
        let scenario = self.cell.scenario().to_string();
        let is_ours = |row: &&&Row| row.transport == self.ours && row.scenario == scenario;
        let ours = rows.iter().filter(is_ours).filter(is_meant);
        ours.filter_map(|row| self.judge_one(row, rows)).collect()
    }

    fn judge_one(&self, row: &Row, rows: &[&Row]) -> Option<Judged> {
        let ours = self.values(row, rows)?;
        let measured = Quartiles::of(&ours);
        let verdict = |measured: Quartiles| match self.bound.verdict(&measured) {
            // The worst gets no better by further repetitions.
            Verdict::Missed if matches!(self.bound, Bound::Steady(_)) => Verdict::Missed,
            _ if ours.len() < self.bound.repetitions() => Verdict::Unclear,
            told => told,
        };
        Some(Judged {
            name: self.name(),
            runtime: row.runtime.clone(),
            measured: measured.map_or_else(
                || self.lacks([Some(row), self.base(row, rows)]),
                |measured| measured.text(),
            ),
            verdict: measured.map_or(Verdict::Unclear, verdict),
            fewer: None,
            best: self.nearest(row, rows),
        })
    }

    /// What a row is divided by, if by another.
    fn base<'a>(&self, of: &Row, rows: &[&'a Row]) -> Option<&'a Row> {
        let is_base = |to: &&&Row| match self.to {
            To::Nothing | To::Itself => false,
            To::Plain => to.transport == OURS && to.runtime == of.runtime,
            To::Base => self.cell.is_base(of, to),
            To::Peer(name) => to.transport == name && to.runtime == of.runtime,
        };
        rows.iter().find(is_base).copied()
    }

    /// Each repetition of a row, divided.
    fn values(&self, of: &Row, rows: &[&Row]) -> Option<Vec<f64>> {
        match self.to {
            To::Nothing => Some(each(of, self.metric)),
            To::Itself => Some(beside_best(&each(of, self.metric))),
            _ => Some(quotients(of, self.base(of, rows)?, self.metric)),
        }
    }

    /// The peer that comes nearest, and what it reaches.
    fn nearest(&self, row: &Row, rows: &[&Row]) -> Option<(String, f64)> {
        let is_peer = |other: &&&Row| {
            let name = other.transport.as_str();
            let is_like = other.scenario == row.scenario && other.runtime == row.runtime;
            is_like
                && !name.starts_with(OURS)
                && !name.starts_with("raw")
                && !matches!(self.to, To::Peer(peer) if peer == name)
        };
        let reached = rows.iter().filter(is_peer).filter_map(|other| {
            let quartiles = Quartiles::of(&self.values(other, rows)?)?;
            let value = match self.bound {
                Bound::Steady(_) => quartiles.max,
                _ => quartiles.median,
            };
            Some((other.transport.clone(), value))
        });
        match self.bound {
            Bound::AtMost(_) | Bound::Steady(_) => reached.min_by(|a, b| a.1.total_cmp(&b.1)),
            Bound::AtLeast(_) => reached.max_by(|a, b| a.1.total_cmp(&b.1)),
        }
    }

    /// Which of the rows that were to be divided has nothing to say.
    fn lacks(&self, rows: [Option<&Row>; 2]) -> String {
        let rows = rows.into_iter().flatten();
        let lacks = rows.filter_map(|row| lack(row, self.metric));
        lacks.collect::<Vec<_>>().join("; ")
    }
}

/// Each repetition as a multiple of the best.
fn beside_best(values: &[f64]) -> Vec<f64> {
    let best = values.iter().copied().fold(f64::INFINITY, f64::min);
    values.iter().map(|value| value / best).collect()
}

const OURS: &str = "ipc";
const POLLING: &str = "ipc_busy_poll";

#[cfg(test)]
mod tests;
