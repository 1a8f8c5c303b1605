//! What a daemon held and how it answered, over time, and what that says.

use serde::{Deserialize, Serialize};

use super::Trend;
use crate::report::float;
use crate::report::units::{bytes, count, time};

/// What a daemon held and how it answered, over time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Samples {
    pub(crate) samples: Vec<Sample>,
    /// Seconds that trends leave out: buffers and tables reach their size.
    pub(crate) settle_s: f64,
    pub(crate) trends: Trends,
    pub(crate) verdict: Verdict,
}

/// What the trends say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// Nothing grows beyond its ups and downs.
    Steady,
    /// Memory or descriptors grow for certain, and by more than is common.
    Leak,
    /// There are too few samples.
    Unknown,
}

/// One moment, and what was called since the one before.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// Seconds since the measured part began.
    pub(crate) at_s: f64,
    /// Resident memory of the daemon.
    pub(crate) rss_bytes: u64,
    /// Open descriptors of the daemon, where they may be counted.
    pub(crate) descriptors: Option<u64>,
    pub(crate) calls_per_s: f64,
    pub(crate) errors: u64,
    /// None if nothing was answered.
    pub(crate) p99_us: Option<f64>,
}

/// How the quantities went on after the daemon had settled; none where too little is known.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Trends {
    pub(crate) rss_bytes: Option<Trend>,
    pub(crate) descriptors: Option<Trend>,
    pub(crate) p99_us: Option<Trend>,
}

impl Samples {
    /// Judges samples by those after `settle_s`.
    pub(crate) fn judge(samples: Vec<Sample>, settle_s: f64) -> Self {
        let settled = samples.iter().filter(|sample| sample.at_s >= settle_s);
        let line = |value: &dyn Fn(&Sample) -> Option<f64>| {
            let points = settled.clone();
            let points = points.filter_map(|sample| Some((sample.at_s, value(sample)?)));
            Trend::through(&points.collect::<Vec<_>>())
        };
        let trends = Trends {
            rss_bytes: line(&|sample| Some(float(sample.rss_bytes))),
            descriptors: line(&|sample| sample.descriptors.map(float)),
            p99_us: line(&|sample| sample.p99_us),
        };
        Self {
            verdict: trends.verdict(),
            samples,
            settle_s,
            trends,
        }
    }
}

impl Samples {
    /// In words.
    pub(crate) fn lines(&self) -> Vec<String> {
        let trend = |what: &str, trend: Option<Trend>, text: fn(f64) -> String| match trend {
            None => format!("  {what}: unknown"),
            Some(trend) => {
                let error = trend.per_hour_error.map_or_else(|| "unknown".into(), text);
                let [start, per_hour] = [trend.start, trend.per_hour].map(text);
                format!("  {what}: {start}, growing by {per_hour} an hour, standard error {error}")
            }
        };
        vec![
            format!("from {:.0} s on, by a straight line:", self.settle_s),
            trend("resident memory", self.trends.rss_bytes, bytes),
            trend("descriptors", self.trends.descriptors, count),
            trend("p99", self.trends.p99_us, time),
            match self.verdict {
                Verdict::Steady => "verdict: steady",
                Verdict::Leak => "verdict: a leak",
                Verdict::Unknown => "verdict: unknown, there are too few samples",
            }
            .to_owned(),
        ]
    }
}

impl Trends {
    fn verdict(&self) -> Verdict {
        let memory = |trend: Trend| trend.grows_beyond(STEPS.max(trend.start * SHARE));
        let descriptors = |trend: Trend| trend.grows_beyond(DESCRIPTORS);
        if self.rss_bytes.is_some_and(memory) || self.descriptors.is_some_and(descriptors) {
            return Verdict::Leak;
        }
        match self.rss_bytes {
            Some(trend) if trend.per_hour_error.is_some() => Verdict::Steady,
            _ => Verdict::Unknown,
        }
    }
}

/// Bytes that an allocator takes for good while agents come and go, measured: glibc gained 0.6 MiB
/// in the first 3,000 of them, and a third of that in 60,000 more.
const STEPS: f64 = 1_048_576.0;
/// Memory may also gain this share of itself.
const SHARE: f64 = 0.02;
/// Descriptors that a daemon opens at need and keeps: a log, a resolver, a random source.
const DESCRIPTORS: f64 = 4.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(sample: impl Fn(u32) -> Sample) -> Samples {
        Samples::judge((0..60).map(sample).collect(), 15.0)
    }

    fn sample(second: u32) -> Sample {
        Sample {
            at_s: f64::from(second),
            rss_bytes: 50_000_000 + u64::from(second % 7) * 4_096,
            descriptors: Some(1_000 + u64::from(second % 3)),
            calls_per_s: 1_000.0,
            errors: 0,
            p99_us: Some(100.0),
        }
    }

    #[test]
    fn ups_and_downs_are_no_leak() {
        let samples = judged(sample);
        assert_eq!(samples.verdict, Verdict::Steady);
    }

    #[test]
    fn what_grows_all_the_time_is_a_leak() {
        let memory = judged(|second| Sample {
            rss_bytes: sample(second).rss_bytes + u64::from(second) * 100_000,
            ..sample(second)
        });
        assert_eq!(memory.verdict, Verdict::Leak);
        let descriptors = judged(|second| Sample {
            descriptors: Some(1_000 + u64::from(second)),
            ..sample(second)
        });
        assert_eq!(descriptors.verdict, Verdict::Leak);
    }

    #[test]
    fn what_grows_only_at_first_is_none() {
        let samples = judged(|second| Sample {
            rss_bytes: sample(second).rss_bytes + u64::from(second.min(15)) * 1_000_000,
            ..sample(second)
        });
        assert_eq!(samples.verdict, Verdict::Steady);
    }

    #[test]
    fn descriptors_that_may_not_be_counted_have_no_trend() {
        let samples = judged(|second| Sample {
            descriptors: None,
            ..sample(second)
        });
        assert_eq!(samples.trends.descriptors, None);
        assert_eq!(samples.verdict, Verdict::Steady);
    }

    #[test]
    fn too_few_samples_tell_nothing() {
        let samples = Samples::judge((0..17).map(sample).collect(), 15.0);
        assert_eq!(samples.verdict, Verdict::Unknown);
    }
}
