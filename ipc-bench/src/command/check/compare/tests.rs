//! Planted gains, losses and noise.

use super::*;
use crate::report::sample;

/// Far enough from each other that nothing can be told.
const NOISE: [f64; 5] = [1.0, 1.9, 0.6, 1.4, 0.7];
const TOLERANCE: f64 = 0.05;

/// Makes each call of a transport so many times slower, repetition by repetition.
fn slower(report: &Report, transport: &str, by: [f64; 5]) -> Report {
    let mut report = report.clone();
    for row in report
        .rows
        .iter_mut()
        .filter(|row| row.transport.starts_with(transport))
    {
        for (one, by) in row.each.iter_mut().zip(by) {
            one.calls_per_s /= by;
            one.p50 *= by;
            one.p99 *= by;
            one.cpu_us_per_call = one.cpu_us_per_call.map(|us| us * by);
        }
    }
    report
}

fn verdicts(baseline: &Report, current: &Report) -> Vec<Verdict> {
    let found = compare(baseline, current, TOLERANCE).unwrap();
    assert!(
        found.missing.is_empty() && found.not_compared.is_empty(),
        "{found:?}"
    );
    found.differences.iter().map(|one| one.verdict).collect()
}

#[test]
fn a_run_is_the_same_as_itself() {
    let run = sample::pair();
    assert_eq!(verdicts(&run, &run), [Verdict::Same; 4]);
    let run = sample::comparison();
    let found = compare(&run, &run, TOLERANCE).unwrap();
    assert_eq!(found.regressions(), 0);
    // Two rows of ipc in each of eight workloads.
    assert_eq!(found.differences.len(), 2 * 8 * COMPARED.len());
}

#[test]
fn a_loss_of_30_percent_is_a_regression() {
    let run = sample::pair();
    let slow = slower(&run, "ipc", [1.3; 5]);
    let found = compare(&run, &slow, TOLERANCE).unwrap();
    assert_eq!(found.regressions(), 4, "{found:?}");
    let p50 = found
        .differences
        .iter()
        .find(|one| one.what == "p50")
        .unwrap();
    assert!((p50.worse_by - 0.3).abs() < 1e-9, "{p50:?}");
    let rate = &found.differences[2];
    assert!((rate.worse_by - (1.0 - 1.0 / 1.3)).abs() < 1e-9, "{rate:?}");
}

#[test]
fn a_gain_of_the_same_size_is_none() {
    let run = sample::pair();
    let slow = slower(&run, "ipc", [1.3; 5]);
    assert_eq!(verdicts(&slow, &run), [Verdict::Better; 4]);
}

#[test]
fn the_same_loss_between_noisy_runs_is_told_as_noise() {
    let run = slower(&sample::pair(), "ipc", NOISE);
    let slow = slower(&run, "ipc", [1.3; 5]);
    assert_eq!(verdicts(&run, &slow), [Verdict::Noise; 4]);
    // One noisy run of the two is enough.
    let run = sample::pair();
    let slow = slower(&slower(&run, "ipc", [1.3; 5]), "ipc", NOISE);
    assert_eq!(verdicts(&run, &slow), [Verdict::Noise; 4]);
}

#[test]
fn a_loss_beyond_the_noise_is_a_regression_however_noisy() {
    let run = slower(&sample::pair(), "ipc", NOISE);
    let slow = slower(&run, "ipc", [4.0; 5]);
    assert_eq!(verdicts(&run, &slow), [Verdict::Regressed; 4]);
}

#[test]
fn noise_that_raw_and_ipc_share_hides_nothing() {
    let run = slower(&sample::pair(), "", NOISE);
    let slow = slower(&run, "ipc", [1.3; 5]);
    assert_eq!(verdicts(&run, &slow), [Verdict::Regressed; 4]);
}

#[test]
fn a_machine_half_as_fast_makes_no_difference() {
    let run = sample::comparison();
    let slow = slower(&run, "", [2.0; 5]);
    let found = compare(&run, &slow, TOLERANCE).unwrap();
    assert!(
        found
            .differences
            .iter()
            .all(|one| one.verdict == Verdict::Same)
    );
}

#[test]
fn a_loss_within_the_tolerance_is_none() {
    let run = sample::pair();
    let slow = slower(&run, "ipc", [1.04; 5]);
    assert_eq!(verdicts(&run, &slow), [Verdict::Same; 4]);
    let found = compare(&run, &slow, 0.03).unwrap();
    assert_eq!(found.regressions(), 4);
}

#[test]
fn a_peer_may_lose_what_it_likes() {
    let run = sample::comparison();
    let found = compare(&run, &slower(&run, "tonic", [3.0; 5]), TOLERANCE).unwrap();
    assert_eq!(found.regressions(), 0);
}

#[test]
fn a_row_that_is_gone_fails_and_a_new_one_does_not() {
    let run = sample::comparison();
    for gone in [0, 1, 6] {
        let mut current = run.clone();
        let row = full_name(&current.rows.remove(gone));
        let found = compare(&run, &current, TOLERANCE).unwrap();
        assert_eq!(found.missing[0].row, row);
        let found = compare(&current, &run, TOLERANCE).unwrap();
        assert!(found.missing.is_empty(), "{:?}", found.missing);
        assert!(found.not_compared.iter().any(|lack| lack.row == row));
    }
}

#[test]
fn a_row_without_its_raw_row_is_told() {
    let run = sample::pair();
    let alone = sample::report(vec![run.rows[1].clone()]);
    let found = compare(&run, &alone, TOLERANCE).unwrap();
    let lacks: Vec<_> = found.missing.iter().map(|lack| lack.why.as_str()).collect();
    assert_eq!(
        lacks.len(),
        2,
        "the raw row, and the row beside it: {lacks:?}"
    );
}

#[test]
fn a_baseline_that_can_tell_nothing_is_refused() {
    let run = sample::pair();
    let alone = sample::report(vec![run.rows[1].clone()]);
    let mut short = run.clone();
    short.rows.iter_mut().for_each(|row| row.each.truncate(2));
    for baseline in [alone, short.clone(), sample::report(Vec::new())] {
        let found = compare(&baseline, &run, TOLERANCE);
        assert!(
            matches!(found, Err(Unusable::NothingToCompare { .. })),
            "{found:?}"
        );
    }
    let found = compare(&run, &short, TOLERANCE).unwrap();
    assert_eq!(found.missing.len(), COMPARED.len());
}

#[test]
fn what_was_not_measured_is_not_compared() {
    let mut run = sample::pair();
    for one in run.rows.iter_mut().flat_map(|row| &mut row.each) {
        one.cpu_us_per_call = None;
    }
    let found = compare(&run, &run, TOLERANCE).unwrap();
    assert_eq!(found.differences.len(), 3);
    assert!(found.not_compared[0].why.contains("cpu_us_per_call"));
}

#[test]
fn another_raw_transport_will_do_if_both_runs_have_it() {
    let mut run = sample::pair();
    run.rows[0].transport = "raw_epoll".to_owned();
    assert_eq!(
        verdicts(&run, &slower(&run, "ipc", [1.3; 5])),
        [Verdict::Regressed; 4]
    );
}

#[test]
fn calls_that_begin_to_fail_are_a_regression() {
    let run = sample::pair();
    let mut failing = run.clone();
    let row = &mut failing.rows[1];
    row.errors = row.calls / 100;
    let found = compare(&run, &failing, TOLERANCE).unwrap();
    assert_eq!(found.regressions(), 1);
    assert_eq!(
        compare(&failing, &failing, TOLERANCE)
            .unwrap()
            .regressions(),
        0
    );
    failing.rows[1].errors = 1;
    assert_eq!(compare(&run, &failing, TOLERANCE).unwrap().regressions(), 0);
}
