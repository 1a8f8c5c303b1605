//! Shows how far the demo is, on standard error: one line that moves where that is a terminal.

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

/// Where progress is shown.
#[derive(Debug)]
pub(crate) struct Screen {
    is_terminal: bool,
    /// How many of the calls of each agent have been told of.
    calls: Mutex<Vec<u64>>,
}

impl Screen {
    /// Standard error, whatever it is.
    pub(crate) fn new() -> Self {
        Self {
            is_terminal: io::stderr().is_terminal(),
            calls: Mutex::default(),
        }
    }

    /// Shows a step that stays.
    pub(crate) fn step(&self, text: &str) {
        self.show(&format!("{}{text}\n", self.clear()));
    }

    /// Shows how many calls of one agent have been answered, of so many for all together.
    pub(crate) fn calls(&self, agent: usize, answered: u64, of: u64) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if calls.len() <= agent {
            calls.resize(agent + 1, 0);
        }
        let before: u64 = calls.iter().sum();
        calls[agent] = answered;
        let now: u64 = calls.iter().sum();
        if now == before {
            return;
        }
        if self.is_terminal {
            // The last one stays.
            let end = if now < of { "" } else { "\n" };
            self.show(&format!(
                "{}  {now} of {of} calls answered{end}",
                self.clear()
            ));
        } else if now * QUARTERS / of.max(1) > before * QUARTERS / of.max(1) {
            self.show(&format!("  {now} of {of} calls answered\n"));
        }
    }

    const fn clear(&self) -> &'static str {
        if self.is_terminal { "\r\x1b[2K" } else { "" }
    }

    fn show(&self, text: &str) {
        let mut stderr = io::stderr().lock();
        // What nobody can see need not be shown.
        stderr
            .write_all(text.as_bytes())
            .and_then(|()| stderr.flush())
            .ok();
    }
}

/// Without a terminal that many lines tell of the calls.
const QUARTERS: u64 = 4;
