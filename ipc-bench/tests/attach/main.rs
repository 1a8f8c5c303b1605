//! `ipc-bench attach` and `soak` against daemons that know nothing of them beyond two lines.

mod daemon;
mod gone;
mod soak;
mod stopped;

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::daemon::{Daemon, descriptors};

/// Runs `ipc-bench attach`.
fn attach(socket: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ipc-bench"));
    command.arg("attach").arg("--socket").arg(socket);
    command.arg("--repetitions=1");
    command.args(arguments).output().expect("the binary runs")
}

/// What it found in a time in which there was a call: on a busy machine a short one may pass
/// without.
fn found(daemon: &Daemon, arguments: &[&str]) -> Value {
    let row = found_in(daemon, "--duration=0.05", arguments);
    if is_positive(&row["calls"]) {
        return row;
    }
    found_in(daemon, "--duration=4", arguments)
}

fn found_in(daemon: &Daemon, duration: &str, arguments: &[&str]) -> Value {
    let arguments = [arguments, &[duration, "--output=-"]].concat();
    let output = attach(&daemon.socket(), &arguments);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {complaint}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    report["rows"][0].clone()
}

/// What it complained of.
fn complaint(daemon: &Daemon, arguments: &[&str]) -> String {
    complaint_of(&attach(&daemon.socket(), arguments))
}

fn complaint_of(output: &Output) -> String {
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    assert!(complaint.starts_with("error: "), "{complaint}");
    complaint
}

fn is_positive(value: &Value) -> bool {
    value.as_f64().is_some_and(|value| value > 0.0)
}

#[test]
fn a_daemon_is_loaded_through_its_echo() {
    let daemon = Daemon::open();
    let row = found(
        &daemon,
        &["--payload=1000", "--connections=3", "--processes=2"],
    );
    assert_eq!(row["payload_bytes"], 1_000);
    assert_eq!(row["connections"], 3);
    assert_eq!(row["errors"], 0);
    assert!(is_positive(&row["calls"]), "{row}");
    assert!(is_positive(&row["latency_us"]["p99"]), "{row}");
    assert!(is_positive(&row["rss_bytes"]["server"]), "{row}");
}

#[test]
fn a_method_of_its_own_is_called_with_a_json_body() {
    let daemon = Daemon::open();
    let json = r#"{"name": "sync", "sizes": [1, 2]}"#;
    let row = found(&daemon, &["--method=user.Jobs/Submit", "--json", json]);
    assert_eq!(row["scenario"], "user.Jobs/Submit");
    assert_eq!(
        (&row["errors"], &row["payload_bytes"]),
        (&0.into(), &10.into())
    );
    assert!(is_positive(&row["calls"]), "{row}");
}

#[test]
fn an_open_loop_makes_the_calls_that_were_intended() {
    let daemon = Daemon::open();
    let arguments = ["--rate=2000", "--arrivals=constant"];
    let row = found_in(&daemon, "--duration=0.05", &arguments);
    assert_eq!(row["rate"], 2_000.0);
    let count = |key: &str| row[key].as_u64().expect("a count");
    let intended = count("calls") + count("errors");
    // 0.05 s of them, more or less one at each end.
    assert!((99..=101).contains(&intended), "{intended}");
}

#[test]
fn descriptors_from_a_file_do_where_the_daemon_tells_none() {
    let daemon = Daemon::start(|builder| builder);
    let file = daemon.file("user.binpb", &descriptors());
    let file = file.to_str().expect("an UTF-8 path");
    let row = found(
        &daemon,
        &["--method=user.Jobs/Submit", "--descriptors", file],
    );
    assert!(is_positive(&row["calls"]), "{row}");
    let complaint = complaint(&daemon, &["--method=user.Jobs/Submit"]);
    assert!(
        complaint.contains("ipc_bench::reflection(..)"),
        "{complaint}"
    );
}

#[test]
fn a_daemon_without_the_echo_is_told_how_to_have_it() {
    let daemon = Daemon::start(|builder| builder);
    let complaint = complaint(&daemon, &[]);
    assert!(complaint.contains("ipc_bench::echo()"), "{complaint}");
}

#[test]
fn what_cannot_be_called_is_said_before_the_load() {
    let daemon = Daemon::open();
    for (arguments, expected) in [
        (
            &["--method=user.Jobs/Submid"][..],
            "it has user.Jobs/Submit, ",
        ),
        (&["--method=user.Jobs/Watch"], "user.Jobs/Watch streams"),
        (
            &[
                "--method=user.Jobs/Submit",
                "--json",
                r#"{"sizes": [1, -2]}"#,
            ],
            "the body is no user.Request, see sizes[1]",
        ),
        (&["--method=user.Jobs/Refuse"], "there is never such a job"),
    ] {
        let complaint = complaint(&daemon, arguments);
        assert!(complaint.contains(expected), "{complaint}");
    }
}

#[test]
fn a_method_for_root_is_refused_to_others() {
    let daemon = Daemon::open();
    let arguments = ["--method=user.Jobs/Purge"];
    if nix::unistd::geteuid().is_root() {
        found(&daemon, &arguments);
        println!("skipped: root may call what others may not");
        return;
    }
    let complaint = complaint(&daemon, &arguments);
    assert!(
        complaint.contains("is not open to this user"),
        "{complaint}"
    );
}

#[test]
fn a_daemon_that_is_not_there_or_lets_nobody_in_is_told_apart() {
    let closed = Daemon::closed();
    let refused = complaint(&closed, &[]);
    assert!(refused.contains("does not let this user in"), "{refused}");
    let absent = complaint_of(&attach(&closed.socket().with_file_name("none"), &[]));
    assert!(absent.contains("no daemon listens at"), "{absent}");
}
