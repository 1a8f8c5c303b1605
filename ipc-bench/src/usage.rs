//! What a process has used.

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// CPU time and context switches of this process, all threads together.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// In microseconds, user and system.
    pub(crate) cpu_us: i64,
    /// Voluntary and not.
    pub(crate) switches: i64,
}

impl Usage {
    pub(crate) fn now() -> Result<Self, Error> {
        let used = getrusage(UsageWho::RUSAGE_SELF).map_err(|errno| Error::Io {
            what: "the use of resources cannot be read",
            source: errno.into(),
        })?;
        Ok(Self {
            cpu_us: (used.user_time() + used.system_time()).num_microseconds(),
            switches: used.voluntary_context_switches() + used.involuntary_context_switches(),
        })
    }

    pub(crate) const fn since(self, before: Self) -> Self {
        Self {
            cpu_us: self.cpu_us - before.cpu_us,
            switches: self.switches - before.switches,
        }
    }

    pub(crate) const fn add(&mut self, other: Self) {
        self.cpu_us += other.cpu_us;
        self.switches += other.switches;
    }
}
