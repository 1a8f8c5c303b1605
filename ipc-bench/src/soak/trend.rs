//! Whether what was sampled grows, beyond what its own ups and downs explain.

use serde::{Deserialize, Serialize};

/// A straight line through samples, by least squares.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Trend {
    /// What the first sample that counts should have been, by the line.
    pub(crate) start: f64,
    pub(crate) per_hour: f64,
    /// Standard error of `per_hour`; none where the samples are too few or too alike to tell.
    pub(crate) per_hour_error: Option<f64>,
    /// What the line gained from the first sample to the last.
    pub(crate) gained: f64,
}

impl Trend {
    /// The line through pairs of seconds and value; none through fewer than three.
    ///
    /// Samples that follow each other are alike: an allocator grows in steps and stays there. So
    /// many samples tell less than as many independent ones, by (1 - r) / (1 + r) where r is the
    /// correlation of a residual with the next one (Santer et al. 2000, J. Geophys. Res. 105, 7337,
    /// eq. 6).
    pub(crate) fn through(samples: &[(f64, f64)]) -> Option<Self> {
        let (first, last) = (samples.first()?.0, samples.last()?.0);
        let count = float(samples.len());
        let mean = |value: fn(&(f64, f64)) -> f64| samples.iter().map(value).sum::<f64>() / count;
        let (mean_at, mean_value) = (mean(|sample| sample.0), mean(|sample| sample.1));
        let spread = samples
            .iter()
            .map(|(at, _)| (at - mean_at).powi(2))
            .sum::<f64>();
        if samples.len() < LEAST || spread <= 0.0 {
            return None;
        }
        let common = samples
            .iter()
            .map(|(at, value)| (at - mean_at) * (value - mean_value));
        let slope = common.sum::<f64>() / spread;
        let line = |at: f64| mean_value + slope * (at - mean_at);
        let residuals = samples.iter().map(|(at, value)| value - line(*at));
        let residuals = residuals.collect::<Vec<_>>();
        let freedom = effective(&residuals) - 2.0;
        let squares = residuals.iter().map(|rest| rest.powi(2)).sum::<f64>();
        let error = match squares {
            // A line without a residual is certain, however few samples it goes through.
            _ if squares <= f64::EPSILON * mean_value.powi(2) * count => Some(0.0),
            _ if freedom <= 0.0 => None,
            _ => Some((squares / freedom / spread).sqrt()),
        };
        Some(Self {
            start: line(first),
            per_hour: slope * HOUR,
            per_hour_error: error.map(|error| error * HOUR),
            gained: slope * (last - first),
        })
    }

    /// Whether it grew for certain, and by more than `allowed` from the first sample to the last.
    pub(crate) fn grows_beyond(&self, allowed: f64) -> bool {
        let error = self.per_hour_error;
        self.gained > allowed && error.is_some_and(|error| self.per_hour > CERTAIN * error)
    }
}

/// As how many independent samples these count.
fn effective(residuals: &[f64]) -> f64 {
    let squares = residuals.iter().map(|rest| rest.powi(2)).sum::<f64>();
    let neighbours = residuals.iter().zip(residuals.iter().skip(1));
    let alike = neighbours.map(|(one, next)| one * next).sum::<f64>() / squares;
    // Residuals that swing against each other do not tell more than independent ones.
    let alike = if alike.is_finite() {
        alike.max(0.0)
    } else {
        0.0
    };
    float(residuals.len()) * (1.0 - alike) / (1.0 + alike)
}

fn float(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}

/// Samples through which a line says something.
const LEAST: usize = 3;
/// Seconds.
const HOUR: f64 = 3_600.0;
/// Standard errors by which a growth must differ from none: by chance one run in 700.
const CERTAIN: f64 = 3.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(value: impl Fn(f64) -> f64) -> Vec<(f64, f64)> {
        let at = (0..60).map(|index| f64::from(index) * 10.0);
        at.map(|at| (at, value(at))).collect()
    }

    /// Noise with a mean of nothing, always the same.
    fn noise(at: f64) -> f64 {
        (at * 0.7).sin() + (at * 2.3).cos()
    }

    #[test]
    fn a_steady_growth_is_found_with_its_rate() {
        let trend = Trend::through(&samples(|at| 1_000.0 + at / 10.0)).unwrap();
        assert!((trend.per_hour - 360.0).abs() < 1e-6, "{trend:?}");
        assert!((trend.start - 1_000.0).abs() < 1e-6);
        assert!((trend.gained - 59.0).abs() < 1e-6);
        assert!(trend.grows_beyond(50.0));
        assert!(!trend.grows_beyond(60.0));
    }

    #[test]
    fn a_growth_is_found_in_noise_and_noise_is_no_growth() {
        let still = Trend::through(&samples(|at| 1_000.0 + 50.0 * noise(at))).unwrap();
        assert!(!still.grows_beyond(1.0), "{still:?}");
        let grows = Trend::through(&samples(|at| 1_000.0 + at + 50.0 * noise(at))).unwrap();
        assert!(grows.grows_beyond(1.0), "{grows:?}");
        assert!((grows.per_hour - 3_600.0).abs() < 3.0 * grows.per_hour_error.unwrap());
    }

    #[test]
    fn one_step_that_stays_is_no_growth() {
        let step = Trend::through(&samples(|at| if at < 250.0 { 100.0 } else { 101.0 })).unwrap();
        assert!(step.per_hour > 0.0);
        assert!(!step.grows_beyond(0.0), "{step:?}");
    }

    #[test]
    fn what_stays_as_it_is_or_shrinks_does_not_grow() {
        for value in [|_| 7.0, |at| 1_000.0 - at] {
            let trend = Trend::through(&samples(value)).unwrap();
            assert_eq!(trend.per_hour_error, Some(0.0));
            assert!(!trend.grows_beyond(0.0), "{trend:?}");
        }
    }

    #[test]
    fn two_samples_or_one_moment_make_no_line() {
        assert_eq!(Trend::through(&[(0.0, 1.0), (1.0, 2.0)]), None);
        assert_eq!(Trend::through(&[(5.0, 1.0); 9]), None);
    }
}
