//! Goals that no timed call tells: system calls, and what idle agents cost.

use super::goals::Bound;
use super::matrix::{Group, SMALL};
use crate::command::{idle, run};
use crate::error::Error;
use crate::output::{complain, say, with_causes};
use crate::process::{Pinning, Setup, can_trace};
use crate::report::judged::{Judged, Name, Verdict};
use crate::report::ratio::{Quartiles, short};
use crate::report::row::Counted;
use crate::transport::Transport;
use crate::workload::{Flavor, Workload};

/// What is counted, apart from what calls take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Count {
    /// System calls per call on both sides, with so many calls in flight.
    Syscalls(usize),
    /// Resident memory of the server per idle agent, in bytes.
    Memory,
    /// Wake-ups per minute of the server by its idle agents.
    Wakeups,
}

/// What each is to be at most.
const GOALS: [(Count, f64); 4] = [
    (Count::Syscalls(1), 6.0),
    (Count::Syscalls(64), 0.25),
    (Count::Memory, 8.0 * KIB),
    (Count::Wakeups, 0.0),
];

/// What came of counting.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) counted: Vec<Counted>,
    /// What was left out, and why.
    pub(super) left_out: Option<String>,
    /// What failed, and why.
    pub(super) failed: Vec<String>,
}

/// Counts what belongs to these groups, or to all if there are none. System calls are left out
/// where strace cannot count them.
pub(super) fn count(only: &[Group], repetitions: usize, is_quick: bool) -> Found {
    let is_wanted = |group| only.is_empty() || only.contains(&group);
    let mut in_flight = vec![(Group::Latency, 1), (Group::InFlight, 64)];
    in_flight.retain(|(group, _)| is_wanted(*group));
    let mut found = Found::default();
    if !in_flight.is_empty()
        && let Err(error) = can_trace()
    {
        let why = with_causes(&error);
        let left_out = format!("not measured: system calls per call: {why}");
        say(&left_out);
        found.left_out = Some(left_out);
        in_flight.clear();
    }
    for runtime in [Flavor::CurrentThread, Flavor::MultiThread] {
        for &(_, calls) in &in_flight {
            let what = format!("system calls, {calls} in flight, {runtime}");
            found.take(&what, syscalls(runtime, calls, repetitions));
        }
        if is_wanted(Group::Connections) {
            let what = format!("idle agents, {runtime}");
            found.take(&what, idle_agents(runtime, is_quick));
        }
    }
    found
}

impl Found {
    fn take(&mut self, what: &str, counted: Result<Vec<Counted>, Error>) {
        match counted {
            Ok(counted) => self.counted.extend(counted),
            Err(error) => {
                complain(&error);
                self.failed.push(format!("{what}: {}", with_causes(&error)));
            }
        }
    }
}

fn syscalls(runtime: Flavor, in_flight: usize, repetitions: usize) -> Result<Vec<Counted>, Error> {
    let workload = Workload {
        in_flight,
        ..Workload::new(Transport::Ipc, runtime)
    };
    let setup = Setup::new(workload, Pinning::Same.or_none());
    let both = |_| run::counted(&setup).map(|sides| sides.client + sides.server);
    let each = (0..repetitions).map(both).collect::<Result<_, _>>()?;
    let count = Count::Syscalls(in_flight);
    Ok(vec![count.counted(runtime, in_flight, each)])
}

/// As many as the limit of descriptors allows.
fn idle_agents(runtime: Flavor, is_quick: bool) -> Result<Vec<Counted>, Error> {
    let (wanted, times) = if is_quick {
        (100, [1.0, 0.2])
    } else {
        (AGENTS, TIMES)
    };
    let held = idle::hold(&Workload::new(Transport::Ipc, runtime), wanted, times)?;
    let agents = usize::try_from(held.connections).unwrap_or(usize::MAX);
    Ok(vec![
        Count::Memory.counted(runtime, agents, vec![held.rss_bytes_per_connection]),
        Count::Wakeups.counted(runtime, agents, vec![held.wakeups_per_minute]),
    ])
}

/// Holds what was counted against what is to be reached.
pub(super) fn judge(counted: &[Counted]) -> Vec<Judged> {
    let of_goal = |(count, bound): (Count, f64)| {
        let found = counted.iter().filter(move |one| count.is(one));
        found.map(move |one| Judged {
            name: count.goal(bound),
            runtime: one.runtime.clone(),
            measured: count.text(one),
            verdict: count.verdict(one, bound),
            fewer: count.fewer(one),
            best: None,
        })
    };
    GOALS.into_iter().flat_map(of_goal).collect()
}

/// All goals of this kind.
pub(super) fn names() -> impl Iterator<Item = Name> {
    GOALS.into_iter().map(|(count, bound)| count.goal(bound))
}

impl Count {
    /// As it stands in JSON.
    const fn name(self) -> &'static str {
        match self {
            Self::Syscalls(_) => "syscalls_per_call",
            Self::Memory => "rss_bytes_per_agent",
            Self::Wakeups => "wakeups_per_minute",
        }
    }

    fn counted(self, runtime: Flavor, among: usize, each: Vec<f64>) -> Counted {
        Counted {
            what: self.name().to_owned(),
            runtime: runtime.to_string(),
            among,
            each,
        }
    }

    fn is(self, counted: &Counted) -> bool {
        let is_among = match self {
            Self::Syscalls(in_flight) => counted.among == in_flight,
            Self::Memory | Self::Wakeups => true,
        };
        counted.what == self.name() && is_among
    }

    fn goal(self, bound: f64) -> Name {
        let (what, goal) = match self {
            Self::Syscalls(in_flight) => (
                format!("{in_flight} in flight, {SMALL} B, one core, under strace"),
                format!("system calls per call, both sides <= {bound}"),
            ),
            Self::Memory => (
                format!("{AGENTS} idle agents"),
                format!("memory of the server per agent <= {} KiB", bound / KIB),
            ),
            Self::Wakeups => (
                format!("{AGENTS} idle agents"),
                format!("wake-ups of the server per minute <= {bound}"),
            ),
        };
        Name {
            what,
            only: None,
            goal,
        }
    }

    /// How often calls share a system call is a matter of luck where threads take turns; what
    /// idle agents cost is not.
    fn verdict(self, counted: &Counted, bound: f64) -> Verdict {
        let each = &counted.each;
        if let Self::Syscalls(_) = self {
            let bound = Bound::AtMost(bound);
            let quartiles = Quartiles::of(each).filter(|_| each.len() >= bound.repetitions());
            return quartiles.map_or(Verdict::Unclear, |quartiles| bound.verdict(&quartiles));
        }
        match each.iter().all(|value| *value <= bound) {
            true => Verdict::Met,
            false => Verdict::Missed,
        }
    }

    /// How many agents there were, if not as many as the goal is about.
    fn fewer(self, counted: &Counted) -> Option<usize> {
        let wanted = match self {
            Self::Syscalls(in_flight) => in_flight,
            Self::Memory | Self::Wakeups => usize::try_from(AGENTS).unwrap_or(usize::MAX),
        };
        Some(counted.among).filter(|among| *among < wanted)
    }

    fn text(self, counted: &Counted) -> String {
        let each = &counted.each;
        let value = each.first().copied().unwrap_or_default();
        match self {
            Self::Syscalls(_) => {
                Quartiles::of(each).map_or_else(|| short(value), |quartiles| quartiles.text())
            }
            Self::Memory => format!("{} KiB", short(value / KIB)),
            Self::Wakeups => format!("{value:.0}"),
        }
    }
}

/// Idle agents that are to be held.
const AGENTS: u32 = 10_000;
/// Seconds until the last handshake's deadline has passed, for which the server wakes up once more,
/// and those in which wake-ups are counted.
const TIMES: [f64; 2] = [6.0, 5.0];
const KIB: f64 = 1_024.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_runtime_is_judged_by_what_was_counted_for_it() {
        let [single, several] = [Flavor::CurrentThread, Flavor::MultiThread];
        let counted = [
            Count::Syscalls(1).counted(single, 1, vec![6.0; 5]),
            Count::Syscalls(1).counted(several, 1, vec![6.07; 3]),
            Count::Syscalls(64).counted(single, 64, vec![0.11; 2]),
            Count::Syscalls(64).counted(several, 64, vec![0.12, 0.17, 0.28]),
            Count::Memory.counted(single, 9_956, vec![7.5 * KIB]),
            Count::Wakeups.counted(single, 10_000, vec![0.0]),
            Count::Wakeups.counted(several, 9_956, vec![1.0]),
        ];
        let judged = judge(&counted);
        let told = |judged: &Judged| {
            let runtime = &judged.runtime;
            (runtime.clone(), judged.measured.clone(), judged.answer())
        };
        let expected = [
            (single, "6.00 (6.00..6.00)", "yes"),
            (several, "6.07 (6.07..6.07)", "no"),
            (single, "0.110 (0.110..0.110)", "too noisy to tell"),
            (several, "0.170 (0.120..0.280)", "too noisy to tell"),
            (single, "7.50 KiB", "yes, with 9,956"),
            (single, "0", "yes"),
            (several, "1", "no, with 9,956"),
        ];
        let expected = expected.map(|(runtime, measured, answer)| {
            (runtime.to_string(), measured.to_owned(), answer.to_owned())
        });
        assert_eq!(judged.iter().map(told).collect::<Vec<_>>(), expected);
        assert_eq!(
            judged[0].text(),
            "goal: 1 in flight, 64 B, one core, under strace, current_thread: \
             system calls per call, both sides <= 6: 6.00 (6.00..6.00): met"
        );
    }
}
