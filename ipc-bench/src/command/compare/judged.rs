//! Whether goals are met, for people.

use super::goals::{Bound, Goal, goals};
use crate::report::ratio::{Quartiles, short};

/// Whether a goal is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Met,
    Missed,
    /// Some repetitions meet it and some do not, or there are too few.
    Unclear,
}

/// A goal and what was measured for it.
#[derive(Clone, Debug)]
pub(super) struct Judged {
    pub(super) goal: Goal,
    pub(super) runtime: String,
    /// None if there was no call.
    pub(super) measured: Option<Quartiles>,
    pub(super) verdict: Verdict,
    /// The peer that comes nearest, and what it reaches.
    pub(super) best: Option<(String, f64)>,
}

impl Judged {
    pub(super) fn measured(&self) -> String {
        let text = self.measured.as_ref().map(Quartiles::text);
        text.unwrap_or_else(|| "no calls".to_owned())
    }

    /// In one line.
    pub(super) fn text(&self) -> String {
        let met = match self.verdict {
            Verdict::Met => "met",
            Verdict::Missed => "MISSED",
            Verdict::Unclear => "unclear",
        };
        let (cell, goal, measured) = (self.goal.cell(), self.goal.text(), self.measured());
        format!("goal: {cell}, {}: {goal}: {measured}: {met}", self.runtime)
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
            Verdict::Unclear => "unclear",
        };
        let (cell, runtime, goal) = (judged.goal.cell(), &judged.runtime, judged.goal.text());
        let measured = judged.measured();
        format!("| {cell} | {runtime} | {goal} | {best} | {measured} | {met} |")
    }));
    lines
}

/// The goals that this run says nothing of, so that a table does not look better for it.
pub(super) fn unjudged(judged: &[Judged]) -> Vec<String> {
    let is_judged = |goal: &Goal| judged.iter().any(|judged| judged.goal == *goal);
    let goals = goals();
    let missing = goals.iter().filter(|goal| !is_judged(goal));
    missing
        .map(|goal| {
            let runtime = goal.runtime().map(|runtime| format!(", {runtime}"));
            let runtime = runtime.unwrap_or_default();
            format!("not measured: {}{runtime}: {}", goal.cell(), goal.text())
        })
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
