//! What measurements say: rows, medians, ratios.

pub(crate) mod row;
mod summary;
mod text;

pub(crate) use self::summary::{float, ratios, report, row};
pub(crate) use self::text::lines;
