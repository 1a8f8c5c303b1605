//! What the programs of the pair tell the one who started them, with `--json`: one event a line.

use serde::{Deserialize, Serialize};

use crate::pump::Pump;

/// Something the starter waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The daemon listens, or the agent is registered.
    Ready {
        /// The user the program runs as; an agent has it from the daemon.
        uid: u32,
    },
    /// So many calls of the load have been answered.
    Progress {
        /// Since the start.
        calls: u64,
    },
    /// The load that was asked for is over.
    Driven,
    /// A change reached an agent.
    Change {
        /// The name of the check.
        check: String,
        /// How it stands now.
        now: Now,
    },
    /// An agent ends.
    AgentEnds(AgentTotals),
    /// The daemon ends.
    DaemonEnds(DaemonTotals),
}

/// How a check stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Now {
    /// As asserted.
    Holds,
    /// Not as asserted.
    Drifted,
    /// The check could not be run.
    Unchecked,
    /// No longer watched.
    Gone,
}

/// What an agent counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentTotals {
    /// The user the daemon took it for.
    pub uid: u32,
    /// Calls made.
    pub calls: u64,
    /// Calls that the daemon answered, be it with a refusal.
    pub answered: u64,
    /// Calls refused for want of rights.
    pub denied: u64,
    /// Reports acknowledged, without repeats.
    pub reports: u64,
    /// Repeats that the daemon recognised.
    pub repeats: u64,
    /// Checks run for the daemon.
    pub checks: u64,
    /// Changes received.
    pub deltas: u64,
    /// Changes that were skipped in a stream.
    pub gaps: u64,
    /// Log lines handed over.
    pub lines: u64,
}

/// What the daemon counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonTotals {
    /// Results taken in, of either scope.
    pub checks: u64,
    /// Reports counted.
    pub reports: u64,
    /// Reports that had come before.
    pub repeats: u64,
    /// Log lines received.
    pub lines: u64,
    /// Heartbeats received.
    pub notes: u64,
    /// Rounds that agents were asked for, but those that were cut by the end of either side.
    pub asked: u64,
    /// Of these, how many they ran to their end.
    pub answered: u64,
}

/// Where events go.
#[derive(Clone, Debug)]
pub enum Outlet {
    /// To standard output.
    Stdout(Pump),
    /// Nowhere: a person reads the log.
    Nowhere,
}

impl Outlet {
    /// Tells one event; waits for a reader that is behind.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the event is told as a whole or not at all.
    pub async fn tell(&self, event: &Event) {
        if let Self::Stdout(pump) = self
            && let Some(line) = line(event)
        {
            pump.send(line).await;
        }
    }

    /// Tells the last event, and waits until all are written or nobody seems to read them.
    pub async fn end(&self, event: &Event) {
        if let Self::Stdout(pump) = self {
            pump.end(line(event)).await;
        }
    }
}

fn line(event: &Event) -> Option<Vec<u8>> {
    let mut line = serde_json::to_vec(event).ok()?;
    line.push(b'\n');
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_and_reads_back() {
        let change = Event::Change {
            check: "a\nb".to_owned(),
            now: Now::Drifted,
        };
        for event in [
            Event::Driven,
            change,
            Event::AgentEnds(AgentTotals::default()),
        ] {
            let line = line(&event).unwrap();
            assert_eq!(line.iter().filter(|&&byte| byte == b'\n').count(), 1);
            assert_eq!(serde_json::from_slice::<Event>(&line).unwrap(), event);
        }
    }
}
