//! The open loop: when calls are meant to start, whatever became of those before.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::clock::now;
use crate::workload::Workload;

/// How the gaps between calls are spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Arrivals {
    /// Independent callers: exponential gaps
    #[default]
    Poisson,
    /// All gaps alike
    Constant,
}

/// The intended starts, as times since the first moment. The same seed gives the same ones.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    arrivals: Arrivals,
    /// Calls per second.
    rate: f64,
    random: fastrand::Rng,
    /// Seconds.
    at: f64,
    until: Duration,
}

impl Schedule {
    /// Those of a workload; none of a closed loop.
    pub(crate) fn new(workload: &Workload, until: Duration, seed: u64) -> Option<Self> {
        let (arrivals, rate) = (workload.arrivals, workload.rate?);
        let ahead = match arrivals {
            Arrivals::Constant => workload.ahead,
            Arrivals::Poisson => 0.0,
        };
        Some(Self {
            arrivals,
            rate,
            random: fastrand::Rng::with_seed(seed),
            at: -ahead / rate,
            until,
        })
    }
}

impl Iterator for Schedule {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let gap = match self.arrivals {
            Arrivals::Constant => 1.0,
            // 1 - x lies in (0, 1], whose logarithm is finite.
            Arrivals::Poisson => -(1.0 - self.random.f64()).ln(),
        };
        self.at += gap / self.rate;
        let at = Duration::try_from_secs_f64(self.at).ok()?;
        (at < self.until).then_some(at)
    }
}

/// Hands intended starts to callers.
#[derive(Debug)]
pub(crate) struct Pace {
    start: Instant,
    schedule: Mutex<Schedule>,
    /// Counts the starts that are due and that no caller has taken yet.
    due: Semaphore,
}

impl Pace {
    pub(crate) fn new(start: Instant, schedule: Schedule) -> Self {
        Self {
            start,
            schedule: Mutex::new(schedule),
            due: Semaphore::new(0),
        }
    }

    /// The next intended start, which may be yet to come; none after the last.
    fn take(&self) -> Option<Instant> {
        let mut schedule = self.schedule.lock().unwrap_or_else(PoisonError::into_inner);
        schedule.next().map(|at| self.start + at)
    }

    /// Waits until a call is due.
    pub(crate) async fn next(&self) -> Option<Instant> {
        // Closed means that all are due.
        if let Ok(permit) = self.due.acquire().await {
            permit.forget();
        }
        self.take()
    }

    /// Waits until a call is due, in a thread of the caller's own.
    pub(crate) fn next_blocking(&self) -> Option<Instant> {
        let at = self.take()?;
        wait_until(at);
        Some(at)
    }

    /// Lets callers go as their starts come; blocks until the last has come. Tokio's own timer
    /// is too coarse for that, it counts milliseconds.
    pub(crate) fn release(&self) {
        let mut releases = self.releases();
        while let Some(at) = releases.next_due {
            wait_until(at);
            self.due.add_permits(releases.due(now()));
        }
        self.due.close();
    }

    /// The same in a test, by the clock that the test drives.
    #[cfg(test)]
    pub(crate) async fn release_by_driven_clock(&self) {
        let mut releases = self.releases();
        while let Some(at) = releases.next_due {
            tokio::time::sleep_until(at.into()).await;
            self.due.add_permits(releases.due(now()));
        }
        self.due.close();
    }

    fn releases(&self) -> Releases {
        let schedule = self.schedule.lock().unwrap_or_else(PoisonError::into_inner);
        let mut schedule = schedule.clone();
        Releases {
            start: self.start,
            next_due: schedule.next().map(|at| self.start + at),
            schedule,
        }
    }
}

/// The starts once more, for who lets callers go.
struct Releases {
    start: Instant,
    schedule: Schedule,
    next_due: Option<Instant>,
}

impl Releases {
    /// How many starts have come since the last time.
    fn due(&mut self, now: Instant) -> usize {
        let mut due = 0;
        while self.next_due.is_some_and(|at| at <= now) {
            due += 1;
            self.next_due = self.schedule.next().map(|at| self.start + at);
        }
        due
    }
}

fn wait_until(at: Instant) {
    std::thread::sleep(at.saturating_duration_since(now()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::Transport;
    use crate::workload::Flavor;

    fn offered(arrivals: Arrivals) -> Workload {
        Workload {
            rate: Some(1_000.0),
            arrivals,
            connections: 12,
            ..Workload::new(Transport::Ipc, Flavor::MultiThread)
        }
    }

    fn starts_of(workload: &Workload, seed: u64) -> Vec<Duration> {
        let schedule = Schedule::new(workload, Duration::from_secs(10), seed);
        schedule.unwrap().collect()
    }

    fn starts(arrivals: Arrivals, seed: u64) -> Vec<Duration> {
        starts_of(&offered(arrivals), seed)
    }

    #[test]
    fn constant_gaps_are_alike() {
        let starts = starts(Arrivals::Constant, 1);
        assert_eq!(starts.len(), 9_999);
        for pair in starts.windows(2) {
            let gap = (pair[1] - pair[0]).as_secs_f64();
            assert!((gap - 0.001).abs() < 1e-6, "{gap}");
        }
    }

    #[test]
    fn constant_gaps_are_alike_over_processes_and_their_connections() {
        let whole = offered(Arrivals::Constant);
        let processes = (0..3).map(|index| whole.share(index, 3));
        let parts = processes.flat_map(|process| (0..4).map(move |index| process.share(index, 4)));
        let mut together: Vec<_> = parts.flat_map(|part| starts_of(&part, 1)).collect();
        together.sort();
        let alone = starts_of(&whole, 1);
        assert_eq!(together.len(), alone.len());
        for (together, alone) in together.iter().zip(&alone) {
            let apart = together.abs_diff(*alone);
            assert!(apart < Duration::from_micros(1), "{together:?} {alone:?}");
        }
    }

    #[test]
    fn exponential_gaps_have_the_rate_as_their_mean_and_as_their_spread() {
        let starts = starts(Arrivals::Poisson, 1);
        // 10,000 are meant; the seed gives the same number each time.
        assert!((9_700..=10_300).contains(&starts.len()), "{}", starts.len());
        let short = starts
            .windows(2)
            .filter(|pair| pair[1] - pair[0] < Duration::from_millis(1));
        // 1 - 1/e of the gaps are shorter than the mean.
        let share = short.count() * 1_000 / starts.len();
        assert!((610..=655).contains(&share), "{share} of 1000");
    }

    #[test]
    fn the_same_seed_gives_the_same_starts() {
        assert_eq!(starts(Arrivals::Poisson, 7), starts(Arrivals::Poisson, 7));
        assert_ne!(starts(Arrivals::Poisson, 7), starts(Arrivals::Poisson, 8));
    }
}
