//! Both programs as processes of their own.

use std::process::{Command, Output};

use serde_json::Value;

fn object(output: &Output) -> Value {
    let (out, log) = (&output.stdout, String::from_utf8_lossy(&output.stderr));
    // Anything behind the object would be an error of the parser.
    serde_json::from_slice(out).unwrap_or_else(|error| panic!("{error}\n{log}"))
}

#[test]
fn the_demo_loses_nothing_and_says_so_in_one_object() {
    let output = Command::new(env!("CARGO_BIN_EXE_demo"))
        .args(["--json", "--calls", "200", "--reports", "5"])
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
    if nix::unistd::geteuid().is_root() {
        assert_eq!(object["refused_strangers"], 1);
        assert_eq!(object["uids"], serde_json::json!([1001, 1002]));
    } else {
        println!("skipped: the refusal of a stranger needs root");
        assert_eq!(object["refused_strangers"], 0);
    }
}

#[test]
fn an_agent_without_a_daemon_says_so_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_agent-example"))
        .arg("--socket")
        .arg(dir.path().join("nobody.sock"))
        .args(["--log", "off"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(69));
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
    assert!(
        complaint.contains("is daemon-example running"),
        "{complaint}"
    );
}
