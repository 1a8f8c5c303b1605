//! What serves a measurement, as far as it can be watched.

use super::Server;
use crate::error::Error;
use crate::machine::resident;
use crate::observe::Process;
use crate::output::{say, with_causes};
use crate::usage::Usage;

/// What serves a measurement, as far as it can be watched.
pub(super) trait Watched {
    /// What it has used up to now.
    fn usage(&mut self) -> Result<Usage, Error>;

    /// Resident memory in bytes.
    fn resident(&mut self) -> Result<u64, Error>;
}

impl Watched for Server {
    fn usage(&mut self) -> Result<Usage, Error> {
        Self::usage(self)
    }

    fn resident(&mut self) -> Result<u64, Error> {
        resident(self.pid())
    }
}

/// A daemon of somebody's; of one that this user may not watch, or that has gone, nothing is
/// known, which is 0.
pub(super) struct Daemon {
    process: Option<Process>,
    used: Usage,
}

impl Daemon {
    pub(super) fn new(pid: Option<u32>) -> Self {
        Self {
            process: pid.map(Process),
            used: Usage::default(),
        }
    }

    /// What is asked of it, as long as it is there; its clients are measured without it too.
    fn ask<T>(&mut self, question: impl FnOnce(Process) -> Result<T, Error>) -> Option<T> {
        let answer = question(self.process?);
        if let Err(error) = answer {
            self.process = None;
            say(&with_causes(&Error::Gone(Box::new(error))));
            return None;
        }
        answer.ok()
    }
}

impl Watched for Daemon {
    fn usage(&mut self) -> Result<Usage, Error> {
        if let Some(used) = self.ask(used) {
            self.used = used;
        }
        Ok(self.used)
    }

    fn resident(&mut self) -> Result<u64, Error> {
        Ok(self.ask(Process::rss_bytes).unwrap_or_default())
    }
}

fn used(process: Process) -> Result<Usage, Error> {
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    Ok(Usage {
        cpu_us: count(process.cpu_us()?),
        switches: process.switches().map_or(0, count),
        waits: 0,
    })
}
