//! Goals and whether they are met, as they stand in JSON and on a page.

use serde::{Deserialize, Serialize};

use super::ratio::short;
use super::units::whole;
use crate::workload::Flavor;

/// All goals of a comparison.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Goals {
    pub(crate) judged: Vec<Judged>,
    /// Those that the run says nothing of, so that a table does not look better for it, and why
    /// where that is known.
    pub(crate) not_measured: Vec<String>,
}

impl Goals {
    pub(crate) const fn is_empty(&self) -> bool {
        self.judged.is_empty() && self.not_measured.is_empty()
    }
}

/// A goal and what was measured for it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Judged {
    #[serde(flatten)]
    pub(crate) name: Name,
    pub(crate) runtime: String,
    pub(crate) measured: String,
    pub(crate) verdict: Verdict,
    /// Idle agents that there were, where they are fewer than the goal asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fewer: Option<usize>,
    /// The peer that comes nearest, and what it reaches.
    pub(crate) best: Option<(String, f64)>,
}

/// How a goal is called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Name {
    /// What it is about.
    pub(crate) what: String,
    /// The runtime, if it is about one.
    #[serde(skip)]
    pub(crate) only: Option<Flavor>,
    /// As `p50 <= 1.2 x raw`.
    pub(crate) goal: String,
}

/// Whether a goal is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Met,
    Missed,
    /// Some repetitions meet it and some do not, or there are too few.
    Unclear,
}

impl Judged {
    /// In one line.
    pub(crate) fn text(&self) -> String {
        let met = match self.verdict {
            Verdict::Met => "met",
            Verdict::Missed => "MISSED",
            Verdict::Unclear => UNCLEAR,
        };
        let Name { what, goal, .. } = &self.name;
        let (runtime, measured, limited) = (&self.runtime, &self.measured, self.limited());
        format!("goal: {what}, {runtime}: {goal}: {measured}: {met}{limited}")
    }

    /// In a column of a table whose heading asks whether the goal is met.
    pub(crate) fn answer(&self) -> String {
        let met = match self.verdict {
            Verdict::Met => "yes",
            Verdict::Missed => "no",
            Verdict::Unclear => UNCLEAR,
        };
        format!("{met}{}", self.limited())
    }

    /// The peer that comes nearest, as `tarpc 3.00`.
    pub(crate) fn nearest(&self) -> String {
        let best = self.best.as_ref();
        best.map_or_else(
            || "-".to_owned(),
            |(name, value)| format!("{name} {}", short(*value)),
        )
    }

    fn limited(&self) -> String {
        let fewer = self.fewer.map(|agents| format!(", with {}", whole(agents)));
        fewer.unwrap_or_default()
    }
}

const UNCLEAR: &str = "too noisy to tell";

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(verdict: Verdict, fewer: Option<usize>) -> Judged {
        Judged {
            name: Name {
                what: "10000 idle agents".to_owned(),
                only: None,
                goal: "wake-ups <= 0".to_owned(),
            },
            runtime: "multi_thread".to_owned(),
            measured: "0".to_owned(),
            verdict,
            fewer,
            best: None,
        }
    }

    #[test]
    fn a_verdict_says_of_how_many_agents_it_is_where_they_are_too_few() {
        for (verdict, fewer, text, answer) in [
            (Verdict::Met, None, "met", "yes"),
            (
                Verdict::Met,
                Some(9_956),
                "met, with 9,956",
                "yes, with 9,956",
            ),
            (
                Verdict::Missed,
                Some(100),
                "MISSED, with 100",
                "no, with 100",
            ),
            (Verdict::Unclear, None, UNCLEAR, UNCLEAR),
        ] {
            let judged = judged(verdict, fewer);
            assert_eq!(judged.answer(), answer);
            let start = "goal: 10000 idle agents, multi_thread: wake-ups <= 0: 0: ";
            assert_eq!(judged.text(), format!("{start}{text}"));
        }
    }

    #[test]
    fn a_program_that_reads_json_is_told_the_same() {
        let judged = judged(Verdict::Met, Some(9_956));
        let json = serde_json::to_value(&judged).unwrap();
        assert_eq!(json["verdict"], "met");
        assert_eq!(json["fewer"], 9_956);
        let back = serde_json::from_value::<Judged>(json).unwrap();
        assert_eq!(back.text(), judged.text());
    }
}
