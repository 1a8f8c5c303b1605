//! What the demo ends with: a table for people, or one JSON object.

use std::fmt;

use daemon_example::events::{AgentTotals, DaemonTotals};
use serde_json::{Value, json};

/// What all of them counted.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// By each agent.
    pub(crate) agents: Vec<AgentTotals>,
    /// By the daemon.
    pub(crate) daemon: DaemonTotals,
    /// Strangers that tried, and were refused.
    pub(crate) refused_strangers: u32,
}

impl Outcome {
    /// Whether everything that one side sent is known to the other.
    pub(crate) fn is_complete(&self) -> bool {
        self.lost() == 0
    }

    /// Calls without an answer, and whatever else one side knows of and the other does not.
    fn lost(&self) -> u64 {
        let reports = self
            .sum(|agent| agent.reports)
            .abs_diff(self.daemon.reports);
        let repeats = self
            .sum(|agent| agent.repeats)
            .abs_diff(self.daemon.repeats);
        let unrecognised = self.sum(|agent| agent.reports.abs_diff(agent.repeats));
        let lines = self.sum(|agent| agent.lines).abs_diff(self.daemon.lines);
        let unanswered = self.sum(|agent| agent.calls - agent.answered.min(agent.calls));
        let rounds = self.daemon.asked.abs_diff(self.daemon.answered);
        unanswered
            + rounds
            + reports
            + repeats
            + unrecognised
            + lines
            + self.sum(|agent| agent.gaps)
    }

    fn sum(&self, count: impl Fn(&AgentTotals) -> u64) -> u64 {
        self.agents.iter().map(count).sum()
    }

    /// The object of `--json`.
    pub(crate) fn json(&self) -> Value {
        json!({
            "agents": self.agents.len(),
            "uids": self.agents.iter().map(|agent| agent.uid).collect::<Vec<_>>(),
            "calls": self.sum(|agent| agent.calls),
            "answered": self.sum(|agent| agent.answered),
            "denied": self.sum(|agent| agent.denied),
            "reports": self.daemon.reports,
            "repeats": self.daemon.repeats,
            "checks": self.daemon.checks,
            "deltas": self.sum(|agent| agent.deltas),
            "refused_strangers": self.refused_strangers,
            "lost": self.lost(),
        })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = [
            "agent (uid)",
            "calls",
            "answered",
            "denied",
            "reports",
            "repeats",
            "checks",
            "deltas",
        ];
        let [uid, rest @ ..] = header;
        write!(f, "{uid:<12}")?;
        rest.iter().try_for_each(|name| write!(f, "{name:>10}"))?;
        writeln!(f)?;
        for agent in &self.agents {
            let AgentTotals {
                calls,
                answered,
                denied,
                reports,
                repeats,
                checks,
                deltas,
                ..
            } = agent;
            write!(f, "{:<12}", agent.uid)?;
            let row = [calls, answered, denied, reports, repeats, checks, deltas];
            row.iter().try_for_each(|count| write!(f, "{count:>10}"))?;
            writeln!(f)?;
        }
        let DaemonTotals {
            checks,
            reports,
            repeats,
            ..
        } = &self.daemon;
        writeln!(
            f,
            "\ndaemon: {checks} results, {reports} reports, {repeats} repeats recognised"
        )?;
        writeln!(f, "strangers refused: {}", self.refused_strangers)?;
        writeln!(f, "lost: {}", self.lost())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole() -> Outcome {
        let agent = AgentTotals {
            calls: 9,
            answered: 9,
            reports: 2,
            repeats: 2,
            lines: 3,
            ..AgentTotals::default()
        };
        let daemon = DaemonTotals {
            reports: 4,
            repeats: 4,
            lines: 6,
            asked: 5,
            answered: 5,
            ..DaemonTotals::default()
        };
        Outcome {
            agents: vec![agent.clone(), agent],
            daemon,
            refused_strangers: 1,
        }
    }

    #[test]
    fn nothing_is_lost_when_both_sides_agree() {
        assert!(whole().is_complete());
        assert_eq!(whole().json()["lost"], 0);
    }

    #[test]
    fn each_thing_that_only_one_side_knows_of_is_lost() {
        let breaks: [fn(&mut Outcome); 7] = [
            |outcome| outcome.agents[0].answered -= 1,
            |outcome| outcome.agents[1].gaps += 1,
            |outcome| outcome.agents[1].repeats -= 1,
            |outcome| outcome.daemon.reports -= 1,
            |outcome| outcome.daemon.repeats += 1,
            |outcome| outcome.daemon.lines -= 1,
            |outcome| outcome.daemon.answered -= 1,
        ];
        for damage in breaks {
            let mut outcome = whole();
            damage(&mut outcome);
            assert!(!outcome.is_complete(), "{outcome}");
        }
    }

    #[test]
    fn the_object_has_what_readers_of_it_ask_for() {
        let json = whole().json();
        for (key, value) in [
            ("agents", 2),
            ("calls", 18),
            ("refused_strangers", 1),
            ("reports", 4),
            ("lost", 0),
        ] {
            assert_eq!(json[key], value, "{key}");
        }
    }
}
