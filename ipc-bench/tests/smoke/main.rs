//! Each measurement comes about and says what it found; how fast it was is not looked at.

mod bounds;

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

/// Measures until there was a call in each repetition of each row: on a busy machine a short time
/// may pass without one.
fn with_calls(measure: impl Fn(&str) -> Value) -> Value {
    let found = measure("--duration=0.1");
    let rows = found["rows"].as_array().expect("an array");
    let each = rows
        .iter()
        .flat_map(|row| row["each"].as_array().expect("an array"));
    if each.into_iter().all(|one| is_positive(&one["calls_per_s"])) {
        return found;
    }
    measure("--duration=4")
}

#[test]
fn latency_has_a_row_for_each_transport_and_their_ratio() {
    for runtime in ["current_thread", "multi_thread", "blocking"] {
        let found = with_calls(|duration| {
            let arguments = ["latency", "--repetitions=2", "--runtime", runtime];
            json(&[&arguments[..], &[duration, "--json"]].concat())
        });
        assert_eq!(found["rows"][0]["transport"], "raw");
        assert_eq!(found["rows"][0]["runtime"], "blocking");
        assert_eq!(found["rows"][1]["transport"], "ipc");
        assert_eq!(found["rows"][1]["runtime"], runtime);
        for row in found["rows"].as_array().expect("an array") {
            assert_eq!(row["payload_bytes"], 64);
            is_complete(row);
            assert!(is_positive(&row["latency_us"]["p99"]), "{row}");
            assert_eq!(row["each"].as_array().unwrap().len(), 2);
        }
        assert_eq!(found["ratios"][0]["what"], "p50");
        assert_eq!(
            (&found["ratios"][0]["of"], &found["ratios"][0]["to"]),
            (&1.into(), &0.into())
        );
        assert!(is_positive(&found["ratios"][0]["median"]));
    }
}

/// Calls were made, none failed, and nothing of a row is missing.
#[track_caller]
fn is_complete(row: &Value) {
    let keys = row
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str);
    assert_eq!(keys.collect::<Vec<_>>(), KEYS, "{row}");
    assert!(is_positive(&row["calls"]), "{row}");
    assert_eq!(row["errors"], 0, "{row}");
    assert!(is_positive(&row["calls_per_s"]), "{row}");
    assert!(is_positive(&row["rss_bytes"]["client"]), "{row}");
    assert!(is_positive(&row["rss_bytes"]["server"]), "{row}");
    assert!(
        !row["timeline"].as_array().expect("an array").is_empty(),
        "{row}"
    );
}

/// What a row says, by name.
const KEYS: [&str; 29] = [
    "arrivals",
    "bytes_per_s",
    "calls",
    "calls_per_s",
    "connections",
    "cpu_us_per_call",
    "deadline",
    "each",
    "errors",
    "errors_by",
    "in_flight",
    "latency_us",
    "payload_bytes",
    "percentiles",
    "pinning",
    "processes",
    "rate",
    "rss_bytes",
    "rss_bytes_per_connection",
    "runtime",
    "scenario",
    "stream_bytes_per_s",
    "switches_per_call",
    "syscalls_per_call",
    "timeline",
    "transport",
    "uids",
    "version",
    "windowed",
];

/// Runs one short measurement, and gives its rows.
fn run(arguments: &[&str]) -> Vec<Value> {
    let found = with_calls(|duration| {
        json(
            &[
                &["run"],
                arguments,
                &["--repetitions=1", duration, "--json"],
            ]
            .concat(),
        )
    });
    let rows = found["rows"].as_array().expect("an array").clone();
    rows.iter().for_each(is_complete);
    rows
}

#[test]
fn many_calls_in_flight_are_all_answered() {
    let arguments = [
        "--transport=raw_pipelined,ipc",
        "--in-flight=64",
        "--payload=16000",
        "--no-deadline",
    ];
    let rows = run(&arguments);
    assert_eq!(rows[0]["transport"], "raw_pipelined");
    assert_eq!(rows[1]["in_flight"], 64);
    let windowed = rows.iter().map(|row| row["windowed"].as_bool().unwrap());
    assert_eq!(windowed.collect::<Vec<_>>(), [true, false]);
}

#[test]
fn connections_are_shared_out_to_processes() {
    let rows = run(&["--connections=3,5", "--in-flight=2", "--processes=2"]);
    assert_eq!(rows[0]["connections"], 3);
    assert_eq!(rows[1]["connections"], 5);
    assert_eq!(rows[1]["processes"], 2);
}

#[test]
fn every_scenario_makes_calls_that_succeed() {
    let all = [
        "unary",
        "one_way",
        "server_stream",
        "client_stream",
        "bidi_stream",
        "reverse",
        "mixed",
        "mixed_separate",
        "connect",
        "churn",
    ];
    for runtime in ["--runtime=current_thread", "--runtime=multi_thread"] {
        let rows = run(&[&all.join(","), runtime, "--connections=2", "--in-flight=2"]);
        let scenarios = rows.iter().map(|row| row["scenario"].as_str().unwrap());
        assert_eq!(scenarios.collect::<Vec<_>>(), all);
        for row in rows {
            assert!(is_positive(&row["bytes_per_s"]), "{row}");
        }
    }
}

#[test]
fn a_stream_of_a_mebibyte_runs_beside_small_calls() {
    let rows = run(&["mixed,mixed_separate", "--payload=64"]);
    for row in rows {
        let small = row["calls_per_s"].as_f64().unwrap() * 128.0;
        let stream = row["stream_bytes_per_s"].as_f64().unwrap();
        assert!(stream > small, "{row}");
        let all = row["bytes_per_s"].as_f64().unwrap();
        assert!((all / (stream + small) - 1.0).abs() < 0.01, "{row}");
        assert!(is_positive(&row["each"][0]["stream_bytes_per_s"]), "{row}");
    }
    let alone = run(&["unary", "--in-flight=1"]);
    assert!(alone[0]["stream_bytes_per_s"].is_null(), "{}", alone[0]);
}

#[test]
fn large_messages_go_through_every_stream() {
    let scenarios = "server_stream,client_stream,bidi_stream,unary";
    run(&[scenarios, "--payload=1048576", "--in-flight=1"]);
}

#[test]
fn blocking_clients_call_and_connect() {
    let rows = run(&[
        "unary,connect",
        "--transport=raw,ipc",
        "--runtime=blocking",
        "--in-flight=1",
        "--connections=2",
    ]);
    assert!(rows.iter().all(|row| row["runtime"] == "blocking"));
}

#[test]
fn an_open_loop_makes_the_calls_that_were_meant() {
    for transport in ["raw", "ipc"] {
        let transport = format!("--transport={transport}");
        let found = json(&[
            "run",
            &transport,
            "--rate-steps=1000,2000",
            "--arrivals=constant",
            "--in-flight=1",
            "--connections=4",
            "--repetitions=1",
            "--duration=0.2",
            "--json",
        ]);
        let rows = found["rows"].as_array().expect("an array");
        rows.iter().for_each(is_complete);
        assert_eq!(rows[0]["rate"], 1_000.0);
        assert_eq!(rows[1]["rate"], 2_000.0);
        // What is due in 0.2 s; a call at the very edge may fall outside.
        let calls = [0, 1].map(|row: usize| rows[row]["calls"].as_u64().unwrap());
        assert!((199..=201).contains(&calls[0]), "{calls:?}");
        assert!((399..=401).contains(&calls[1]), "{calls:?}");
    }
}

#[test]
fn idle_connections_are_held_and_weighed() {
    let found = json(&[
        "idle",
        "--connections=20",
        "--settle=1",
        "--window=0.2",
        "--json",
    ]);
    assert_eq!(found["connections"], 20);
    assert!(found["wakeups_per_minute"].is_number(), "{found}");
    assert!(is_positive(&found["rss_bytes_after"]));
}

#[test]
fn as_many_idle_connections_are_held_as_descriptors_allow() {
    let mut command = Command::new("sh");
    let idle =
        r#"ulimit -n 700 && exec "$0" idle --connections 1000 --settle 1 --window 0.1 --json"#;
    let output = command.args(["-c", idle, env!("CARGO_BIN_EXE_ipc-bench")]);
    let output = output.output().expect("there is a shell");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let found: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    // Two descriptors each. One server alone would take four, and hold less than half as many.
    assert_eq!(found["connections"], 290);
    let limited = "the limit of open files allows 290 idle agents, not 1000";
    assert!(said.contains(limited), "{said}");
}

#[test]
fn system_calls_are_counted_or_strace_is_asked_for() {
    let arguments = ["syscalls", "--calls=100", "--json"];
    // Where strace is missing, or may not trace, the program says so and fails.
    let output = bench(&arguments);
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(complaint.starts_with("error: strace "), "{complaint}");
        println!("skipped: {complaint}");
        return;
    }
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(is_positive(&found["rows"][1]["per_call"]), "{found}");
    assert!(found["rows"][1]["client"].is_object(), "{found}");
}

#[test]
fn a_run_counts_system_calls_or_says_why_not() {
    let arguments = ["run", "unary,churn", "--syscalls", "--in-flight=1"];
    let short = ["--repetitions=1", "--duration=0.5", "--json"];
    let output = bench(&[&arguments[..], &short].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let counted = &found["rows"][0]["syscalls_per_call"];
    assert!(
        is_positive(&counted["client"]) || said.contains("system calls are not counted: strace "),
        "{counted} {said}"
    );
    assert!(
        said.contains("system calls of churn are not counted"),
        "{said}"
    );
}

#[test]
fn the_outcome_can_go_to_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("found.json");
    let path = file.to_str().unwrap();
    let output = bench(&[
        "idle",
        "--connections=2",
        "--settle=1",
        "--window=0.1",
        "--json",
        path,
    ]);
    assert!(output.status.success());
    assert!(output.stdout.is_empty());
    let text = std::fs::read_to_string(file).unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(&text).unwrap()["connections"],
        2
    );
}
