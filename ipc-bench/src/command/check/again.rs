//! Measures the rows of a saved run again.

use clap::ValueEnum;
use nix::unistd::geteuid;

use super::compare::LEAST;
use crate::command::run::interleaved;
use crate::error::Error;
use crate::output::say;
use crate::pace::Arrivals;
use crate::process::{Pinning, Setup};
use crate::report::row::{Report, Row};
use crate::report::{full_name, report, row};
use crate::transport::Transport;
use crate::workload::{Amount, Workload};

/// As often as the saved run did, each for so many seconds. Rows that this program cannot
/// measure are left out.
pub(super) fn again(saved: &Report, seconds: f64) -> Result<Report, Error> {
    let setups: Vec<Setup> = saved
        .rows
        .iter()
        .filter_map(|row| known(row, seconds))
        .collect();
    let repetitions = saved.repetitions.max(LEAST);
    let measured = interleaved(repetitions, &setups)?;
    let rows = setups.iter().zip(&measured);
    let rows = rows.map(|(setup, measured)| row(setup, measured));
    Ok(report(repetitions, rows.collect(), Vec::new()))
}

/// How a row is measured, or nothing with a word about it.
fn known(row: &Row, seconds: f64) -> Option<Setup> {
    let found = setup(row, seconds);
    if let Err(unknown) = &found {
        say(&format!(
            "{} cannot be measured here: no {unknown}",
            full_name(row)
        ));
    }
    found.ok()
}

fn setup(row: &Row, seconds: f64) -> Result<Setup, String> {
    let workload = Workload {
        scenario: value("scenario", &row.scenario)?,
        payload: row.payload_bytes,
        connections: row.connections,
        in_flight: row.in_flight,
        rate: row.rate,
        arrivals: match &row.arrivals {
            Some(arrivals) => value("arrivals", arrivals)?,
            None => Arrivals::default(),
        },
        deadline: row.deadline,
        crowd: !row.uids.is_empty(),
        amount: Amount::seconds(seconds),
        ..Workload::new(
            value::<Transport>("transport", &row.transport)?,
            value("runtime", &row.runtime)?,
        )
    };
    if !row.uids.is_empty() && !geteuid().is_root() {
        return Err("right to start clients of other users".to_owned());
    }
    let pinning = value::<Pinning>("pinning", &row.pinning)?;
    Ok(Setup {
        processes: row.processes,
        uids: row.uids.clone(),
        ..Setup::new(workload, pinning.or_none())
    })
}

fn value<T: ValueEnum>(what: &str, name: &str) -> Result<T, String> {
    T::from_str(name, false).map_err(|_| format!("{what} {name:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Key, alike, sample};

    #[test]
    fn a_row_is_measured_as_it_was() {
        let mut saved = sample::row("ipc", 9.2);
        (saved.connections, saved.processes, saved.rate) = (8, 2, Some(5_000.0));
        (saved.arrivals, saved.deadline) = (Some("constant".to_owned()), false);
        saved.pinning = "none".to_owned();
        let again = row(&setup(&saved, 0.5).unwrap(), &[]);
        assert!(alike(&Key::ALL, &saved, &again), "{}", full_name(&again));
    }

    #[test]
    fn clients_of_other_users_are_measured_again_by_root_alone() {
        let mut saved = sample::row("ipc", 9.2);
        (saved.uids, saved.pinning) = (vec![1_001, 1_002], "none".to_owned());
        let found = setup(&saved, 0.5);
        if geteuid().is_root() {
            let setup = found.unwrap();
            assert!(setup.workload.crowd);
            assert!(alike(&Key::ALL, &saved, &row(&setup, &[])));
        } else {
            assert_eq!(found.unwrap_err(), "right to start clients of other users");
        }
    }

    #[test]
    fn what_this_program_does_not_know_is_named() {
        let mut saved = sample::row("smoke_signals", 9e9);
        saved.pinning = "none".to_owned();
        let unknown = setup(&saved, 0.5).unwrap_err();
        assert_eq!(unknown, "transport \"smoke_signals\"");
        saved.scenario = "round_robin".to_owned();
        assert_eq!(setup(&saved, 0.5).unwrap_err(), "scenario \"round_robin\"");
    }
}
