//! Whether goals are met, for people.

use super::counted;
use super::goals::{Bound, goals};
use crate::report::ratio::{Quartiles, short};
use crate::workload::Flavor;

/// Whether a goal is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Met,
    Missed,
    /// Some repetitions meet it and some do not, or there are too few.
    Unclear,
}

/// How a goal is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// What it is about.
    pub(super) what: String,
    /// The runtime, if it is about one.
    pub(super) runtime: Option<Flavor>,
    /// As `p50 <= 1.2 x raw`.
    pub(super) goal: String,
}

/// A goal and what was measured for it.
#[derive(Clone, Debug)]
pub(super) struct Judged {
    pub(super) name: Name,
    pub(super) runtime: String,
    pub(super) measured: String,
    pub(super) verdict: Verdict,
    /// The peer that comes nearest, and what it reaches.
    pub(super) best: Option<(String, f64)>,
}

impl Judged {
    /// In one line.
    pub(super) fn text(&self) -> String {
        let met = match self.verdict {
            Verdict::Met => "met",
            Verdict::Missed => "MISSED",
            Verdict::Unclear => "too noisy to tell",
        };
        let Name { what, goal, .. } = &self.name;
        format!(
            "goal: {what}, {}: {goal}: {}: {met}",
            self.runtime, self.measured
        )
    }
}

/// The table of all goals that were measured, in Markdown.
pub(super) fn markdown(judged: &[Judged]) -> Vec<String> {
    let mut lines = vec![
        "| what | runtime | to reach | best peer | measured: median (min..max) | met |".to_owned(),
        "|---|---|---|---|---|---|".to_owned(),
    ];
    lines.extend(judged.iter().map(|judged| {
        let best = judged.best.as_ref().map_or_else(
            || "-".to_owned(),
            |(name, value)| format!("{name} {}", short(*value)),
        );
        let met = match judged.verdict {
            Verdict::Met => "yes",
            Verdict::Missed => "**no**",
            Verdict::Unclear => "too noisy to tell",
        };
        let Name { what, goal, .. } = &judged.name;
        let (runtime, measured) = (&judged.runtime, &judged.measured);
        format!("| {what} | {runtime} | {goal} | {best} | {measured} | {met} |")
    }));
    lines
}

/// The goals that this run says nothing of, so that a table does not look better for it.
pub(super) fn unjudged(judged: &[Judged]) -> Vec<String> {
    let is_judged = |name: &Name| judged.iter().any(|judged| judged.name == *name);
    let names = goals().into_iter().map(|goal| goal.name());
    let missing = names
        .chain(counted::names())
        .filter(|name| !is_judged(name));
    missing
        .map(
            |Name {
                 what,
                 runtime,
                 goal,
             }| {
                let runtime = runtime.map(|runtime| format!(", {runtime}"));
                format!(
                    "not measured: {what}{}: {goal}",
                    runtime.unwrap_or_default()
                )
            },
        )
        .collect()
}

impl Bound {
    /// How many repetitions it takes to tell.
    pub(super) const fn repetitions(self) -> usize {
        match self {
            Self::AtMost(_) | Self::AtLeast(_) => 3,
            Self::Steady(_) => 10,
        }
    }

    /// Judged by the middle half of the repetitions; by the worst if that is what it is about.
    pub(super) fn verdict(self, measured: &Quartiles) -> Verdict {
        let Quartiles {
            first, third, max, ..
        } = *measured;
        let meets = match self {
            Self::AtMost(bound) => (first <= bound, third <= bound),
            Self::AtLeast(bound) => (first >= bound, third >= bound),
            Self::Steady(bound) => (max <= bound, max <= bound),
        };
        match meets {
            (true, true) => Verdict::Met,
            (false, false) => Verdict::Missed,
            _ => Verdict::Unclear,
        }
    }
}
