//! What a comparison found, for people and for programs.

use std::collections::BTreeSet;

use super::counted::Found;
use super::goals::goals;
use super::judged::{markdown, unjudged};
use super::matrix::{Cell, Group};
use super::table::aligned;
use super::{Entry, counted};
use crate::report::judged::{Goals, Judged};
use crate::report::ratio::{Metric, Quartiles, each, lack, ratio, ratios, short};
use crate::report::row::{Counted, Ratio, Report, Row};
use crate::report::{report, row};
use crate::transport::Transport;

/// All that was measured.
pub(super) struct Compared {
    pub(super) report: Report,
    cells: Vec<Measured>,
    /// Before and after, where the system says.
    load: [Option<f64>; 2],
}

/// One cell, and who took part.
struct Measured {
    cell: Cell,
    members: Vec<Member>,
}

/// A contender and its row.
struct Member {
    name: String,
    transport: Transport,
    row: usize,
}

impl Compared {
    /// Entries come in the order in which they are shown.
    pub(super) fn new(
        entries: &[Entry],
        repetitions: usize,
        found: Found,
        load: [Option<f64>; 2],
    ) -> Self {
        let rows = entries
            .iter()
            .map(|entry| row(&entry.setup, &entry.measured));
        let rows = rows.collect::<Vec<_>>();
        let mut cells = Vec::<Measured>::new();
        for (row, entry) in entries.iter().enumerate() {
            let member = Member {
                name: entry.name.clone(),
                transport: entry.setup.workload.transport,
                row,
            };
            match cells
                .iter_mut()
                .find(|measured| measured.cell == entry.cell)
            {
                Some(measured) => measured.members.push(member),
                None => cells.push(Measured {
                    cell: entry.cell,
                    members: vec![member],
                }),
            }
        }
        let ratios = cells.iter().flat_map(|cell| cell.ratios(&rows)).collect();
        let judged = judged(&cells, &rows, &found.counted);
        let mut not_measured = Vec::from_iter(found.left_out);
        not_measured.extend(unjudged(&judged));
        Self {
            report: Report {
                goals: Goals {
                    judged,
                    not_measured,
                },
                counted: found.counted,
                ..report(repetitions, rows, ratios)
            },
            cells,
            load,
        }
    }

    /// The table of goals.
    pub(super) fn markdown(&self) -> Vec<String> {
        let mut lines = vec![self.machine(), String::new()];
        let Goals {
            judged,
            not_measured,
        } = &self.report.goals;
        lines.extend(markdown(judged));
        lines.push(String::new());
        lines.extend(self.streams());
        lines.extend_from_slice(not_measured);
        lines.extend(self.failures());
        lines.extend(self.caveats());
        lines
    }

    /// A row for each cell and quantity, a column for each contender; then the goals.
    pub(super) fn lines(&self) -> Vec<String> {
        let names = self.names();
        let mut head = vec![String::new()];
        head.extend(names.iter().map(|name| (*name).to_owned()));
        let mut table = vec![head];
        for measured in &self.cells {
            let quantities = measured.cell.quantities();
            table.extend(
                quantities
                    .iter()
                    .map(|metric| self.line(measured, *metric, &names)),
            );
        }
        let mut lines = vec![self.machine()];
        lines.extend(aligned(&table));
        lines.push(LEGEND.to_owned());
        lines.extend(self.lacks());
        lines.extend(self.failures());
        lines.extend(self.caveats());
        let Goals {
            judged,
            not_measured,
        } = &self.report.goals;
        lines.extend(judged.iter().map(Judged::text));
        lines.extend_from_slice(not_measured);
        lines
    }

    /// Names of all contenders, each once.
    fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for member in self.cells.iter().flat_map(|cell| &cell.members) {
            if !names.contains(&member.name.as_str()) {
                names.push(member.name.as_str());
            }
        }
        names
    }

    fn line(&self, measured: &Measured, metric: Metric, names: &[&str]) -> Vec<String> {
        let rows = &self.report.rows;
        let value = |name: &&str| {
            let member = measured
                .members
                .iter()
                .find(|member| member.name == *name)?;
            let Some(found) = Quartiles::of(&each(rows.get(member.row)?, metric)) else {
                return Some("nothing".to_owned());
            };
            let base = measured.base(member, rows);
            let ratio = base.and_then(|base| ratio(rows, metric, member.row, base));
            let ratio = ratio.map(|ratio| beside_base(&ratio)).unwrap_or_default();
            Some(format!("{}{ratio}", short(found.median)))
        };
        let mut line = vec![format!("{}: {}", measured.cell, metric.unit())];
        line.extend(
            names
                .iter()
                .map(|name| value(name).unwrap_or_else(|| "-".to_owned())),
        );
        line
    }

    /// The machine, what ran on it and how busy it was.
    fn machine(&self) -> String {
        let version = |row: &Row| {
            let name = match row.transport.as_str() {
                "raw_tokio" => "tokio",
                name => name,
            };
            Some(format!("{name} {}", row.version.as_ref()?))
        };
        let versions = self.report.rows.iter().filter_map(version);
        let versions = versions.collect::<BTreeSet<_>>();
        let versions = Vec::from_iter(versions);
        format!(
            "{}; {}; {} repetitions; load average {} before, {} after",
            self.report.machine.line(),
            versions.join(", "),
            self.report.repetitions,
            busy(self.load[0]),
            busy(self.load[1]),
        )
    }

    /// What streams moved beside calls: fast calls are no gain where the stream waits for them.
    fn streams(&self) -> Vec<String> {
        let rows = &self.report.rows;
        let mixed = |measured: &&Measured| measured.cell.group == Group::Mixed;
        let told = self.cells.iter().filter(mixed).flat_map(|measured| {
            measured.members.iter().filter_map(|member| {
                let moved = each(rows.get(member.row)?, Metric::Stream);
                let moved = Quartiles::of(&moved)?.text();
                let (cell, name) = (measured.cell, &member.name);
                Some(format!("{cell}: {name}: {} {moved}", Metric::Stream.unit()))
            })
        });
        told.collect()
    }

    /// Why there is nothing where something was measured.
    fn lacks(&self) -> Vec<String> {
        let lacks = self.cells.iter().flat_map(|measured| {
            let metric = measured.cell.quantities().first().copied();
            let rows = measured.members.iter();
            let rows = rows.filter_map(|member| self.report.rows.get(member.row));
            rows.filter_map(move |row| Some(format!("{}: {}", measured.cell, lack(row, metric?)?)))
        });
        lacks.collect()
    }

    /// Calls that failed.
    fn failures(&self) -> Vec<String> {
        let failed = self.cells.iter().flat_map(|measured| {
            measured.members.iter().filter_map(|member| {
                let row = self
                    .report
                    .rows
                    .get(member.row)
                    .filter(|row| row.errors > 0)?;
                let errors = &row.errors_by;
                Some(format!(
                    "{}: {} had errors: {errors:?}",
                    measured.cell, member.name
                ))
            })
        });
        failed.collect()
    }

    /// What keeps figures from being quoted.
    fn caveats(&self) -> Vec<String> {
        let mut caveats = Vec::new();
        if cfg!(debug_assertions) {
            caveats.push("debug build: shows that it runs, not how fast anything is".to_owned());
        }
        if self.load[0].is_some_and(|load| load > IDLE) {
            caveats.push("noisy machine: others ran before anything was measured".to_owned());
        }
        caveats.extend(self.noise());
        caveats
    }

    /// Where raw itself, which has nothing of its own that could vary, did not keep still.
    fn noise(&self) -> Vec<String> {
        let noisy = self.cells.iter().filter_map(|measured| {
            let row = self.report.rows.get(measured.bare()?)?;
            let metric = measured.cell.quantities().first().copied()?;
            let quartiles = Quartiles::of(&each(row, metric))?;
            (quartiles.spread() > STILL).then(|| {
                let (cell, text) = (measured.cell, quartiles.text());
                format!(
                    "noisy machine: {cell}: {} of raw itself is {text}",
                    metric.unit()
                )
            })
        });
        noisy.collect()
    }
}

/// Holds all that was measured against what is to be reached.
fn judged(cells: &[Measured], rows: &[Row], counted: &[Counted]) -> Vec<Judged> {
    let of_cell = |cell: Cell| {
        let measured = cells.iter().find(|measured| measured.cell == cell);
        let members = measured.into_iter().flat_map(|measured| &measured.members);
        let rows = members.filter_map(|member| rows.get(member.row));
        rows.collect::<Vec<_>>()
    };
    let goals = goals();
    let timed = goals
        .iter()
        .flat_map(|goal| goal.judge(&of_cell(goal.cell())));
    timed.chain(counted::judge(counted)).collect()
}

impl Measured {
    /// The row that one is compared with.
    fn base(&self, of: &Member, rows: &[Row]) -> Option<usize> {
        let row = |member: &Member| rows.get(member.row);
        let is_base = |to: &&Member| match (row(of), row(to)) {
            (Some(of), Some(to)) => self.cell.is_base(of, to),
            _ => false,
        };
        self.members.iter().find(is_base).map(|base| base.row)
    }

    /// The row of a bare socket.
    fn bare(&self) -> Option<usize> {
        let (transport, _) = self.cell.base();
        let is_bare =
            |member: &&Member| member.transport == transport && transport != Transport::Ipc;
        self.members.iter().find(is_bare).map(|bare| bare.row)
    }

    /// This crate to all others, and each of those to what the cell is compared with.
    fn ratios(&self, rows: &[Row]) -> Vec<Ratio> {
        let ours =
            |member: &&Member| matches!(member.transport, Transport::Ipc | Transport::IpcBusyPoll);
        let mut pairs = Vec::new();
        for of in self.members.iter().filter(ours) {
            let others = self.members.iter().filter(|to| to.row != of.row);
            pairs.extend(others.map(|to| (of.row, to.row)));
        }
        let others = self.members.iter().filter(|of| !ours(of));
        pairs.extend(others.filter_map(|of| Some((of.row, self.base(of, rows)?))));
        let of_pair = |(of, to)| ratios(rows, of, to);
        pairs.into_iter().flat_map(of_pair).collect()
    }
}

impl Cell {
    /// What of it is shown, the most important first.
    const fn quantities(self) -> &'static [Metric] {
        match self.group {
            Group::Latency | Group::Reverse | Group::Connect => &[Metric::P50, Metric::P99],
            Group::TwoCores => &[Metric::P50, Metric::P99, Metric::Cpu],
            Group::InFlight | Group::Connections => &[Metric::CallsPerS, Metric::Cpu],
            Group::Mixed => &[Metric::P99, Metric::CallsPerS, Metric::Stream],
            Group::Bulk => &[Metric::CallsPerS],
        }
    }
}

fn beside_base(ratio: &Ratio) -> String {
    let noisy = if ratio.noisy { "?" } else { "" };
    format!(" ({}x{noisy})", short(ratio.median))
}

fn busy(load: Option<f64>) -> String {
    load.map_or_else(|| "unknown".to_owned(), |load| format!("{load:.2}"))
}

/// Load average of a machine on which nothing else runs.
const IDLE: f64 = 0.5;
/// Raw goes further apart than this share of its median only if something else ran.
const STILL: f64 = 0.2;

const LEGEND: &str = "median (ratio to raw, or else to the first column that has none, \
    repetition by repetition); ?: the repetitions differ more than the ratio does from 1, too noisy to tell";
