//! Counts calls and their latency, for many callers at once.

mod caller;
mod part;

pub(crate) use caller::{Caller, same};
pub(crate) use part::{Counts, Part, micros};

use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::clock::now;
use crate::pace::{Pace, Schedule};
use crate::transport::Failure;
use crate::workload::{Amount, Scenario, Workload};

/// When calls count, and when to stop.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Plan {
    /// Calls that begin from `from` on and before `until`.
    Time { from: Instant, until: Instant },
    /// So many calls over all callers.
    Count { calls: u64, from: Instant },
}

impl Plan {
    fn new(amount: Amount, start: Instant) -> Self {
        match amount {
            Amount::Calls(calls) => Self::Count { calls, from: start },
            Amount::Time { warm_up, measured } => {
                let from = start + Duration::from_secs_f64(warm_up);
                let until = from + Duration::from_secs_f64(measured);
                Self::Time { from, until }
            }
        }
    }

    fn goes_on(self, now: Instant) -> bool {
        match self {
            Self::Time { until, .. } => now < until,
            Self::Count { .. } => true,
        }
    }

    /// When the measured part begins.
    pub(crate) const fn from(self) -> Instant {
        match self {
            Self::Time { from, .. } | Self::Count { from, .. } => from,
        }
    }

    fn counts(self, begun: Instant) -> bool {
        match self {
            Self::Time { from, until } => (from..until).contains(&begun),
            Self::Count { .. } => true,
        }
    }
}

/// Counts what all callers of one process do.
#[derive(Debug)]
pub(crate) struct Meter {
    pub(crate) plan: Plan,
    pace: Option<Pace>,
    payload: usize,
    /// How many callers share the work.
    callers: usize,
    begun: AtomicUsize,
    /// Callers are spread over these, so that few wait for another's lock.
    shards: Vec<Mutex<Part>>,
}

impl Meter {
    /// A meter for so many callers, which start now.
    pub(crate) fn new(workload: &Workload, callers: usize, start: Instant) -> Self {
        let plan = Plan::new(workload.amount, start);
        let pace = match plan {
            Plan::Time { until, .. } => {
                let schedule = Schedule::new(workload, until - start, fastrand::u64(..));
                schedule.map(|schedule| Pace::new(start, schedule))
            }
            Plan::Count { .. } => None,
        };
        Self {
            plan,
            pace,
            payload: workload.payload,
            callers: callers.max(1),
            begun: AtomicUsize::new(0),
            shards: (0..callers.clamp(1, SHARDS))
                .map(|_| Mutex::default())
                .collect(),
        }
    }

    /// That of a client process, which has no pace where the server calls: it is the server's.
    pub(crate) fn of_client(workload: &Workload, callers: usize, start: Instant) -> Self {
        let mut meter = Self::new(workload, callers, start);
        if workload.scenario == Scenario::Reverse {
            meter.pace = None;
        }
        meter
    }

    /// One more caller.
    pub(crate) fn caller(self: &Arc<Self>) -> Caller {
        let index = self.begun.fetch_add(1, Ordering::Relaxed);
        Caller::new(Arc::clone(self), index)
    }

    /// Lets callers of an open loop go as their calls come due, in a thread of its own.
    pub(crate) fn release(self: &Arc<Self>) {
        if self.pace.is_some() {
            let meter = Arc::clone(self);
            thread::spawn(move || meter.pace.as_ref().map(Pace::release));
        }
    }

    /// The same in a test, by the clock that the test drives.
    #[cfg(test)]
    pub(crate) async fn release_by_driven_clock(&self) {
        if let Some(pace) = &self.pace {
            pace.release_by_driven_clock().await;
        }
    }

    /// Moves what was counted since the last time into `total`, by way of a spare part: callers
    /// are held up no longer than it takes to swap the two.
    pub(crate) fn take(&self, total: &mut Part, spare: &mut Part) {
        for index in 0..self.shards.len() {
            mem::swap(&mut *self.shard(index), spare);
            total.add(spare);
            spare.clear();
        }
    }

    /// So many calls of all are this caller's.
    fn share(&self, calls: u64, index: usize) -> u64 {
        let callers = u64::try_from(self.callers).unwrap_or(u64::MAX);
        let rest = u64::try_from(index).is_ok_and(|index| index < calls % callers);
        calls / callers + u64::from(rest)
    }

    /// Whether a call that was due can no longer start within the measurement. It has failed then:
    /// left out, a peer that cannot keep up would look faster than it is.
    fn is_too_late(&self, due: Instant) -> bool {
        let late = |until: Instant| now() >= until + GRACE;
        if !matches!(self.plan, Plan::Time { until, .. } if late(until)) {
            return false;
        }
        if self.plan.counts(due) {
            self.shard(0).failed(&Failure::new("TOO_LATE", "NotSent"));
        }
        true
    }

    fn shard(&self, index: usize) -> MutexGuard<'_, Part> {
        let at = index % self.shards.len();
        let shard = self
            .shards
            .get(at)
            .expect("a remainder is less than its divisor");
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long after the end a call that was due before it may still start.
const GRACE: Duration = Duration::from_secs(5);
/// The most locks that callers are spread over: a power of two beyond any number of workers here.
const SHARDS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Flavor;
    use crate::{clock::now, transport::Transport};

    fn meter(amount: Amount, callers: usize) -> Arc<Meter> {
        let workload = Workload {
            amount,
            ..Workload::new(Transport::Ipc, Flavor::CurrentThread)
        };
        Arc::new(Meter::new(&workload, callers, now()))
    }

    fn taken(meter: &Meter) -> Part {
        let mut part = Part::default();
        meter.take(&mut part, &mut Part::default());
        part
    }

    #[test]
    fn a_number_of_calls_is_shared_out_without_a_rest() {
        let meter = meter(Amount::Calls(100), 7);
        let begun = (0..7).map(|_| {
            let mut caller = meter.caller();
            std::iter::from_fn(|| caller.begin_now()).count()
        });
        assert_eq!(begun.sum::<usize>(), 100);
    }

    #[test]
    fn calls_that_the_server_makes_have_their_pace_there_alone() {
        let mut workload = Workload {
            rate: Some(100.0),
            ..Workload::new(Transport::Ipc, Flavor::CurrentThread)
        };
        let is_paced = |meter: Meter| meter.pace.is_some();
        assert!(is_paced(Meter::of_client(&workload, 1, now())));
        workload.scenario = Scenario::Reverse;
        assert!(!is_paced(Meter::of_client(&workload, 1, now())));
        assert!(is_paced(Meter::new(&workload, 1, now())));
    }

    #[test]
    fn only_calls_that_begin_in_the_measured_time_count() {
        let amount = Amount::Time {
            warm_up: 10.0,
            measured: 10.0,
        };
        let meter = meter(amount, 1);
        let from = meter.plan.from();
        let caller = meter.caller();
        let second = Duration::from_secs(1);
        for begun in [from - second, from, from + 9 * second, from + 10 * second] {
            caller.end(begun, begun + 2 * second, &Ok(1));
        }
        let part = taken(&meter);
        assert_eq!((part.calls, part.bytes, part.failures()), (2, 2, 0));
    }

    #[test]
    fn what_was_taken_is_not_counted_again() {
        let meter = meter(Amount::Calls(100), 40);
        for _ in 0..40 {
            let failed = Failure::new("UNAVAILABLE", "NotSent");
            meter.caller().end(now(), now(), &Err(failed));
        }
        assert_eq!(taken(&meter).failures(), 40);
        assert_eq!(taken(&meter).failures(), 0);
    }
}
