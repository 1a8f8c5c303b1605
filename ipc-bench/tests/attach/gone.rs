//! A daemon that ends under load: what was measured until then is kept.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::sync_channel;

use ipc_bench::proto::bench::EchoServer;
use serde_json::Value;

use crate::daemon::{Daemon, PATIENCE, Telling};

fn bench() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ipc-bench"));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What it found and what it said besides, once it has failed.
fn failed(bench: Child, mut stderr: BufReader<ChildStderr>) -> (Value, String) {
    let output = bench.wait_with_output().expect("it is ours");
    let mut said = String::new();
    stderr.read_to_string(&mut said).expect("text");
    assert_eq!(output.status.code(), Some(1), "{said}");
    let found = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{said}"));
    (found, said)
}

#[test]
fn attach_keeps_what_was_measured() {
    let (tell, told) = sync_channel(1);
    let daemon = Daemon::start(|builder| builder.service(EchoServer::new(Telling(tell))));
    let mut process = Command::new("cat");
    let mut process = process.stdin(Stdio::piped()).spawn().expect("cat");
    let mut bench = bench();
    bench.args(["attach", "--duration=1", "--repetitions=2", "--output=-"]);
    bench.arg(format!("--pid={}", process.id()));
    bench.arg("--socket").arg(daemon.socket());
    let mut bench = bench.spawn().expect("the binary runs");
    let stderr = BufReader::new(bench.stderr.take().expect("a pipe"));
    // The first calls are made before the load.
    for _ in 0..100 {
        told.recv_timeout(PATIENCE).expect("a call");
    }
    process.kill().expect("it is there");
    process.wait().expect("it is ours");
    drop(daemon);
    let (found, said) = failed(bench, stderr);
    assert!(said.contains("the daemon has gone"), "{said}");
    assert_eq!(found["repetitions"], 1, "{said}");
    let row = &found["rows"][0];
    assert!(row["errors"].as_u64() > Some(0), "{row}");
    assert_eq!(row["rss_bytes"]["server"], 0, "{row}");
}

#[test]
fn a_soak_keeps_its_samples() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("s");
    let mut daemon = bench();
    daemon.args(["serve", "--transport=ipc", "--runtime=current_thread"]);
    daemon.arg("--connections=2").arg("--socket").arg(&socket);
    let mut daemon = daemon.stdin(Stdio::piped()).spawn().expect("it runs");
    let mut ready = String::new();
    let said = daemon.stdout.as_mut().expect("a pipe");
    BufReader::new(said).read_line(&mut ready).expect("a line");
    let mut bench = bench();
    bench.args(["soak", "--agents=2", "--calls-per-second=50", "--json"]);
    bench.args(["--duration=3", "--interval=0.3"]);
    let mut bench = bench.arg("--socket").arg(&socket).spawn().expect("it runs");
    let mut stderr = BufReader::new(bench.stderr.take().expect("a pipe"));
    let mut line = String::new();
    for _ in 0..2 {
        stderr.read_line(&mut line).expect("a sample");
    }
    daemon.kill().expect("it is there");
    daemon.wait().expect("it is ours");
    let (found, said) = failed(bench, stderr);
    assert!(said.contains("error: the daemon has gone"), "{said}");
    let samples = found["soak"]["samples"].as_array().expect("a list");
    assert!((2..10).contains(&samples.len()), "{found}");
    assert!(found["rows"][0]["errors"].as_u64() > Some(0), "{found}");
}
