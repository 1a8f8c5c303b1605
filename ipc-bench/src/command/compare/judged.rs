//! Whether goals are met, for people.

use super::goals::{Bound, Goal};
use super::ratio::{Quartiles, short};

/// Whether a goal is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Met,
    Missed,
    /// Some repetitions meet it and some do not.
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
        text.unwrap_or_else(|| "no figure".to_owned())
    }

    /// In one line.
    pub(super) fn text(&self) -> String {
        let met = match self.verdict {
            Verdict::Met => "met",
            Verdict::Missed => "MISSED",
            Verdict::Unclear => "too noisy to tell",
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
            Verdict::Unclear => "too noisy to tell",
        };
        let (cell, runtime, goal) = (judged.goal.cell(), &judged.runtime, judged.goal.text());
        let measured = judged.measured();
        format!("| {cell} | {runtime} | {goal} | {best} | {measured} | {met} |")
    }));
    lines
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
