//! What measurements say: rows, medians, ratios.

mod html;
mod interval;
pub(crate) mod judged;
mod keys;
pub(crate) mod ratio;
pub(crate) mod row;
#[cfg(test)]
pub(crate) mod sample;
mod shown;
mod summary;
mod text;
pub(crate) mod units;

pub(crate) use self::interval::Interval;
pub(crate) use self::keys::{Key, alike, full_name, raw_beside};
pub(crate) use self::ratio::{Metric, ratios};
pub(crate) use self::shown::Shown;
pub(crate) use self::summary::{float, report, row};
