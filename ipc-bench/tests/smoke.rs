//! Each measurement comes about and says what it found; how fast it was is not looked at.

use std::process::{Command, Output};

use serde_json::Value;

fn bench(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ipc-bench"));
    command.args(arguments).output().expect("the binary runs")
}

fn json(arguments: &[&str]) -> Value {
    let output = bench(arguments);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {complaint}");
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

fn is_positive(value: &Value) -> bool {
    value.as_f64().is_some_and(|value| value > 0.0)
}

#[test]
fn latency_has_a_row_for_each_transport_and_their_ratio() {
    for runtime in ["current_thread", "multi_thread"] {
        let found = json(&[
            "latency",
            "--repetitions=2",
            "--duration=0.05",
            "--runtime",
            runtime,
            "--json",
        ]);
        assert_eq!(found["rows"][0]["transport"], "raw");
        assert_eq!(found["rows"][0]["runtime"], Value::Null);
        assert_eq!(found["rows"][1]["transport"], "ipc");
        assert_eq!(found["rows"][1]["runtime"], runtime);
        for row in found["rows"].as_array().unwrap() {
            assert_eq!(row["payload_bytes"], 64);
            assert!(is_positive(&row["calls"]), "{row}");
            assert!(is_positive(&row["latency_us"]["p99"]["median"]), "{row}");
        }
        assert!(is_positive(&found["ratios"]["p50_to_raw"]["median"]));
    }
}

#[test]
fn many_calls_in_flight_are_all_answered() {
    let found = json(&[
        "run",
        "--in-flight=64",
        "--payload=16000",
        "--repetitions=1",
        "--duration=0.05",
        "--no-deadline",
        "--json",
    ]);
    assert_eq!(found["rows"][1]["in_flight"], 64);
    assert!(is_positive(&found["rows"][1]["calls_per_s"]["median"]));
}

#[test]
fn idle_connections_are_held_and_weighed() {
    let found = json(&["idle", "--connections=20", "--json"]);
    assert_eq!(found["connections"], 20);
    assert!(is_positive(&found["rss_bytes_after"]));
}

#[test]
fn system_calls_are_counted_or_strace_is_asked_for() {
    let arguments = ["syscalls", "--calls=100", "--json"];
    // Where strace is missing, or may not trace, the program says so and fails.
    let output = bench(&arguments);
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(complaint.starts_with("error: "), "{complaint}");
        println!("skipped: {complaint}");
        return;
    }
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(is_positive(&found["rows"][1]["per_call"]), "{found}");
}

#[test]
fn the_outcome_can_go_to_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("found.json");
    let path = file.to_str().unwrap();
    let output = bench(&["idle", "--connections=2", "--json", path]);
    assert!(output.status.success());
    assert!(output.stdout.is_empty());
    let text = std::fs::read_to_string(file).unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(&text).unwrap()["connections"],
        2
    );
}
