//! What became better and worse from one run to another, and what cannot be told.

use serde::Serialize;

use super::file::Unusable;
use crate::machine::Machine;
use crate::report::ratio::quotients;
use crate::report::row::{Report, Row};
use crate::report::{Interval, Key, Metric, alike, full_name, raw_beside};

/// Two runs side by side.
#[derive(Debug, Serialize)]
pub(super) struct Comparison {
    pub(super) baseline: Machine,
    pub(super) current: Machine,
    pub(super) tolerance: f64,
    pub(super) differences: Vec<Difference>,
    /// Calls that fail now, and did not.
    pub(super) failures: Vec<Failures>,
    /// What the baseline has and the current run lacks.
    pub(super) missing: Vec<Lack>,
    /// What the baseline lacks, so that there is nothing to hold the current run against.
    pub(super) not_compared: Vec<Lack>,
}

/// One quantity of one row.
#[derive(Debug, Serialize)]
pub(super) struct Difference {
    pub(super) row: String,
    pub(super) what: &'static str,
    /// The raw transport that both are ratios to.
    pub(super) to: String,
    pub(super) baseline: Interval,
    pub(super) current: Interval,
    /// A share; below zero where it became better.
    pub(super) worse_by: f64,
    pub(super) verdict: Verdict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// Within the tolerance.
    Same,
    /// Beyond the tolerance, for better or worse, and not beyond what repetitions differ by.
    Noise,
    Better,
    Regressed,
}

/// Shares of calls that failed.
#[derive(Debug, Serialize)]
pub(super) struct Failures {
    pub(super) row: String,
    pub(super) baseline: f64,
    pub(super) current: f64,
}

/// Something that is not there.
#[derive(Debug, Serialize)]
pub(super) struct Lack {
    pub(super) row: String,
    pub(super) why: String,
}

impl Comparison {
    pub(super) fn regressions(&self) -> usize {
        let regressed = |one: &&Difference| one.verdict == Verdict::Regressed;
        self.differences.iter().filter(regressed).count() + self.failures.len()
    }
}

/// Holds each row of a run against the same row of another. `tolerance` is a share.
pub(super) fn compare(
    baseline: &Report,
    current: &Report,
    tolerance: f64,
) -> Result<Comparison, Unusable> {
    let mut found = Comparison {
        baseline: baseline.machine.clone(),
        current: current.machine.clone(),
        tolerance,
        differences: Vec::new(),
        failures: Vec::new(),
        missing: Vec::new(),
        not_compared: Vec::new(),
    };
    for row in &baseline.rows {
        let same = current
            .rows
            .iter()
            .find(|other| alike(&Key::ALL, row, other));
        match same {
            Some(same) => found.pair(baseline, current, [row, same]),
            None => found
                .missing
                .push(Lack::of(row, "the current run has no such row")),
        }
    }
    for row in &current.rows {
        if !baseline
            .rows
            .iter()
            .any(|other| alike(&Key::ALL, row, other))
        {
            found
                .not_compared
                .push(Lack::of(row, "the baseline has no such row"));
        }
    }
    let told = found.differences.len() + found.missing.len();
    if told == 0 {
        return Err(Unusable::NothingToCompare { least: LEAST });
    }
    Ok(found)
}

impl Comparison {
    /// Compares a row with its like.
    fn pair(&mut self, baseline: &Report, current: &Report, [was, is]: [&Row; 2]) {
        if !was.transport.starts_with("ipc") {
            return; // What others carry is the yardstick, not what is checked.
        }
        self.calls_that_fail(was, is);
        let raws = raw_beside(&baseline.rows, was);
        let Some(first) = raws.first() else {
            let lack = Lack::of(was, "the baseline has no raw row beside it");
            self.not_compared.push(lack);
            return;
        };
        let others = raw_beside(&current.rows, is);
        let beside = |raw: &&Row| {
            others
                .iter()
                .find(|other| alike(&Key::ALL, raw, other))
                .copied()
        };
        let Some((raw_was, raw_is)) = raws.iter().find_map(|raw| Some((*raw, beside(raw)?))) else {
            let why = format!(
                "the current run has no row of {} beside it",
                first.transport
            );
            self.missing.push(Lack::of(was, &why));
            return;
        };
        for metric in COMPARED {
            let pairs = [ratios(was, raw_was, metric), ratios(is, raw_is, metric)];
            self.quantity(was, &raw_was.transport, metric, pairs);
        }
    }

    fn quantity(&mut self, row: &Row, to: &str, metric: Metric, [was, is]: [Option<Interval>; 2]) {
        let few = |run| {
            format!(
                "{run} has fewer than {LEAST} repetitions of {}",
                metric.name()
            )
        };
        let Some(baseline) = was else {
            let lack = Lack::of(row, &few("the baseline"));
            self.not_compared.push(lack);
            return;
        };
        let Some(current) = is else {
            self.missing.push(Lack::of(row, &few("the current run")));
            return;
        };
        let change = current.median / baseline.median - 1.0;
        let worse_by = if metric == Metric::CallsPerS {
            -change
        } else {
            change
        };
        let verdict = if worse_by.abs() <= self.tolerance {
            Verdict::Same
        } else if baseline.touches(&current) {
            Verdict::Noise
        } else if worse_by > 0.0 {
            Verdict::Regressed
        } else {
            Verdict::Better
        };
        self.differences.push(Difference {
            row: full_name(row),
            what: metric.name(),
            to: to.to_owned(),
            baseline,
            current,
            worse_by,
            verdict,
        });
    }

    fn calls_that_fail(&mut self, was: &Row, is: &Row) {
        let share =
            |row: &Row| row.errors as f64 / row.calls.saturating_add(row.errors).max(1) as f64;
        let (baseline, current) = (share(was), share(is));
        if current > baseline + MORE_FAILURES {
            self.failures.push(Failures {
                row: full_name(was),
                baseline,
                current,
            });
        }
    }
}

impl Lack {
    fn of(row: &Row, why: &str) -> Self {
        Self {
            row: full_name(row),
            why: why.to_owned(),
        }
    }
}

/// The quantity of each repetition of a row as a ratio to the raw one made beside it.
fn ratios(row: &Row, raw: &Row, metric: Metric) -> Option<Interval> {
    let sound: Vec<f64> = quotients(row, raw, metric)
        .into_iter()
        .filter(|ratio| ratio.is_finite() && *ratio > 0.0)
        .collect();
    Interval::of(sound.iter().copied()).filter(|_| sound.len() >= LEAST)
}

/// What is compared. A stream beside calls has no raw row that could be its measure.
const COMPARED: [Metric; 4] = [Metric::P50, Metric::P99, Metric::CallsPerS, Metric::Cpu];
/// Repetitions below which nothing is known of the noise.
pub(super) const LEAST: usize = 3;
/// By how much the share of calls that fail may grow: what chance brings in a run of a second or two.
const MORE_FAILURES: f64 = 0.001;

#[cfg(test)]
mod tests;
