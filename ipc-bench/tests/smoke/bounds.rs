//! Who can call, how much, and what is said where that is not what was asked for.

use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::geteuid;
use serde_json::Value;

use crate::{bench, is_complete, run};

#[test]
fn processes_without_a_connection_are_told() {
    let arguments = ["run", "--connections=2", "--processes=4", "--json"];
    let short = ["--repetitions=1", "--duration=0.1"];
    let output = bench(&[&arguments[..], &short].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    let told = "2 connections: no more than 2 of 4 client processes are started";
    assert!(said.contains(told), "{said}");
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["rows"][0]["processes"], 2);
}

#[test]
fn more_connections_than_one_user_usually_has_are_let_in() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    if most < 10_000 {
        println!("skipped: the limit of open files is {most}");
        return;
    }
    // 1,100 at the same time, of 1,024.
    let rows = run(&["connect", "--connections=110", "--in-flight=10"]);
    assert_eq!(rows[0]["errors"], 0);
}

#[test]
fn agents_of_other_users_call_or_are_refused_with_a_reason() {
    let output = bench(&[
        "run",
        "--transport=raw,raw_epoll,raw_tokio,ipc",
        "--uids=1001,1002",
        "--connections=2",
        "--in-flight=1",
        "--repetitions=1",
        "--duration=1",
        "--json",
    ]);
    let complaint = String::from_utf8_lossy(&output.stderr);
    if !geteuid().is_root() {
        assert!(complaint.contains("only root"), "{complaint}");
    } else if complaint.contains("a client cannot be started: Permission denied") {
        println!("skipped: other users may not run this binary: {complaint}");
        return;
    }
    assert!(output.status.success(), "{complaint}");
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = found["rows"].as_array().expect("an array");
    assert_eq!(rows.len(), 4);
    rows.iter().for_each(is_complete);
}

#[test]
fn users_without_a_connection_are_refused() {
    if !geteuid().is_root() {
        println!("skipped: only root can start agents of other users");
        return;
    }
    let output = bench(&["run", "--uids=1001,1002"]);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{complaint}");
    let told = "2 users need a connection each, and there are 1";
    assert!(complaint.contains(told), "{complaint}");
}

#[test]
fn what_cannot_be_measured_is_said() {
    for (arguments, reason) in [
        (["run", "chat", ""], "invalid value"),
        (["run", "--connections=0", ""], "at least 1"),
        (["run", "--rate=-1", ""], "not a number above 0"),
        (["run", "--rate=1e15", ""], "a rate of up to 10,000,000"),
        (["run", "--duration=1e20", ""], "up to a week"),
        (["soak", "--interval=1e20", ""], "up to a week"),
        (["idle", "--window=1e20", ""], "up to a week"),
        (["idle", "--settle=1e20", ""], "up to a week"),
        (["syscalls", "--in-flight=0", ""], "at least 1"),
        (["syscalls", "--calls=0", ""], "0 is not in 1.."),
        (["run", "server_stream", "--rate=10"], "not supported"),
        (["run", "reverse", "--transport=raw"], "not supported"),
        (["run", "unary", "--transport=raw"], "not supported"),
    ] {
        let arguments = arguments.iter().filter(|argument| !argument.is_empty());
        let output = bench(&arguments.copied().collect::<Vec<_>>());
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{complaint}");
        assert!(complaint.contains(reason), "{complaint}");
    }
}
