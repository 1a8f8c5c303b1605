//! What was counted, in memory and on its way between processes.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::transport::Failure;

/// What some callers did in some time.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// Calls that were answered well.
    pub(crate) calls: u64,
    /// Payload bytes, both directions together.
    pub(crate) bytes: u64,
    /// Those of them that no call of its own moved.
    pub(crate) streamed: u64,
    /// Calls that failed, by status and outcome.
    pub(crate) errors: BTreeMap<String, u64>,
    /// Latency in nanoseconds of the calls that were answered well.
    pub(crate) histogram: Histogram<u64>,
}

/// The same, as JSON.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Counts {
    calls: u64,
    bytes: u64,
    streamed: u64,
    errors: BTreeMap<String, u64>,
    /// Value in nanoseconds and how often it was seen.
    buckets: Vec<(u64, u64)>,
}

impl Default for Part {
    fn default() -> Self {
        Self {
            calls: 0,
            bytes: 0,
            streamed: 0,
            errors: BTreeMap::new(),
            histogram: Histogram::new(DIGITS).expect("so many digits are allowed"),
        }
    }
}

impl Part {
    pub(crate) fn answered(&mut self, took: Duration, bytes: u64) {
        self.calls += 1;
        self.bytes += bytes;
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.histogram
            .record(nanos)
            .expect("a histogram that resizes itself takes any value");
    }

    /// Counts what a stream moved beside the calls.
    pub(crate) fn moved(&mut self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.bytes += bytes;
        self.streamed += bytes;
    }

    pub(crate) fn failed(&mut self, failure: &Failure) {
        *self.errors.entry(failure.to_string()).or_default() += 1;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.bytes += other.bytes;
        self.streamed += other.streamed;
        for (what, count) in &other.errors {
            *self.errors.entry(what.clone()).or_default() += count;
        }
        self.histogram
            .add(&other.histogram)
            .expect("a histogram of the same kind, which resizes itself");
    }

    /// Back to nothing; the memory stays.
    pub(crate) fn clear(&mut self) {
        self.calls = 0;
        self.bytes = 0;
        self.streamed = 0;
        self.errors.clear();
        self.histogram.reset();
    }

    pub(crate) fn failures(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Calls that were answered, and those that failed on their way or afterwards: of what was
    /// never sent, nobody had work.
    pub(crate) fn sent(&self) -> u64 {
        let errors = self.errors.iter();
        let sent = errors.filter(|(what, _)| !what.ends_with(NOT_SENT));
        self.calls + sent.map(|(_, count)| count).sum::<u64>()
    }

    /// The latency that this share of the calls did not exceed, in microseconds.
    pub(crate) fn quantile_us(&self, quantile: f64) -> f64 {
        micros(self.histogram.value_at_quantile(quantile))
    }

    pub(crate) fn counts(&self) -> Counts {
        let recorded = self.histogram.iter_recorded();
        let bucket = |step: hdrhistogram::iterators::IterationValue<u64>| {
            (step.value_iterated_to(), step.count_at_value())
        };
        Counts {
            calls: self.calls,
            bytes: self.bytes,
            streamed: self.streamed,
            errors: self.errors.clone(),
            buckets: recorded.map(bucket).collect(),
        }
    }
}

impl From<Counts> for Part {
    fn from(counts: Counts) -> Self {
        let mut part = Self {
            calls: counts.calls,
            bytes: counts.bytes,
            streamed: counts.streamed,
            errors: counts.errors,
            ..Self::default()
        };
        for (value, count) in counts.buckets {
            part.histogram
                .record_n(value, count)
                .expect("a histogram that resizes itself takes any value");
        }
        part
    }
}

/// Nanoseconds as microseconds.
pub(crate) fn micros(nanos: u64) -> f64 {
    Duration::from_nanos(nanos).as_secs_f64() * 1e6
}

/// How the errors of calls end that were never sent.
const NOT_SENT: &str = "/NotSent";
/// Significant digits of a latency.
const DIGITS: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_through_json_is_the_same_afterwards() {
        let mut part = Part::default();
        for nanos in [1, 2_049, 12_345, 12_345, 1_234_567_890] {
            part.answered(Duration::from_nanos(nanos), 128);
        }
        part.failed(&Failure::new("UNAVAILABLE", "NotSent"));
        part.moved(1_000);
        let json = serde_json::to_string(&part.counts()).unwrap();
        let back = Part::from(serde_json::from_str::<Counts>(&json).unwrap());
        assert_eq!(back.histogram, part.histogram);
        assert_eq!(back.calls, 5);
        assert_eq!((back.bytes, back.streamed), (5 * 128 + 1_000, 1_000));
        assert_eq!(back.errors, [("UNAVAILABLE/NotSent".to_owned(), 1)].into());
    }

    #[test]
    fn a_call_that_failed_counts_as_sent_unless_it_says_that_it_was_not() {
        let mut part = Part::default();
        part.answered(Duration::from_micros(10), 1);
        for outcome in ["NotSent", "NotSent", "RefusedUnseen", "MayHaveRun"] {
            part.failed(&Failure::new("UNAVAILABLE", outcome));
        }
        assert_eq!((part.failures(), part.sent()), (4, 3));
    }

    #[test]
    fn parts_add_up_and_can_be_cleared() {
        let mut one = Part::default();
        one.answered(Duration::from_micros(10), 1);
        let mut two = one.clone();
        two.failed(&Failure::new("ABORTED", "MayHaveRun"));
        one.moved(7);
        two.add(&one);
        assert_eq!((two.calls, two.bytes, two.failures()), (2, 9, 1));
        assert_eq!(two.streamed, 7);
        two.clear();
        assert_eq!((two.calls, two.bytes, two.failures()), (0, 0, 0));
        assert_eq!(two.streamed, 0);
        assert_eq!(two.histogram.len(), 0);
    }
}
