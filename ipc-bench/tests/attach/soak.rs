//! `ipc-bench soak`, for as short as it says anything.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::daemon::Daemon;

fn soak(socket: Option<&Path>, seconds: u32) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ipc-bench"));
    command.args(["soak", "--agents=20", "--churn=20", "--json"]);
    let seconds = f64::from(seconds);
    for (name, value) in [
        // No more than a leaking daemon may open, however long it takes.
        ("calls-per-second", (10.0 / seconds).max(1.0)),
        ("duration", seconds),
        ("interval", 0.2),
        ("settle", seconds / 4.0),
    ] {
        command.arg(format!("--{name}={value}"));
    }
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
    assert!(samples.len() >= 10, "{found}");
    for sample in samples {
        assert!(sample["rss_bytes"].as_u64().is_some_and(|bytes| bytes > 0));
    }
    found
}

/// Soaks until there are samples enough to tell the trend of a quantity from its noise: on a busy
/// machine those of a short time may be too alike. Says why not where they always are.
fn certain(socket: Option<&Path>, quantity: &str) -> Result<(Output, Value), String> {
    let mut why = format!("{quantity} never said enough for a verdict");
    for seconds in DURATIONS {
        let output = soak(socket, seconds);
        let found = found(&output);
        let trend = &found["soak"]["trends"][quantity];
        if trend["per_hour_error"].is_number() {
            return Ok((output, found));
        }
        why = format!("{why}; {seconds} s: {trend}");
    }
    Err(why)
}

/// Seconds of the soaks that are tried, one after the other.
const DURATIONS: [u32; 3] = [2, 4, 20];

#[test]
fn agents_that_come_and_go_leave_a_server_as_it_was() {
    let (output, found) = match certain(None, "rss_bytes") {
        Ok(certain) => certain,
        Err(why) => {
            println!("skipped: {why}");
            return;
        }
    };
    assert!(output.status.success(), "{found}");
    let memory = &found["soak"]["trends"]["rss_bytes"];
    assert!(memory["per_hour"].is_number(), "{found}");
    assert_eq!(found["soak"]["verdict"], "steady", "{found}");
}

#[test]
fn a_daemon_that_keeps_what_it_opens_is_found_out() {
    let daemon = Daemon::leaking();
    let (output, found) = match certain(Some(&daemon.socket()), "descriptors") {
        Ok(certain) => certain,
        Err(why) => {
            println!("skipped: {why}");
            return;
        }
    };
    let descriptors = &found["soak"]["trends"]["descriptors"];
    assert!(descriptors["gained"].as_f64() > Some(4.0), "{found}");
    assert_eq!(output.status.code(), Some(1), "{found}");
    assert_eq!(found["soak"]["verdict"], "leak");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(
        complaint.contains("error: the daemon holds more and more"),
        "{complaint}"
    );
}
