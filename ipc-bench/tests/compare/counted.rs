//! What is counted beside timed calls, and what is said where it cannot be.

use std::process::{Command, Output};

use serde_json::Value;

use crate::{SHORT, bench, list, script};

#[test]
fn idle_agents_and_system_calls_are_judged_in_the_same_table() {
    let folder = tempfile::tempdir().expect("a folder");
    let [json, markdown, html] = ["found.json", "goals.md", "page.html"].map(|name| {
        let path = folder.path().join(name);
        path.to_str().expect("UTF-8").to_owned()
    });
    let arguments = ["compare", "--only=connections,in_flight"];
    let files = ["--json", &json, "--markdown", &markdown, "--html", &html];
    let output = bench(&[&arguments[..], &SHORT, &files].concat());
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    let [found, text, page] =
        [json, markdown, html].map(|file| std::fs::read_to_string(file).expect("a file"));
    let found: Value = serde_json::from_str(&found).expect("one JSON object");
    for runtime in ["current_thread", "multi_thread"] {
        let judged = |what: &str, goal: &str| {
            let start = format!("| {what} | {runtime} | {goal} | - | ");
            text.lines().any(|line| line.starts_with(&start))
        };
        let agents = "10000 idle agents";
        assert!(
            judged(agents, "memory of the server per agent <= 8 KiB"),
            "{text}"
        );
        assert!(
            judged(agents, "wake-ups of the server per minute <= 0"),
            "{text}"
        );
        let calls = "64 in flight, 64 B, one core, under strace";
        let is_counted = judged(calls, "system calls per call, both sides <= 0.25");
        let is_said = complaint.contains("not measured: system calls per call: strace ");
        assert!(is_counted != is_said, "{complaint} {text}");
    }
    let of_agents = |line: &&str| line.starts_with("| 10000 idle agents |");
    let is_limited = |line: &str| {
        line.trim_end_matches([' ', '|', '*'])
            .ends_with(", with 100")
    };
    assert_eq!(text.lines().filter(of_agents).count(), 4, "{text}");
    assert!(text.lines().filter(of_agents).all(is_limited), "{text}");
    let goals = list(&found["goals"]["judged"]).iter();
    let of_agents = goals.filter(|goal| goal["what"] == "10000 idle agents");
    let fewer = of_agents.map(|goal| goal["fewer"].as_u64());
    assert_eq!(fewer.collect::<Vec<_>>(), [Some(100); 4], "{found}");
    assert_eq!(page.matches(", with 100</td>").count(), 4, "{page}");
}

/// Compares where nothing can be started but a script that is called strace, if there is one.
fn with_strace(body: Option<&str>) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    if let Some(body) = body {
        script(&folder.path().join("strace"), body);
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_ipc-bench"));
    command.args(["compare", "--only=in_flight"]).args(SHORT);
    command.env("PATH", folder.path());
    command.output().expect("the binary runs")
}

#[test]
fn without_strace_system_calls_are_left_out_with_a_word() {
    let forbidden = "echo 'ptrace: not permitted' >&2; exit 1";
    for (body, why) in [
        (
            None,
            "strace is not there: install it to count system calls",
        ),
        (
            Some(forbidden),
            "strace may not trace here: ptrace: not permitted",
        ),
    ] {
        let output = with_strace(body);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{complaint}");
        let said = format!("not measured: system calls per call: {why}");
        assert_eq!(complaint.matches(&said).count(), 1, "{complaint}");
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(text.matches(&said).count(), 1, "{text}");
    }
}

#[test]
fn system_calls_that_cannot_be_counted_make_a_comparison_fail() {
    let output = with_strace(Some("case $* in *serve*) exit 3;; esac"));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    let failed = "system calls, 64 in flight, current_thread: the server process ended";
    assert!(complaint.contains(failed), "{complaint}");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("not measured: 64 in flight, 64 B, one core, under strace"),
        "{text}"
    );
}

#[test]
fn idle_agents_that_cannot_be_held_make_a_comparison_fail() {
    let mut command = Command::new("sh");
    let compare = r#"ulimit -n 512 && exec "$0" compare --only=connections "$@""#;
    command.args(["-c", compare, env!("CARGO_BIN_EXE_ipc-bench")]);
    let output = command.args(SHORT).output().expect("there is a shell");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    for runtime in ["current_thread", "multi_thread"] {
        let failed = format!("idle agents, {runtime}: the server can hold 0 agents");
        assert!(complaint.contains(&failed), "{complaint}");
    }
}
