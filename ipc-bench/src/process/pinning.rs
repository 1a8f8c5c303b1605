//! Which cores the processes of a measurement may use.

use std::fmt;
use std::process::{Command, Stdio};

use clap::ValueEnum;
use serde::Serialize;

use crate::workload::word;

/// Where the processes of a measurement may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Pinning {
    /// Wherever the system puts them
    None,
    /// All on core 0: what the code costs, without the distance between cores
    Same,
    /// The server on core 1, the clients on core 0
    Split,
}

impl Pinning {
    /// This, or none with a word about it where `taskset` is not there: macOS has no such thing.
    pub(crate) fn or_none(self) -> Self {
        if self != Self::None && !is_there("taskset") {
            crate::output::say("taskset is not there, so nothing is pinned to a core");
            return Self::None;
        }
        self
    }

    pub(super) const fn core(self, role: Role) -> Option<&'static str> {
        match (self, role) {
            (Self::None, _) => None,
            (Self::Same, _) | (Self::Split, Role::Client) => Some("0"),
            (Self::Split, Role::Server) => Some("1"),
        }
    }
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
