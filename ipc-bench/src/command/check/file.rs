//! Saved runs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::report::row::{Report, Row};
use crate::report::{Key, alike, full_name};

/// Why saved runs cannot be compared.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unusable {
    #[error("{} cannot be read", file.display())]
    Unread {
        file: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is not a run that this version of ipc-bench saved", file.display())]
    Foreign {
        file: PathBuf,
        #[source]
        source: serde_path_to_error::Error<serde_json::Error>,
    },
    #[error("{} has two rows of {row}", file.display())]
    Twice { file: PathBuf, row: String },
    #[error(
        "the baseline has no row of ipc with a raw row beside it and {least} repetitions of both"
    )]
    NothingToCompare { least: usize },
}

/// Reads a run that `--json` wrote.
pub(super) fn read(file: &Path) -> Result<Report, Unusable> {
    let text = fs::read_to_string(file).map_err(|source| Unusable::Unread {
        file: file.to_owned(),
        source,
    })?;
    let mut json = serde_json::Deserializer::from_str(&text);
    let report: Report =
        serde_path_to_error::deserialize(&mut json).map_err(|source| Unusable::Foreign {
            file: file.to_owned(),
            source,
        })?;
    match twice(&report.rows) {
        None => Ok(report),
        Some(row) => Err(Unusable::Twice {
            file: file.to_owned(),
            row: full_name(row),
        }),
    }
}

/// A row that another row cannot be told from.
fn twice(rows: &[Row]) -> Option<&Row> {
    let again =
        |(at, row): &(usize, &Row)| rows[..*at].iter().any(|other| alike(&Key::ALL, other, row));
    rows.iter().enumerate().find(again).map(|(_, row)| row)
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use serde_json::{Value, json};

    use super::*;
    use crate::report::sample;

    fn read_json(value: &Value) -> Result<Report, Unusable> {
        read_text(&value.to_string())
    }

    fn read_text(text: &str) -> Result<Report, Unusable> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("run.json");
        fs::write(&file, text).unwrap();
        read(&file)
    }

    #[track_caller]
    fn complaint(value: &Value) -> String {
        let error = read_json(value).unwrap_err();
        format!("{error}: {}", error.source().unwrap())
    }

    #[test]
    fn what_was_saved_is_read_back() {
        let saved = sample::comparison();
        let read = read_json(&serde_json::to_value(&saved).unwrap()).unwrap();
        let names = |report: &Report| report.rows.iter().map(full_name).collect::<Vec<_>>();
        assert_eq!(names(&read), names(&saved));
        assert_eq!(read.rows[30].errors_by, saved.rows[30].errors_by);
        assert_eq!(read.ratios.len(), saved.ratios.len());
    }

    #[test]
    fn an_unknown_field_is_ignored_and_a_missing_one_is_named() {
        let mut saved = serde_json::to_value(sample::pair()).unwrap();
        saved["later"] = json!({"a": 1});
        saved["rows"][1]["later"] = json!(true);
        saved["machine"]["later"] = json!("x");
        read_json(&saved).unwrap();
        let row = saved["rows"][1].as_object_mut().unwrap();
        row.remove("each");
        let complaint = complaint(&saved);
        assert!(complaint.contains("rows[1]"), "{complaint}");
        assert!(complaint.contains("missing field `each`"), "{complaint}");
    }

    #[test]
    fn a_run_that_does_not_say_how_it_called_is_refused() {
        let mut saved = serde_json::to_value(sample::pair()).unwrap();
        for row in saved["rows"].as_array_mut().unwrap() {
            for later in ["arrivals", "deadline", "uids"] {
                row.as_object_mut().unwrap().remove(later);
            }
        }
        let complaint = complaint(&saved);
        assert!(
            complaint.contains("is not a run that this version of ipc-bench saved"),
            "{complaint}"
        );
        assert!(
            complaint.contains("missing field `deadline`"),
            "{complaint}"
        );
    }

    #[test]
    fn a_run_of_an_older_version_is_refused_with_the_place() {
        let old = json!({
            "machine": {"os": "Linux", "kernel": "6", "arch": "x86_64", "cores": 2},
            "repetitions": 5, "rows": [{"transport": "raw", "runtime": null}],
        });
        let complaint = complaint(&old);
        assert!(complaint.contains("rows[0].runtime"), "{complaint}");
    }

    #[test]
    fn what_is_no_run_at_all_is_refused() {
        for text in [
            "",
            "null",
            "[1, 2]",
            "{}",
            "{\"rows\":",
            "\u{0}",
            "not JSON",
        ] {
            assert!(
                matches!(read_text(text), Err(Unusable::Foreign { .. })),
                "{text}"
            );
        }
        let absent = read(Path::new("/nonexistent/run.json"));
        assert!(matches!(absent, Err(Unusable::Unread { .. })));
    }

    #[test]
    fn rows_that_cannot_be_told_apart_are_refused() {
        let row = sample::row("ipc", 9.0);
        let report = sample::report(vec![row.clone(), row]);
        let found = read_json(&serde_json::to_value(report).unwrap());
        assert!(matches!(found, Err(Unusable::Twice { .. })));
    }
}
