//! What a daemon holds and how it answers over a long time.

mod recorder;
mod samples;
mod trend;

pub(crate) use recorder::Recorder;
pub(crate) use samples::{Sample, Samples, Verdict};
use trend::Trend;
