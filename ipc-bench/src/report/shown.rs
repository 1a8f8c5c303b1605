//! Where a report goes.

use std::fs;
use std::path::PathBuf;

use super::html::page;
use super::row::Report;
use super::text::lines;
use crate::error::Error;
use crate::output::{Format, is_output};

/// Where a report goes.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Shown {
    /// Also one page with charts, which needs nothing but a browser, to FILE
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    format: Format,
}

impl Shown {
    /// Prints a report, or writes it, as it was asked for.
    pub(crate) fn show(&self, report: &Report) -> Result<(), Error> {
        self.show_as(report, lines)
    }

    /// Whether standard output has the JSON.
    pub(crate) fn is_json_printed(&self) -> bool {
        self.format.place().is_some_and(is_output)
    }

    /// Whether a file has the JSON, and nothing was printed.
    pub(crate) fn is_json_written(&self) -> bool {
        self.format.place().is_some_and(|place| !is_output(place))
    }

    /// The same with a text of one's own.
    pub(crate) fn show_as(
        &self,
        report: &Report,
        text: impl FnOnce(&Report) -> Vec<String>,
    ) -> Result<(), Error> {
        // The figures first: they are not lost where the page cannot be written.
        self.format.show(report, text)?;
        if let Some(file) = &self.html {
            fs::write(file, page(report)).map_err(Error::io("the page cannot be written"))?;
        }
        Ok(())
    }
}
