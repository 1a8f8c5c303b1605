//! Rules of this workspace that no compiler checks, over its own sources. CONTRIBUTING.md has the reasons.
//!
//! Each rule is a function of text, with a test that it catches what it is for.

use std::fs;
use std::path::{Path, PathBuf};

use source::Source;

mod documents;
mod limits;
mod manifest;
mod protocol;
mod rules;
mod source;

/// Folders without sources of ours: build output, and what `ipc-build` writes and its tests compare.
const SKIPPED: [&str; 5] = [
    "target",
    ".git",
    "fuzz/corpus",
    "fuzz/artifacts",
    "ipc-build/tests/golden",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("ipc is a member")
        .to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Files of the workspace whose name ends so, as paths from its root.
fn files(ending: &str) -> Vec<String> {
    let (root, mut left, mut found) = (root(), vec![PathBuf::new()], Vec::new());
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(root.join(&folder)).expect("a folder") {
            let entry = entry.expect("an entry");
            let path = folder.join(entry.file_name());
            let name = path.to_str().expect("an UTF-8 name");
            let kind = entry.file_type().expect("a kind");
            if kind.is_dir() && !SKIPPED.contains(&name) && !name.ends_with("/target") {
                left.push(path);
            } else if kind.is_file() && name.ends_with(ending) {
                found.push(name.to_owned());
            }
        }
    }
    found.sort();
    found
}

fn sources() -> Vec<Source> {
    files(".rs")
        .iter()
        .map(|path| Source::new(path, &read(path)))
        .collect()
}

#[track_caller]
fn nothing_in(found: &[String]) {
    assert!(
        found.is_empty(),
        "{} findings:\n{}",
        found.len(),
        found.join("\n")
    );
}

#[test]
fn every_source_file_follows_the_rules() {
    let sources = sources();
    for below in [
        "ipc/src/wire/",
        "ipc/src/sys/",
        "ipc/src/sync.rs",
        "ipc/tests/",
        "ipc-build/src/",
        "fuzz/",
    ] {
        assert!(
            sources.iter().any(|s| s.path.starts_with(below)),
            "no file at {below}: rules look at nothing"
        );
    }
    let found: Vec<String> = sources
        .iter()
        .flat_map(|file| rules::ALL.iter().flat_map(|rule| rule(file)))
        .collect();
    nothing_in(&found);
}

#[test]
fn every_limit_documents_its_default() {
    let path = "ipc/src/limits.rs";
    nothing_in(&limits::defaults_are_documented(&Source::new(
        path,
        &read(path),
    )));
}

#[test]
fn every_requirement_of_the_protocol_is_named_by_a_test() {
    // Comments are where an id is named, so a source's test half will not do: from its first test on.
    let tests: Vec<(String, String)> = sources()
        .into_iter()
        .filter(|file| !file.path.starts_with("ipc/tests/tidy/"))
        .filter_map(|file| {
            let whole = file.path.contains("/tests/") || file.path.starts_with("fuzz/");
            let first = if whole {
                0
            } else {
                file.tests.find(|c: char| !c.is_whitespace())?
            };
            Some((file.path, file.text[first..].to_owned()))
        })
        .collect();
    nothing_in(&protocol::requirements_are_tested(
        &read("PROTOCOL.md"),
        &tests,
    ));
}

#[test]
fn every_shared_dependency_is_used() {
    let manifests = files("Cargo.toml")
        .into_iter()
        .filter(|path| path != "Cargo.toml");
    let members: Vec<String> = manifests.map(|path| read(&path)).collect();
    nothing_in(&manifest::unused_dependencies(
        &read("Cargo.toml"),
        &members,
    ));
}

#[test]
fn every_path_that_a_document_names_is_there() {
    let entries = fs::read_dir(root()).expect("a folder");
    let folders = entries
        .map(|entry| entry.expect("an entry"))
        .filter(|entry| entry.path().is_dir());
    let names = folders.map(|folder| folder.file_name().display().to_string());
    let roots: Vec<String> = names
        .filter(|name| !SKIPPED.contains(&name.as_str()))
        .map(|name| name + "/")
        .collect();
    let exists = |path: &str| root().join(path).exists();
    let found = files(".md").into_iter().flat_map(|name| {
        let text = read(&name);
        documents::missing_paths((&name, &text), &roots, exists)
    });
    nothing_in(&found.collect::<Vec<_>>());
}
