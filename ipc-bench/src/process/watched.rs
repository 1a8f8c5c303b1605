//! What serves a measurement, as far as it can be watched.

use super::Server;
use crate::error::Error;
use crate::machine::resident;
use crate::observe::Process;
use crate::usage::Usage;

/// What serves a measurement, as far as it can be watched.
pub(super) trait Watched {
    /// What it has used up to now.
    fn usage(&mut self) -> Result<Usage, Error>;

    /// Resident memory in bytes.
    fn resident(&self) -> Result<u64, Error>;
}

impl Watched for Server {
    fn usage(&mut self) -> Result<Usage, Error> {
        Self::usage(self)
    }

    fn resident(&self) -> Result<u64, Error> {
        resident(self.pid())
    }
}

/// A daemon of somebody's; of one that this user may not watch, nothing is known, which is 0.
impl Watched for Option<Process> {
    fn usage(&mut self) -> Result<Usage, Error> {
        let Some(process) = self else {
            return Ok(Usage::default());
        };
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        Ok(Usage {
            cpu_us: count(process.cpu_us()?),
            switches: process.switches().map_or(0, count),
            waits: 0,
        })
    }

    fn resident(&self) -> Result<u64, Error> {
        self.map_or(Ok(0), Process::rss_bytes)
    }
}
