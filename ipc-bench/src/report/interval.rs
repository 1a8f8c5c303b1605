//! Where a median lies in truth, by the repetitions it was taken from.

use serde::Serialize;

/// A median, and the interval that holds the true one in at least nine of ten cases.
///
/// It is the confidence interval by order statistics, which supposes nothing of how the values
/// are spread. Up to 7 values it reaches from the least to the greatest (and is less sure
/// below 5); 8 to 10 leave out one at each end.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Interval {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Interval {
    /// Nothing for no values.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let aside = left_aside(values.len());
        let inner = &values[aside..values.len() - aside];
        let last = inner.len().checked_sub(1)?;
        Some(Self {
            // As many go at one end as at the other, so the middle stays where it was.
            median: f64::midpoint(inner[last / 2], inner[last.div_ceil(2)]),
            low: inner[0],
            high: inner[last],
        })
    }

    /// Whether the true medians may be the same.
    pub(crate) fn touches(&self, other: &Self) -> bool {
        self.low <= other.high && other.low <= self.high
    }

    /// How wide it is, as a share of the median.
    pub(crate) fn width(&self) -> f64 {
        (self.high - self.low) / self.median
    }
}

/// How many of so many values may be left aside at each end, so that the median is still between
/// the rest with `CONFIDENCE`: both tails of a binomial distribution with even odds.
fn left_aside(values: usize) -> usize {
    let mut chance = 0.5_f64.powf(values as f64);
    let mut tail = chance;
    let mut aside = 0;
    while aside < values / 2 {
        chance *= (values - aside) as f64 / (aside + 1) as f64;
        tail += chance;
        if 2.0 * tail > 1.0 - CONFIDENCE {
            break;
        }
        aside += 1;
    }
    aside
}

/// How sure the interval of a median has to be.
const CONFIDENCE: f64 = 0.9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_has_no_median() {
        assert_eq!(Interval::of([]), None);
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        let interval = Interval::of([4.0, 1.0, 3.0, 2.0]).unwrap();
        assert_eq!(
            (interval.median, interval.low, interval.high),
            (2.5, 1.0, 4.0)
        );
        assert!((interval.width() - 1.2).abs() < 1e-9);
    }

    #[test]
    fn an_interval_leaves_out_no_more_than_its_confidence_allows() {
        // Tables of the binomial distribution with p = 1/2: the largest k with 2 P(X <= k) <= 0.1.
        let table = [
            (0, 0),
            (1, 0),
            (3, 0),
            (5, 0),
            (7, 0),
            (8, 1),
            (10, 1),
            (11, 2),
            (20, 5),
        ];
        for (values, aside) in table {
            assert_eq!(left_aside(values), aside, "{values} values");
        }
    }

    #[test]
    fn one_stray_of_nine_does_not_widen_the_interval() {
        let values = [1.1, 1.0, 1.1, 9.0, 1.1, 1.2, 1.1, 1.2, 1.0];
        let interval = Interval::of(values).unwrap();
        assert_eq!(
            (interval.median, interval.low, interval.high),
            (1.1, 1.0, 1.2)
        );
    }

    #[test]
    fn intervals_touch_from_both_sides() {
        let interval = |low, high| Interval {
            median: low,
            low,
            high,
        };
        assert!(interval(1.0, 2.0).touches(&interval(2.0, 3.0)));
        assert!(interval(1.0, 9.0).touches(&interval(2.0, 3.0)));
        assert!(!interval(1.0, 2.0).touches(&interval(2.1, 3.0)));
        assert!(!interval(2.1, 3.0).touches(&interval(1.0, 2.0)));
    }
}
