//! Which side makes which status code.

use std::fs;
use std::path::{Path, PathBuf};

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn the_library_makes_no_code_that_is_for_services() {
    // [COD-1]
    let theirs = [
        ("InvalidArgument", "invalid_argument("),
        ("NotFound", "not_found("),
        ("AlreadyExists", "already_exists("),
        ("FailedPrecondition", "failed_precondition("),
        ("Aborted", "aborted("),
        ("OutOfRange", "out_of_range("),
        ("DataLoss", "data_loss("),
    ];
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    // It names all codes.
    files.retain(|file| !file.ends_with("status.rs"));
    assert!(files.len() > 30, "{}", files.len());
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let shipped = text.split("\nmod tests {").next().unwrap_or_default();
        for (code, constructor) in theirs {
            let makes = shipped.contains(&format!("Code::{code}"))
                || shipped.contains(&format!("Status::{constructor}"));
            assert!(!makes, "{} makes {code}", file.display());
        }
    }
}
