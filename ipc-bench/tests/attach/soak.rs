//! `ipc-bench soak`, for as short as it says anything.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::daemon::Daemon;

fn soak(socket: Option<&Path>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ipc-bench"));
    command.args(["soak", "--agents=20", "--calls-per-second=5", "--churn=20"]);
    command.args(["--duration=2", "--interval=0.2", "--settle=0.5", "--json"]);
    if let Some(socket) = socket {
        command.arg("--socket").arg(socket);
    }
    command.output().expect("the binary runs")
}

/// What it found.
fn found(output: &Output) -> Value {
    let complaint = String::from_utf8_lossy(&output.stderr);
    let found = serde_json::from_slice::<Value>(&output.stdout);
    let found = found.unwrap_or_else(|_| panic!("{complaint}"));
    assert_eq!(found["rows"][0]["scenario"], "soak");
    assert_eq!(found["rows"][0]["connections"], 20);
    let samples = found["soak"]["samples"].as_array().expect("a list");
    assert_eq!(samples.len(), 10);
    for sample in samples {
        assert!(sample["rss_bytes"].as_u64().is_some_and(|bytes| bytes > 0));
    }
    found
}

/// Whether there were samples enough to tell a trend from its noise: on a busy machine those that
/// follow each other may be too alike.
fn is_certain(trend: &Value) -> bool {
    trend["per_hour_error"].is_number()
}

#[test]
fn agents_that_come_and_go_leave_a_server_as_it_was() {
    let output = soak(None);
    let found = found(&output);
    assert!(output.status.success(), "{found}");
    let memory = &found["soak"]["trends"]["rss_bytes"];
    assert!(memory["per_hour"].is_number(), "{found}");
    let verdict = if is_certain(memory) {
        "steady"
    } else {
        "unknown"
    };
    assert_eq!(found["soak"]["verdict"], verdict, "{found}");
}

#[test]
fn a_daemon_that_keeps_what_it_opens_is_found_out() {
    let daemon = Daemon::leaking();
    let output = soak(Some(&daemon.socket()));
    let found = found(&output);
    let descriptors = &found["soak"]["trends"]["descriptors"];
    assert!(descriptors["gained"].as_f64() > Some(4.0), "{found}");
    if !is_certain(descriptors) {
        println!("skipped: the samples are too alike for a verdict: {found}");
        return;
    }
    assert_eq!(output.status.code(), Some(1), "{found}");
    assert_eq!(found["soak"]["verdict"], "leak");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(
        complaint.contains("error: the daemon holds more and more"),
        "{complaint}"
    );
}
