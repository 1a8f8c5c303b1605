//! Rows divided by one another, and whether that says anything.

use crate::report::row::{Ratio, Repetition, Row};

/// What of a row is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Metric {
    P50,
    P99,
    CallsPerS,
    Cpu,
}

impl Metric {
    pub(super) const ALL: [Self; 4] = [Self::P50, Self::P99, Self::CallsPerS, Self::Cpu];

    /// As it stands in JSON.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P99 => "p99",
            Self::CallsPerS => "calls_per_s",
            Self::Cpu => "cpu_us_per_call",
        }
    }

    /// For people.
    pub(super) const fn unit(self) -> &'static str {
        match self {
            Self::P50 => "p50 us",
            Self::P99 => "p99 us",
            Self::CallsPerS => "calls/s",
            Self::Cpu => "CPU us per call",
        }
    }

    pub(super) const fn of(self, repetition: &Repetition) -> f64 {
        match self {
            Self::P50 => repetition.p50,
            Self::P99 => repetition.p99,
            Self::CallsPerS => repetition.calls_per_s,
            Self::Cpu => repetition.cpu_us_per_call,
        }
    }
}

/// Each repetition of a row.
pub(super) fn each(row: &Row, metric: Metric) -> Vec<f64> {
    row.each.iter().map(|one| metric.of(one)).collect()
}

/// Two rows, divided repetition by repetition: what the machine did meanwhile fell on both.
pub(super) fn quotients(of: &Row, to: &Row, metric: Metric) -> Vec<f64> {
    let pairs = of.each.iter().zip(&to.each);
    pairs
        .map(|(of, to)| metric.of(of) / metric.of(to))
        .collect()
}

pub(super) fn ratio(rows: &[Row], metric: Metric, of: usize, to: usize) -> Option<Ratio> {
    let quotients = quotients(rows.get(of)?, rows.get(to)?, metric);
    let quartiles = Quartiles::of(&quotients)?;
    Some(Ratio {
        what: metric.name().to_owned(),
        of,
        to,
        median: quartiles.median,
        min: quartiles.min,
        max: quartiles.max,
        noisy: quotients.len() < 2 || !quartiles.are_apart_from(1.0),
    })
}

/// The last of so few repetitions has no outliers beside it: all of them count.
const FEW: usize = 3;

/// How the repetitions of a quantity lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Quartiles {
    pub(super) min: f64,
    pub(super) first: f64,
    pub(super) median: f64,
    pub(super) third: f64,
    pub(super) max: f64,
}

impl Quartiles {
    /// None of no values, and of any that is no positive number.
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        let mut values = values.to_vec();
        let are_fine = values.iter().all(|value| value.is_finite() && *value > 0.0);
        values.sort_by(f64::total_cmp);
        let last = values.len().checked_sub(1).filter(|_| are_fine)?;
        // The quarter of an index between two values lies between the two.
        let at = |quarter: usize| {
            let (low, rest) = (quarter * last / 4, quarter * last % 4);
            let low_value = values.get(low).copied()?;
            let high_value = values.get(low + 1).copied().unwrap_or(low_value);
            let rest = [0.0, 0.25, 0.5, 0.75].get(rest).copied()?;
            Some(low_value + (high_value - low_value) * rest)
        };
        Some(Self {
            min: at(0)?,
            first: at(if last < FEW { 0 } else { 1 })?,
            median: at(2)?,
            third: at(if last < FEW { 4 } else { 3 })?,
            max: at(4)?,
        })
    }

    /// Whether the middle half lies closer together than its middle lies from `bound`. As factors:
    /// twice as much is as far off as half as much.
    fn are_apart_from(&self, bound: f64) -> bool {
        (self.third / self.first).ln() < (self.median / bound).ln().abs()
    }

    /// How far the middle half goes apart, as a share of the median.
    pub(super) fn spread(&self) -> f64 {
        (self.third - self.first) / self.median
    }

    /// As `1.14 (1.12..1.20)`: median, lowest and highest.
    pub(super) fn text(&self) -> String {
        let Self {
            median, min, max, ..
        } = *self;
        format!("{} ({}..{})", short(median), short(min), short(max))
    }
}

/// Three digits, or all before the point.
pub(super) fn short(value: f64) -> String {
    match value {
        ..1.0 => format!("{value:.3}"),
        1.0..10.0 => format!("{value:.2}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_lie_between_values_where_there_is_none() {
        let quartiles = Quartiles::of(&[4.0, 1.0, 2.0, 3.0]).unwrap();
        assert_eq!(quartiles.first, 1.75);
        assert_eq!(quartiles.median, 2.5);
        assert_eq!(quartiles.third, 3.25);
        assert_eq!(quartiles.text(), "2.50 (1.00..4.00)");
        let one = Quartiles::of(&[7.0]).unwrap();
        assert_eq!((one.min, one.median, one.max), (7.0, 7.0, 7.0));
    }

    #[test]
    fn nothing_is_said_of_no_values_and_of_what_is_no_positive_number() {
        for values in [&[][..], &[0.0], &[1.0, f64::NAN], &[f64::INFINITY]] {
            assert_eq!(Quartiles::of(values), None);
        }
    }

    #[test]
    fn a_ratio_is_noisy_if_its_repetitions_go_further_apart_than_it_claims() {
        let is_clear = |values: &[f64]| Quartiles::of(values).unwrap().are_apart_from(1.0);
        assert!(is_clear(&[0.30, 0.35, 0.32]));
        assert!(is_clear(&[8.0, 12.0, 16.0]));
        assert!(is_clear(&[1.19, 1.2, 1.21]));
        assert!(!is_clear(&[0.9, 1.0, 1.1]));
        assert!(!is_clear(&[1.0, 1.1, 1.4]));
        assert!(!is_clear(&[1.0, 1.0, 1.0]));
    }

    #[test]
    fn one_outlier_of_five_does_not_make_a_ratio_noisy() {
        let quartiles = Quartiles::of(&[0.5, 0.5, 0.51, 0.52, 3.0]).unwrap();
        assert!(quartiles.are_apart_from(1.0));
    }
}
