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
    /// The voluntary ones alone: each time a thread waited, and woke up later.
    pub(crate) waits: i64,
}

impl Usage {
    pub(crate) fn now() -> Result<Self, Error> {
        let used = getrusage(UsageWho::RUSAGE_SELF).map_err(|errno| Error::Io {
            what: "the use of resources cannot be read",
            source: errno.into(),
        })?;
        Ok(Self {
            cpu_us: (used.user_time() + used.system_time()).num_microseconds(),
            waits: used.voluntary_context_switches(),
            switches: used.voluntary_context_switches() + used.involuntary_context_switches(),
        })
    }

    pub(crate) const fn since(self, before: Self) -> Self {
        Self {
            cpu_us: self.cpu_us - before.cpu_us,
            switches: self.switches - before.switches,
            waits: self.waits - before.waits,
        }
    }

    pub(crate) const fn add(&mut self, other: Self) {
        self.cpu_us += other.cpu_us;
        self.switches += other.switches;
        self.waits += other.waits;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[test]
    fn a_thread_that_waits_is_counted() {
        let before = Usage::now().unwrap();
        let (ready, is_ready) = mpsc::sync_channel(0);
        let told = thread::spawn(move || (0..100).all(|number| ready.send(number).is_ok()));
        assert_eq!(is_ready.into_iter().count(), 100);
        assert!(told.join().unwrap());
        let used = Usage::now().unwrap().since(before);
        assert!(used.waits > 0 && used.waits <= used.switches, "{used:?}");
    }
}
