//! Goals held against planted repetitions.

use std::collections::BTreeMap;

use super::super::counted;
use super::super::judged::{markdown, unjudged};
use super::*;
use crate::report::row::{Latency, Repetition, Sides};

/// A row whose repetitions have these values in every quantity.
fn row(cell: Cell, names: [&str; 3], values: &[f64]) -> Row {
    let [transport, runtime, scenario] = names.map(str::to_owned);
    let each = values.iter().map(|&value| Repetition {
        calls_per_s: value,
        p50: value,
        p99: value,
        cpu_us_per_call: Some(value),
        stream_bytes_per_s: value,
    });
    Row {
        transport,
        version: None,
        runtime,
        pinning: "none".to_owned(),
        scenario,
        payload_bytes: cell.payload,
        connections: cell.connections,
        in_flight: cell.in_flight,
        processes: 1,
        rate: None,
        arrivals: None,
        deadline: true,
        uids: Vec::new(),
        calls: 1,
        errors: 0,
        errors_by: BTreeMap::new(),
        calls_per_s: 0.0,
        bytes_per_s: 0.0,
        stream_bytes_per_s: None,
        latency_us: Latency::default(),
        windowed: false,
        cpu_us_per_call: None,
        switches_per_call: None,
        rss_bytes: Sides::default(),
        rss_bytes_per_connection: 0.0,
        syscalls_per_call: None,
        each: each.collect(),
        percentiles: Vec::new(),
        timeline: Vec::new(),
    }
}

fn judged(rows: &[([&str; 3], &[f64])], is_meant: fn(&Goal) -> bool) -> Vec<Judged> {
    let goals = goals();
    let goal = goals.iter().find(|goal| is_meant(goal)).unwrap();
    let rows = rows
        .iter()
        .map(|(names, values)| row(goal.cell, *names, values));
    let rows = rows.collect::<Vec<_>>();
    goal.judge(&rows.iter().collect::<Vec<_>>())
}

const IPC: [&str; 3] = ["ipc", "multi_thread", "unary"];
const RAW: [&str; 3] = ["raw", "blocking", "unary"];

#[test]
fn a_goal_is_met_missed_or_unclear_by_the_middle_of_its_repetitions() {
    let first = |_: &Goal| true;
    for (ours, expected) in [
        ([1.0, 1.1, 1.1, 1.2, 9.0], Verdict::Met),
        ([1.0, 1.3, 1.4, 1.5, 1.6], Verdict::Missed),
        ([1.0, 1.1, 1.2, 1.3, 1.4], Verdict::Unclear),
        ([0.0; 5], Verdict::Unclear),
    ] {
        let judged = judged(&[(IPC, &ours), (RAW, &[1.0; 5])], first);
        assert_eq!(judged.len(), 1);
        assert_eq!(judged[0].verdict, expected, "{ours:?}");
        assert_eq!(judged[0].name.goal, "p50 <= 1.2 x raw");
    }
}

#[test]
fn the_best_peer_is_named_but_not_the_one_that_is_the_measure() {
    let is_to_tonic = |goal: &Goal| goal.cell.in_flight == 64 && goal.to == TONIC;
    let peer = |name| [name, "multi_thread", "unary"];
    let rows = [
        (IPC, &[120.0; 5][..]),
        (peer("tonic"), &[10.0; 5]),
        (peer("ttrpc"), &[20.0; 5]),
        (peer("tarpc"), &[30.0; 5]),
        (peer("ipc_busy_poll"), &[99.0; 5]),
        (["zbus", "current_thread", "unary"], &[90.0; 5]),
    ];
    let judged = judged(&rows, is_to_tonic);
    assert_eq!(judged[0].best, Some(("tarpc".to_owned(), 3.0)));
    assert_eq!(
        markdown(&judged).last().unwrap(),
        "| 64 in flight, 64 B | multi_thread | calls/s >= 11 x tonic | tarpc 3.00 | \
         12.0 (12.0..12.0) | yes |"
    );
}

#[test]
fn a_goal_about_a_scenario_is_held_against_this_crate_without_it() {
    let rows = [
        (["ipc", "multi_thread", "reverse"], &[2.0; 5][..]),
        (IPC, &[1.0; 5]),
        (["ipc", "current_thread", "unary"], &[9.0; 5]),
    ];
    let judged = judged(&rows, |goal| goal.cell.group == Group::Reverse);
    assert_eq!(judged.len(), 1);
    assert_eq!(judged[0].measured, "2.00 (2.00..2.00)");
    assert_eq!(judged[0].verdict, Verdict::Missed);
    assert_eq!(judged[0].name.goal, "p50 <= 1.05 x ipc unary");
}

#[test]
fn one_stray_repetition_makes_a_goal_unsteady() {
    let is_steady = |goal: &Goal| goal.to == To::Itself;
    let polling = ["ipc_busy_poll", "multi_thread", "unary"];
    for (values, expected) in [
        ([4.0, 4.0, 5.0, 6.0, 12.0], Verdict::Met),
        ([4.0, 4.0, 4.0, 4.0, 13.0], Verdict::Missed),
    ] {
        let values = values.repeat(2);
        let judged = judged(&[(polling, &values), (IPC, &[1.0; 10])], is_steady);
        assert_eq!(judged.len(), 1);
        assert_eq!(judged[0].verdict, expected, "{values:?}");
        assert_eq!(judged[0].name.goal, "p50 worst <= 3 x best");
    }
    for (third, expected) in [(12.0, Verdict::Unclear), (13.0, Verdict::Missed)] {
        let judged = judged(
            &[(polling, &[4.0, 4.0, third]), (IPC, &[1.0; 3])],
            is_steady,
        );
        assert_eq!(judged[0].verdict, expected, "{third} after few repetitions");
    }
}

#[test]
fn nothing_is_judged_that_was_not_measured() {
    assert!(judged(&[(IPC, &[1.0; 5])], |goal| goal.to == TONIC).is_empty());
    assert!(judged(&[(RAW, &[1.0; 5])], |_| true).is_empty());
}

#[test]
fn a_goal_that_has_nothing_to_divide_says_which_side_lacks_calls() {
    let one = [1.0; 3];
    let some = [1.0, 0.0, 1.0];
    for (ours, raw, expected) in [
        (some, one, "ipc unary: no calls in 1 of 3 repetitions"),
        (one, [0.0; 3], "raw unary: no calls"),
        (
            [0.0; 3],
            [0.0; 3],
            "ipc unary: no calls; raw unary: no calls",
        ),
    ] {
        let judged = judged(&[(IPC, &ours), (RAW, &raw)], |_| true);
        assert_eq!(judged[0].measured, expected);
        assert_eq!(judged[0].verdict, Verdict::Unclear);
    }
    let polling = ["ipc_busy_poll", "multi_thread", "unary"];
    let steady = judged(&[(polling, &some)], |goal| goal.to == To::Itself);
    assert_eq!(
        steady[0].measured,
        "ipc_busy_poll unary: no calls in 1 of 3 repetitions"
    );
}

#[test]
fn few_repetitions_tell_nothing() {
    let judged = judged(&[(IPC, &[1.0; 2]), (RAW, &[1.0; 2])], |_| true);
    assert_eq!(judged[0].verdict, Verdict::Unclear);
    assert_eq!(judged[0].measured, "1.00 (1.00..1.00)");
}

#[test]
fn a_goal_that_was_not_measured_is_named() {
    let judged = judged(&[(IPC, &[1.0; 5]), (RAW, &[1.0; 5])], |_| true);
    let missing = unjudged(&judged);
    assert_eq!(missing.len(), goals().len() + counted::names().count() - 1);
    let cpu = "not measured: 64 in flight, 64 B, current_thread: CPU per call <= 1.1 us";
    assert!(missing.iter().any(|line| line == cpu), "{missing:?}");
}
