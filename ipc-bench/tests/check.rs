//! A run that was saved, checked against itself, against a worse one, and measured again.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

fn bench(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ipc-bench"));
    command.args(arguments).output().expect("the binary runs")
}

/// A run of ipc beside raw, saved with its page.
fn saved(folder: &TempDir) -> (PathBuf, PathBuf) {
    let (run, page) = (
        folder.path().join("run.json"),
        folder.path().join("run.html"),
    );
    let output = bench(&[
        "latency",
        "--repetitions=3",
        "--duration=1",
        "--json",
        text(&run),
        "--html",
        text(&page),
    ]);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    (run, page)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("an UTF-8 path")
}

fn read(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).expect("a file");
    serde_json::from_str(&text).expect("JSON")
}

fn write(path: &Path, value: &Value) {
    std::fs::write(path, value.to_string()).expect("a file that can be written");
}

#[test]
fn a_run_is_as_good_as_itself_and_a_worse_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let (run, _) = saved(&folder);
    let same = bench(&["check", "--baseline", text(&run), "--current", text(&run)]);
    let told = String::from_utf8_lossy(&same.stdout);
    assert!(same.status.success(), "{told}");
    assert!(
        told.contains("4 quantities compared: 4 within 5 %"),
        "{told}"
    );

    let mut worse = read(&run);
    for one in worse["rows"][1]["each"].as_array_mut().unwrap() {
        one["p50"] = json!(one["p50"].as_f64().unwrap() * 1_000.0);
    }
    let other = folder.path().join("worse.json");
    write(&other, &worse);
    let output = bench(&["check", "--baseline", text(&run), "--current", text(&other)]);
    let told = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("REGRESSED"), "{told}");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(complaint.contains("1 regression, 0 missing"), "{complaint}");
}

#[test]
fn without_a_second_run_the_rows_are_measured_again() {
    let folder = tempfile::tempdir().unwrap();
    let (run, _) = saved(&folder);
    let output = bench(&["check", "--baseline", text(&run), "--duration=1", "--json"]);
    // Whether the machine was as fast as before is not looked at.
    let found: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!(found["missing"], json!([]));
    assert_eq!(found["differences"].as_array().unwrap().len(), 4);
    assert_eq!(found["differences"][0]["what"], "p50");
    assert_eq!(found["differences"][0]["to"], "raw");
}

#[test]
fn calls_are_made_again_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run.json");
    let what = [
        "run",
        "--transport=raw,ipc",
        "--in-flight=1",
        "--no-deadline",
    ];
    let how = ["--rate=500", "--arrivals=constant", "--repetitions=3"];
    let output = bench(&[&what[..], &how, &["--duration=1", "--json", text(&run)]].concat());
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    let output = bench(&["check", "--baseline", text(&run), "--duration=1", "--json"]);
    let found: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!(found["missing"], json!([]));
    let row = found["differences"][0]["row"].as_str().unwrap();
    assert!(row.ends_with("constant arrivals, no deadline"), "{row}");
}

#[test]
fn a_row_that_cannot_be_measured_again_fails_the_check() {
    let folder = tempfile::tempdir().unwrap();
    let (run, _) = saved(&folder);
    let mut other = read(&run);
    let mut row = other["rows"][1].clone();
    row["transport"] = json!("smoke_signals");
    other["rows"].as_array_mut().unwrap().push(row);
    write(&run, &other);
    let output = bench(&["check", "--baseline", text(&run), "--duration=1"]);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("MISSING       smoke_signals"), "{told}");
}

#[test]
fn a_file_that_is_no_run_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let foreign = folder.path().join("foreign.json");
    write(
        &foreign,
        &json!({"machine": {"os": "x", "kernel": "", "arch": "", "cores": 1}}),
    );
    let output = bench(&["check", "--baseline", text(&foreign)]);
    assert_eq!(output.status.code(), Some(1));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(complaint.contains("is not a run"), "{complaint}");
    assert!(
        complaint.contains("missing field `repetitions`"),
        "{complaint}"
    );
}

#[test]
fn a_run_makes_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let (_, page) = saved(&folder);
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>"));
    assert!(page.contains("Latency percentiles") && page.contains("× raw"));
}
