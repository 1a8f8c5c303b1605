//! How far a measurement has come, on a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::load::ticks;
use crate::meter::Part;
use crate::process::Setup;
use crate::report::float;

/// A bar with the live rate and p99. It draws to standard error, and only on a terminal.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    /// Ticks of measurements that are done.
    done: u64,
}

impl Progress {
    /// For so many repetitions of each.
    pub(crate) fn new(setups: &[Setup], repetitions: usize) -> Self {
        let each = setups.iter().map(|setup| timing(setup).0).sum::<u64>();
        let repetitions = u64::try_from(repetitions).unwrap_or(u64::MAX);
        let bar = ProgressBar::new(each.saturating_mul(repetitions));
        let style = ProgressStyle::with_template("{wide_bar} {eta:>4} {msg}");
        bar.set_style(style.expect("the template is well-formed"));
        Self { bar, done: 0 }
    }

    /// Shows what was counted in one interval of a measurement.
    pub(crate) fn show(&self, setup: &Setup, tick: usize, part: &Part) {
        let (_, each) = timing(setup);
        let workload = &setup.workload;
        let rate = float(part.calls) / each.as_secs_f64();
        self.bar
            .set_position(self.done + u64::try_from(tick + 1).unwrap_or(u64::MAX));
        self.bar.set_message(format!(
            "{} {}: {rate:.0} calls/s, p99 {:.0} us",
            workload.transport,
            workload.scenario,
            part.quantile_us(0.99)
        ));
    }

    /// Counts a measurement as done.
    pub(crate) fn next(&mut self, setup: &Setup) {
        self.done += timing(setup).0;
        self.bar.set_position(self.done);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// How many ticks a measurement has, and how long each is.
fn timing(setup: &Setup) -> (u64, Duration) {
    let (count, each) = ticks(setup.workload.amount.times().1);
    (u64::try_from(count).unwrap_or(u64::MAX), each)
}
