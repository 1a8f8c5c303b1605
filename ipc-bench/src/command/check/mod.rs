//! Compares a run with a saved one, as ratios to the raw socket, and fails on a regression.

mod again;
mod compare;
mod file;
mod text;

use std::path::PathBuf;

use self::compare::compare;
pub(crate) use self::file::Unusable;
use crate::command::effort::seconds;
use crate::error::Error;
use crate::output::Format;
use crate::report::units::plural;

/// What to compare, and from where on a loss counts.
#[derive(Debug, clap::Args)]
#[command(after_long_help = RULE)]
pub(crate) struct Args {
    /// A run that was saved with --json FILE
    #[arg(long, value_name = "FILE")]
    baseline: PathBuf,
    /// Another saved run of the same rows, instead of measuring them now
    #[arg(long, value_name = "FILE")]
    current: Option<PathBuf>,
    /// Seconds of each measurement, if there is no other run
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    duration: f64,
    /// Losses up to this many percent do not count
    #[arg(long, value_name = "PERCENT", default_value = "5", value_parser = percent)]
    tolerance: f64,
    #[command(flatten)]
    format: Format,
}

/// Why a comparison ends with a failure.
#[derive(Debug, thiserror::Error)]
#[error("{}, {missing} missing", plural(*regressions, "regression", "regressions"))]
pub(crate) struct Failed {
    regressions: usize,
    missing: usize,
}

pub(crate) fn check(args: &Args) -> Result<(), Error> {
    let baseline = file::read(&args.baseline)?;
    let current = match &args.current {
        Some(current) => file::read(current)?,
        None => again::again(&baseline, args.duration)?,
    };
    let found = compare(&baseline, &current, args.tolerance / 100.0)?;
    args.format.show(&found, text::lines)?;
    let (regressions, missing) = (found.regressions(), found.missing.len());
    if regressions + missing == 0 {
        return Ok(());
    }
    Err(Error::Check(Failed {
        regressions,
        missing,
    }))
}

fn percent(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|error| format!("{error}"))?;
    if (0.0..100.0).contains(&value) {
        return Ok(value);
    }
    Err("a percentage from 0 to below 100 is needed".to_owned())
}

const RULE: &str = "\
Rows of both runs are matched by all that they were asked for: transport, runtime, scenario,
payload, pinning, processes, connections, calls in flight, rate, arrivals, deadline and users. A
row that only the baseline has fails the check.

Each row of ipc is divided by the raw row of the same run and workload, repetition by
repetition, in calls/s, p50, p99 and CPU time per call. So a slower machine makes no
difference as long as raw and ipc are slower alike. The raw row is that of raw_epoll for
several connections and of raw_pipelined for several calls in flight, if both runs have it,
else that of raw.

A quantity has regressed when the median of these ratios is worse by more than --tolerance,
and by more than noise explains: when the intervals in which the true medians of the two runs
lie do not touch. An interval is 90 % sure from 5 repetitions on, by their order: it is
all of them up to 7, and leaves out one at each end from 8 on, so that a stray does no harm.
If the intervals touch, the difference is reported as noise and fails nothing. Fewer than
3 repetitions say nothing of noise; 8 or more are better.

Calls that fail count too: if their share grew by more than 0.1 %, that is a regression.

Without --current the rows of the baseline are measured now, as often as then.

Exit status: 0 if nothing regressed and nothing is missing, else 1; also 1 if the files
cannot be compared.";
