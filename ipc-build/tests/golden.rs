//! The generated code, compared byte for byte with what is checked in.
//!
//! `UPDATE_GOLDEN=1 cargo test -p ipc-build` writes the files of `tests/golden` anew; review the change as code.

use std::fs;
use std::path::Path;

type Tested = Result<(), Box<dyn std::error::Error>>;

const TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");

/// Generates `proto` into a folder of its own and compares each file with its golden one.
fn check(proto: &str, config: ipc_build::Config, expected: &[(&str, &str)]) -> Tested {
    let out = tempfile::tempdir()?;
    let protos = format!("{TESTS}/proto");
    config
        .out_dir(out.path())
        .compile(&[format!("{protos}/{proto}")], &[protos])?;

    let mut written = Vec::new();
    for entry in fs::read_dir(out.path())? {
        written.push(entry?.file_name().to_string_lossy().into_owned());
    }
    written.sort();
    let names: Vec<&str> = expected.iter().map(|(name, _)| *name).collect();
    assert_eq!(written, names, "files generated from {proto}");

    for (name, golden) in expected {
        let new = fs::read(out.path().join(name))?;
        let golden = Path::new(TESTS).join("golden").join(golden);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&golden, new)?;
            continue;
        }
        let old = fs::read(&golden).unwrap_or_default();
        assert!(
            new == old,
            "{} is not what is generated today; if that is right, run\n    \
             UPDATE_GOLDEN=1 cargo test -p ipc-build\n{}",
            golden.display(),
            difference(
                &String::from_utf8_lossy(&old),
                &String::from_utf8_lossy(&new)
            )
        );
    }
    Ok(())
}

/// How many lines of each side a message shows.
const SHOWN: usize = 20;

/// The lines between the common beginning and the common end of two texts, old ones with `-`, new ones with `+`.
fn difference(old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let same = |pairs: &mut dyn Iterator<Item = (&&str, &&str)>| {
        pairs.take_while(|(old, new)| old == new).count()
    };
    let before = same(&mut old.iter().zip(&new));
    let after = same(&mut old[before..].iter().rev().zip(new[before..].iter().rev()));
    let side = |sign: char, lines: &[&str]| {
        let changed = &lines[before..lines.len() - after];
        let shown = changed.iter().take(SHOWN);
        let mut text: String = shown.map(|line| format!("\n{sign}{line}")).collect();
        if changed.len() > SHOWN {
            text.push_str(&format!("\n{sign}({} more)", changed.len() - SHOWN));
        }
        text
    };
    format!(
        "@@ line {} @@{}{}",
        before + 1,
        side('-', &old),
        side('+', &new)
    )
}

#[test]
fn every_call_shape_and_option_generates_the_golden_code() -> Tested {
    check(
        "jobs.proto",
        ipc_build::Config::new(),
        &[("example.jobs.v1.rs", "jobs.rs")],
    )
}

#[test]
fn odd_names_and_imports_generate_the_golden_code() -> Tested {
    check(
        "edge.proto",
        ipc_build::Config::new(),
        &[("_.rs", "edge.rs"), ("shared.v1.rs", "shared.rs")],
    )
}

#[test]
fn a_service_with_its_schema_and_no_blocking_client_generates_the_golden_code() -> Tested {
    check(
        "small.proto",
        ipc_build::Config::new().blocking(false).descriptors(true),
        &[("small.binpb", "small.binpb"), ("small.rs", "small.rs")],
    )
}

#[test]
fn a_difference_shows_the_lines_that_changed() {
    let text = difference("one\ntwo\nthree\nfour", "one\nzwei\ndrei\nfour");
    assert_eq!(text, "@@ line 2 @@\n-two\n-three\n+zwei\n+drei");
    let long = "line\n".repeat(SHOWN + 2);
    assert!(difference(&long, "").ends_with("-line\n-(2 more)"));
}
