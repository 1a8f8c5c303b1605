//! The demo from outside.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, geteuid};
use serde_json::{Value, json};

use crate::programs::{AGENT, daemon};

fn demo() -> Command {
    demo_of(&daemon())
}

fn demo_of(daemon: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
    command.args(["--json", "--agent", AGENT, "--daemon"]);
    command.arg(daemon);
    command
}

fn object(output: &Output) -> Value {
    let (out, log) = (&output.stdout, String::from_utf8_lossy(&output.stderr));
    // Anything behind the object would be an error of the parser.
    serde_json::from_slice(out).unwrap_or_else(|error| panic!("{error}\n{log}"))
}

#[test]
fn the_demo_loses_nothing_and_says_so_in_one_object() {
    let output = demo()
        .args(["--calls", "200", "--reports", "5"])
        .output()
        .unwrap();
    let object = object(&output);
    assert!(output.status.success(), "{object}");
    assert_eq!(object["agents"], 2);
    assert_eq!(object["reports"], 10);
    assert_eq!(object["repeats"], 10);
    assert_eq!(object["lost"], 0);
    assert!(
        object["calls"].as_u64().is_some_and(|calls| calls >= 400),
        "{object}"
    );
    assert!(
        object["deltas"].as_u64().is_some_and(|deltas| deltas >= 4),
        "{object}"
    );
    if geteuid().is_root() {
        assert_eq!(object["refused_strangers"], 1);
        assert_eq!(object["uids"], json!([1001, 1002]));
    } else {
        println!("skipped: the refusal of a stranger needs root");
        assert_eq!(object["refused_strangers"], 0);
    }
}

#[test]
fn a_demo_out_of_time_says_what_it_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let mute = dir.path().join("mute");
    // Written by a child, for the reason why `Stand` copies with one.
    let script = r##"printf '#!/bin/sh\nexec sleep 60\n' > "$0" && chmod 755 "$0""##;
    let mut write = Command::new("sh");
    write.args(["-c", script]).arg(&mute);
    assert!(write.status().unwrap().success());
    let output = demo_of(&mute).args(["--limit", "0"]).output().unwrap();
    let wait = "not over after 0 s, still waiting for daemon to listen; `--limit` gives it longer";
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(log.lines().last().unwrap(), format!("demo: {wait}"));
    assert_eq!(object(&output), json!({ "error": wait }));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn an_interrupted_demo_leaves_neither_programs_nor_files() {
    let mut command = demo();
    command.args(["--calls", "100000000"]).process_group(0);
    let mut demo = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut steps = BufReader::new(demo.stderr.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let path = steps.find_map(|step| {
        let rest = step.strip_prefix("daemon listens at ")?;
        Some(rest.split_once(" as uid ")?.0.to_owned())
    });
    let socket = path.unwrap();
    let mut witness = UnixStream::connect(&socket).unwrap();
    steps
        .find(|step| step.starts_with("agent two is registered"))
        .unwrap();
    // What a terminal does at Ctrl-C.
    let group = Pid::from_raw(demo.id().try_into().unwrap());
    killpg(group, Signal::SIGINT).unwrap();
    let log: Vec<_> = steps.collect();
    assert_eq!(log.last().unwrap(), "demo: stopped");
    let output = demo.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert_eq!(object(&output), json!({ "error": "stopped" }));
    // A daemon that lived would say something before it closes.
    let mut said = Vec::new();
    witness.read_to_end(&mut said).ok();
    assert!(said.is_empty(), "{said:?}");
    let folder = Path::new(&socket).parent().unwrap();
    assert!(!folder.exists(), "{}", folder.display());
}
