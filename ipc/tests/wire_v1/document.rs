//! PROTOCOL.md says what the code does.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use ipc::wire::{GoAwayCode, Violation};

use super::vectors;

const DOCUMENT: &str = include_str!("../../../PROTOCOL.md");

#[test]
fn the_vectors_of_the_document_are_the_tested_ones() {
    let mut blocks = fenced("text vectors");
    assert_eq!(blocks.remove("preface").unwrap(), [vectors::PREFACE]);
    for (name, hex) in vectors::FRAMES {
        let lines = blocks.remove(*name).unwrap_or_default();
        assert_eq!(lines, [*hex], "{name}");
    }
    assert!(blocks.is_empty(), "not tested: {blocks:?}");

    let mut blocks = fenced("text conversations");
    for (name, lines) in vectors::CONVERSATIONS {
        let written = blocks.remove(*name).unwrap_or_default();
        assert_eq!(written, *lines, "{name}");
    }
    assert!(blocks.is_empty(), "not tested: {blocks:?}");
}

#[test]
fn the_registry_of_the_document_is_that_of_the_code() {
    let violations = [
        Violation::BadPreface,
        Violation::VersionMismatch { theirs: 0, ours: 0 },
        Violation::FrameTooLarge { len: 0, limit: 0 },
        Violation::UnexpectedFrame,
        Violation::CallReused,
        Violation::UnknownCall,
        Violation::WrongParity,
        Violation::CreditOverrun,
        Violation::MessageTooLarge { limit: 0 },
        Violation::AfterEnd,
        Violation::Malformed,
        Violation::BadCredit,
        Violation::BadNonce,
        Violation::Descriptors,
        Violation::InvalidLimits,
        Violation::Flood,
        Violation::HandshakeTimeout,
        Violation::FrameTimeout,
        Violation::WriteTimeout,
        Violation::Truncated,
    ];
    let name = |violation: &Violation| {
        let debug = format!("{violation:?}");
        debug.split(' ').next().unwrap_or_default().to_owned()
    };
    let mut expected: BTreeMap<u32, String> =
        violations.iter().map(|v| (v.code(), name(v))).collect();
    assert_eq!(expected.len(), violations.len(), "a code is used twice");
    for (code, name) in [
        (GoAwayCode::DRAINING, "DRAINING"),
        (GoAwayCode::REFUSED, "REFUSED"),
        (GoAwayCode::OVERLOADED, "OVERLOADED"),
        (GoAwayCode::UNTRUSTED, "UNTRUSTED"),
        (GoAwayCode::INTERNAL, "INTERNAL"),
    ] {
        assert_eq!(expected.insert(code, name.into()), None);
    }
    let section = DOCUMENT.split("### Error codes").nth(1).unwrap();
    let rows = section
        .split("\n## ")
        .next()
        .unwrap()
        .lines()
        .filter_map(|line| {
            let mut cells = line.split('|').map(str::trim).skip(1);
            Some((cells.next()?.parse().ok()?, cells.next()?.to_owned()))
        });
    assert_eq!(rows.collect::<BTreeMap<u32, String>>(), expected);
}

#[test]
fn each_requirement_has_an_id_and_one_sentence() {
    let mut seen = BTreeSet::new();
    for line in DOCUMENT.lines().filter(|line| line.contains("MUST")) {
        let id = id_of(line).unwrap_or_else(|| panic!("no id: {line}"));
        assert!(seen.insert(id), "used twice: {id}");
        assert_eq!(line.matches("MUST").count(), 1, "two requirements: {line}");
    }
}

#[test]
fn each_requirement_is_named_by_a_test() {
    let mut sources = String::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in rust_files(&[root.join("src"), root.join("tests")]) {
        let text = fs::read_to_string(&file).unwrap();
        // In the sources only what follows the first test module counts.
        let tests = match text.find("#[cfg(test)]") {
            Some(at) if file.starts_with(root.join("src")) => &text[at..],
            None if file.starts_with(root.join("src")) && !in_tests(&file) => "",
            _ => &text[..],
        };
        if !file.ends_with("document.rs") {
            sources.push_str(tests);
        }
    }
    let named: BTreeSet<&str> = sources
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
        .collect();
    for id in DOCUMENT.lines().filter_map(id_of) {
        assert!(named.contains(id), "{id}: no test names it");
    }
}

fn in_tests(file: &Path) -> bool {
    let file = file.with_extension("");
    file.components().any(|part| part.as_os_str() == "tests")
}

fn id_of(line: &str) -> Option<&str> {
    line.strip_prefix("- [")?.split_once("] ").map(|(id, _)| id)
}

fn rust_files(roots: &[PathBuf]) -> Vec<PathBuf> {
    let (mut files, mut folders) = (Vec::new(), roots.to_vec());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                files.push(path);
            }
        }
    }
    files
}

/// The blocks with this info string: by name, lines joined where they were wrapped.
fn fenced(info: &str) -> BTreeMap<String, Vec<String>> {
    let start = format!("```{info}\n");
    let text = DOCUMENT.split(&start).nth(1).expect("the block");
    let (mut blocks, mut name) = (BTreeMap::<String, Vec<String>>::new(), String::new());
    for line in text.split("```").next().unwrap_or_default().lines() {
        let lines = blocks.entry(name.clone()).or_default();
        if let Some(more) = line.strip_prefix("    ") {
            join(lines.last_mut().expect("a line to go on"), more);
        } else if let Some(first) = line.strip_prefix("  ") {
            lines.push(first.into());
        } else if line.starts_with(['<', '>']) {
            lines.push(line.into());
        } else if !line.is_empty() {
            line.split(':')
                .next()
                .unwrap_or_default()
                .clone_into(&mut name);
        }
    }
    blocks.retain(|_, lines| !lines.is_empty());
    blocks
}

/// Words of plain hex go on across lines; `61*400` is a word of its own.
fn join(line: &mut String, more: &str) {
    let plain = |word: Option<&str>| word.is_some_and(|word| !word.contains('*'));
    if !(plain(line.rsplit(' ').next()) && plain(more.split(' ').next())) {
        line.push(' ');
    }
    line.push_str(more);
}
