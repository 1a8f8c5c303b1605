//! Which cores the processes of a measurement may use.

use std::fmt;
use std::fs;
use std::process::{Command, Stdio};

use clap::ValueEnum;
use serde::Serialize;

use crate::output::say;
use crate::workload::word;

/// Where the processes of a measurement may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Pinning {
    /// Wherever the system puts them
    None,
    /// All on the first core: what the code costs, without the distance between cores
    Same,
    /// The server on the second core, the clients on the first
    Split,
}

impl Pinning {
    /// This, or none with a word about it where `taskset` is not there, as on macOS, or where there
    /// are not two cores to split.
    pub(crate) fn or_none(self) -> Self {
        if self != Self::None && !is_there("taskset") {
            say("taskset is not there, so nothing is pinned to a core");
            return Self::None;
        }
        if self == Self::Split && cores().len() < 2 {
            say("this process may run on one core only, so nothing is pinned to two");
            return Self::None;
        }
        self
    }

    /// Where a side may run, of the cores where this process may.
    pub(super) fn core(self, role: Role, cores: &[usize]) -> Option<usize> {
        let at = match (self, role) {
            (Self::None, _) => return None,
            (Self::Same, _) | (Self::Split, Role::Client) => 0,
            (Self::Split, Role::Server) => 1,
        };
        cores.get(at).copied()
    }
}

/// The cores that this process may run on, which need not begin with 0: a container may have been
/// given others. As `Cpus_allowed_list` of proc_pid_status(5) has it, what sched_getaffinity(2) says.
pub(super) fn cores() -> Vec<usize> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let allowed = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    allowed.map_or_else(|| vec![0, 1], listed)
}

/// The numbers of `0-2,5`.
fn listed(text: &str) -> Vec<usize> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse::<usize>().ok()?..=last.parse().ok()?)
    };
    text.trim().split(',').filter_map(range).flatten().collect()
}

impl fmt::Display for Pinning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&word(self))
    }
}

/// A side of a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Server,
    Client,
}

impl Role {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
        }
    }
}

/// Whether a program can be started.
pub(crate) fn is_there(program: &str) -> bool {
    let mut command = Command::new(program);
    command
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_cores_that_this_process_may_use_are_used() {
        let core = |pinning: Pinning, role| pinning.core(role, &[2, 5]);
        for (pinning, client, server) in [
            (Pinning::None, None, None),
            (Pinning::Same, Some(2), Some(2)),
            (Pinning::Split, Some(2), Some(5)),
        ] {
            assert_eq!(core(pinning, Role::Client), client);
            assert_eq!(core(pinning, Role::Server), server);
        }
    }

    #[test]
    fn a_list_of_cores_is_read_with_its_ranges() {
        assert_eq!(listed("\t0-2,5,7-8"), [0, 1, 2, 5, 7, 8]);
        assert_eq!(listed("\t3"), [3]);
        assert!(listed("").is_empty());
        assert!(!cores().is_empty());
    }
}
