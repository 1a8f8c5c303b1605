//! What the user sees: the one place that prints.

use std::error::Error as _;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use crate::error::Error;

/// How the outcome is shown.
#[derive(Clone, Debug, Args)]
pub(crate) struct Format {
    /// One JSON object instead of text, to standard output or to FILE
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    json: Option<PathBuf>,
}

impl Format {
    /// Where the JSON goes, if there is to be any.
    pub(crate) fn place(&self) -> Option<&Path> {
        self.json.as_deref()
    }

    /// Shows an outcome as JSON, or as the text that `lines` makes.
    pub(crate) fn show<T: Serialize>(
        &self,
        outcome: &T,
        lines: impl FnOnce(&T) -> Vec<String>,
    ) -> Result<(), Error> {
        let Some(place) = &self.json else {
            return print(&lines(outcome).join("\n"));
        };
        let json = serde_json::to_string_pretty(outcome)?;
        if is_output(place) {
            return print(&json);
        }
        fs::write(place, json + "\n").map_err(Error::io("the JSON file cannot be written"))
    }
}

/// Whether that is standard output and no file.
pub(crate) fn is_output(place: &Path) -> bool {
    place == Path::new("-")
}

/// Prints one line or several at once.
pub(crate) fn print(text: &str) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    let printed = writeln!(out, "{text}").and_then(|()| out.flush());
    printed.map_err(Error::io("standard output cannot be written"))
}

/// Says what went wrong.
pub(crate) fn complain(error: &Error) {
    say(&format!("error: {}", with_causes(error)));
}

/// An error, and every cause of it.
pub(crate) fn with_causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Tells the user something beside the outcome.
#[expect(clippy::print_stderr, reason = "this is the place that prints")]
pub(crate) fn say(text: &str) {
    eprintln!("{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_with_its_causes() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let error = Error::io("the file cannot be written")(full);
        assert_eq!(
            with_causes(&error),
            "the file cannot be written: no storage space"
        );
    }
}
