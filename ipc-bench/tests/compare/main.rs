//! Transports side by side: each makes calls and says what they took; how fast it was is not
//! looked at.

mod counted;

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn bench(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ipc-bench"));
    command.args(arguments).output().expect("the binary runs")
}

fn text(arguments: &[&str]) -> String {
    let output = bench(arguments);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {complaint}");
    String::from_utf8(output.stdout).expect("text")
}

fn json(arguments: &[&str]) -> Value {
    serde_json::from_str(&text(arguments)).expect("one JSON object")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn is_positive(value: &Value) -> bool {
    value.as_f64().is_some_and(|value| value > 0.0)
}

/// Makes a program of a shell script. Another process writes it: what this one has open, a process
/// that it starts meanwhile has open too, and then the script cannot be run (ETXTBSY).
fn script(file: &Path, body: &str) {
    let write = r#"printf '#!/bin/sh\n%s\n' "$1" > "$0" && chmod 755 "$0""#;
    let mut shell = Command::new("sh");
    let written = shell.args(["-c", write]).arg(file).arg(body).status();
    let written = written.expect("there is a shell");
    assert!(written.success(), "{written}");
}

const PEERS: &[&str] = if cfg!(feature = "peers") {
    &["tonic", "ttrpc", "tarpc", "zbus"]
} else {
    &[]
};

const SHORT: [&str; 3] = ["--quick", "--repetitions=1", "--duration=0.1"];

/// Measures until there was a call in each repetition of each row: on a busy machine a short time
/// may pass without one.
fn rows_with_calls(arguments: &[&str]) -> Value {
    rows_with_calls_within(["0.3", "3"], arguments)
}

fn rows_with_calls_within(durations: [&str; 2], arguments: &[&str]) -> Value {
    let mut found = Value::Null;
    for seconds in durations {
        found = json(&[arguments, &["--json", "--duration", seconds]].concat());
        let rows = list(&found["rows"]).iter();
        let mut each = rows.flat_map(|row| list(&row["each"]));
        if each.all(|one| is_positive(&one["calls_per_s"])) {
            break;
        }
    }
    for row in list(&found["rows"]) {
        assert!(is_positive(&row["calls"]), "{row}");
        assert_eq!(row["errors"], 0, "{row}");
    }
    found
}

#[test]
fn all_are_compared_in_each_cell_with_ratios_and_versions() {
    let short = ["compare", "--quick", "--repetitions=1"];
    let found = rows_with_calls_within(["0.1", "1"], &short);
    let rows = list(&found["rows"]);
    for row in rows {
        assert_eq!(list(&row["each"]).len(), 1);
        let name = row["transport"].as_str().unwrap();
        let is_library = name == "raw_tokio" || !name.starts_with("raw");
        assert_eq!(row["version"].is_string(), is_library, "{row}");
    }
    let streaming = PEERS
        .iter()
        .filter(|name| ["tonic", "ttrpc"].contains(name));
    let streaming = streaming.copied().collect::<Vec<_>>();
    for (cell, base, peers) in [
        (("unary", 1, 1), ("raw", "unary"), PEERS),
        (("unary", 64, 1), ("raw_pipelined", "unary"), PEERS),
        (("unary", 1, 64), ("raw_epoll", "unary"), PEERS),
        (("connect", 1, 1), ("raw_epoll", "connect"), PEERS),
        (
            ("server_stream", 1, 1),
            ("raw_stream", "server_stream"),
            &streaming,
        ),
        (("mixed", 1, 1), ("ipc", "mixed_separate"), &streaming),
        (("reverse", 1, 1), ("ipc", "unary"), &[]),
    ] {
        let (scenario, in_flight, connections) = cell;
        let is = |row: &Value, (name, scenario): (&str, &str)| {
            row["transport"] == name
                && row["scenario"] == scenario
                && row["in_flight"] == in_flight
                && row["connections"] == connections
        };
        for name in peers.iter().chain(&["ipc"]) {
            let is_there = rows.iter().any(|row| is(row, (name, scenario)));
            assert!(is_there, "{name} in {cell:?}");
        }
        let is_meant = |ratio: &&Value| {
            let [of, to] = sides(ratio).map(|side| &rows[side]);
            is(of, ("ipc", scenario)) && is(to, base)
        };
        let ratios = list(&found["ratios"]).iter().filter(is_meant);
        assert!(ratios.count() >= 2, "ipc to {base:?} in {cell:?}");
    }
    list(&found["ratios"])
        .iter()
        .for_each(|ratio| is_of_one_cell(ratio, rows));
}

#[track_caller]
fn is_of_one_cell(ratio: &Value, rows: &[Value]) {
    assert!(is_positive(&ratio["median"]), "{ratio}");
    let [of, to] = sides(ratio);
    assert_eq!(rows[of]["in_flight"], rows[to]["in_flight"]);
    assert_eq!(rows[of]["connections"], rows[to]["connections"]);
    assert_ne!(of, to);
}

/// The rows that a ratio is of.
fn sides(ratio: &Value) -> [usize; 2] {
    ["of", "to"].map(|side| {
        let index = ratio[side].as_u64().expect("an index");
        usize::try_from(index).expect("no more rows than memory")
    })
}

/// The first two cores that this process may run on; none where they are fewer or nobody says.
fn two_cores() -> Option<[usize; 2]> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let mut lines = status.lines();
    let allowed = lines.find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    let ranges = allowed.trim().split(',').filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.parse::<usize>().ok()?..=last.parse().ok()?)
    });
    let mut cores = ranges.flatten();
    Some([cores.next()?, cores.next()?])
}

#[test]
fn two_cores_are_compared_where_there_are_two() {
    let Some([first, second]) = two_cores() else {
        println!("skipped: this process may not run on two cores, or nobody says on which");
        return;
    };
    let on = |cores: String| {
        let mut taskset = Command::new("taskset");
        taskset.args(["-c", &cores, env!("CARGO_BIN_EXE_ipc-bench")]);
        taskset.args(["compare", "--only=two_cores", "--json"]);
        taskset.args(SHORT).output()
    };
    let Ok(on_two) = on(format!("{first},{second}")) else {
        println!("skipped: nothing can be put on a core without taskset");
        return;
    };
    let complaint = String::from_utf8_lossy(&on_two.stderr);
    assert!(on_two.status.success(), "{complaint}");
    let found: Value = serde_json::from_slice(&on_two.stdout).expect("one JSON object");
    let polls = |row: &Value| row["transport"] == "ipc_busy_poll" && row["pinning"] == "split";
    assert!(list(&found["rows"]).iter().any(polls), "{found}");
    let on_one = on(second.to_string()).expect("taskset is there");
    let complaint = String::from_utf8_lossy(&on_one.stderr);
    assert!(on_one.status.success(), "{complaint}");
    assert!(
        complaint.contains("two cores: skipped, this machine has too few cores"),
        "{complaint}"
    );
}

#[test]
fn a_core_that_this_process_may_not_use_is_not_asked_for() {
    let Some([_, second]) = two_cores() else {
        println!("skipped: this process may not run on two cores, or nobody says on which");
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let asked = folder.path().join("asked");
    let body = r#"[ "$1" = --version ] && exit; echo "$2" >> "${0%/*}/asked"; shift 2; exec "$@""#;
    script(&folder.path().join("taskset"), body);
    let mut taskset = Command::new("taskset");
    taskset.args(["-c", &second.to_string(), "env"]);
    taskset.arg(format!("PATH={}", folder.path().display()));
    taskset.args([env!("CARGO_BIN_EXE_ipc-bench"), "run", "--pinning=same"]);
    let Ok(output) = taskset
        .args(["--repetitions=1", "--duration=0.05"])
        .output()
    else {
        println!("skipped: nothing can be put on a core without taskset");
        return;
    };
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    let asked = std::fs::read_to_string(asked).expect("both sides asked");
    assert_eq!(asked, format!("{second}\n").repeat(2));
}

#[test]
fn goals_are_judged_in_markdown_and_the_rest_is_left_out() {
    let arguments = [
        "compare",
        "--only=latency",
        "--runtime=current_thread",
        "--markdown",
    ];
    let text = text(&[&arguments[..], &SHORT].concat());
    assert!(
        text.contains("| latency, 64 B, one core | current_thread | p50 <= 1.2 x raw |"),
        "{text}"
    );
    assert!(
        text.contains("| latency, 64 B, one core | blocking | p50 <= 1.08 x raw |"),
        "{text}"
    );
    let is_beside_tonic = text.contains("x tonic | ");
    assert_eq!(is_beside_tonic, cfg!(feature = "peers"), "{text}");
    assert!(!text.contains("| 64 in flight"), "{text}");
    assert!(
        text.contains("not measured: 64 in flight, 64 B: "),
        "{text}"
    );
    assert!(text.contains("load average"), "{text}");
}

#[test]
fn what_a_stream_moves_beside_calls_is_told() {
    let what = ["compare", "--only=mixed", "--quick"];
    let short = ["--repetitions=1", "--duration=0.5"];
    let markdown = text(&[&what[..], &short, &["--markdown"]].concat());
    let beside = "64 B beside a stream of 1 MiB messages: ipc: stream MiB/s ";
    assert!(markdown.contains(beside), "{markdown}");
    let found = json(&[&what[..], &short, &["--json"]].concat());
    let of_stream = |ratio: &Value| ratio["what"] == "stream_bytes_per_s";
    assert!(list(&found["ratios"]).iter().any(of_stream), "{found}");
}

#[test]
fn one_run_leaves_all_its_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let [json, markdown, html] = ["found.json", "goals.md", "page.html"].map(|name| {
        let path = folder.path().join(name);
        path.to_str().expect("UTF-8").to_owned()
    });
    let files = ["--json", &json, "--markdown", &markdown, "--html", &html];
    let what = ["compare", "--only=reverse"];
    assert_eq!(text(&[&what[..], &SHORT, &files].concat()), "");
    let read = |file: &str| std::fs::read_to_string(file).expect("a file");
    assert!(read(&json).contains("\"reverse\""));
    assert!(read(&markdown).contains("| p50 <= 1.05 x ipc unary |"));
    assert!(read(&html).contains("</html>"));
}

#[test]
fn markdown_is_printed_while_json_goes_to_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("found.json");
    let what = ["compare", "--only=reverse", "--markdown", "--json"];
    let path = file.to_str().expect("UTF-8");
    let printed = text(&[&what[..], &[path], &SHORT].concat());
    assert!(printed.contains("| p50 <= 1.05 x ipc unary |"), "{printed}");
    let json = std::fs::read_to_string(file).expect("a file");
    assert!(json.contains("\"reverse\""));
    let both = bench(&what);
    let complaint = String::from_utf8_lossy(&both.stderr);
    assert!(!both.status.success() && both.stdout.is_empty());
    assert!(complaint.contains("not supported"), "{complaint}");
}

#[test]
fn both_runtimes_stand_beside_each_other() {
    let arguments = [
        "compare",
        "--only=in_flight",
        "--runtime=current_thread,multi_thread",
    ];
    let text = text(&[&arguments[..], &SHORT].concat());
    for name in PEERS.iter().chain(&["ipc"]) {
        assert!(text.contains(&format!("{name}/ct")), "{name}: {text}");
        assert!(text.contains(&format!("{name}/mt")), "{name}: {text}");
    }
}

#[test]
fn every_transport_brings_back_large_and_empty_payloads() {
    let others = ["raw", "raw_pipelined", "raw_epoll", "raw_tokio"];
    for name in PEERS.iter().chain(&others) {
        for payload in ["0", "1048576"] {
            for (connections, runtime) in [("1", "current_thread"), ("3", "multi_thread")] {
                rows_with_calls(&[
                    "run",
                    "--transport",
                    name,
                    "--payload",
                    payload,
                    "--connections",
                    connections,
                    "--runtime",
                    runtime,
                    "--in-flight=1",
                    "--repetitions=1",
                ]);
            }
        }
    }
}

#[test]
fn many_large_calls_in_flight_do_not_wait_for_each_other_for_ever() {
    for name in PEERS.iter().chain(&["raw_epoll"]) {
        rows_with_calls(&[
            "run",
            "--transport",
            name,
            "--payload=262144",
            "--connections=2",
            "--in-flight=16",
            "--repetitions=1",
        ]);
    }
}

#[test]
fn what_a_bare_socket_cannot_do_is_refused() {
    let output = bench(&[
        "run",
        "--transport=raw_tokio",
        "--in-flight=2",
        "--repetitions=1",
    ]);
    assert!(!output.status.success());
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(
        complaint.contains("a bare socket with several calls in flight"),
        "{complaint}"
    );
}
