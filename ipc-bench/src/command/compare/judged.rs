//! Whether goals are met, for people.

use super::counted;
use super::goals::{Bound, goals};
use crate::report::judged::{Judged, Name, Verdict};
use crate::report::ratio::Quartiles;

/// The table of all goals that were measured, in Markdown.
pub(super) fn markdown(judged: &[Judged]) -> Vec<String> {
    let mut lines = vec![
        "| what | runtime | to reach | best peer | measured: median (min..max) | met |".to_owned(),
        "|---|---|---|---|---|---|".to_owned(),
    ];
    lines.extend(judged.iter().map(|judged| {
        let best = judged.nearest();
        let met = match judged.verdict {
            Verdict::Missed => format!("**{}**", judged.answer()),
            Verdict::Met | Verdict::Unclear => judged.answer(),
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
    let text = |Name { what, only, goal }| {
        let only = only.map(|runtime| format!(", {runtime}"));
        format!("not measured: {what}{}: {goal}", only.unwrap_or_default())
    };
    missing.map(text).collect()
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
