//! Rows divided by one another, and whether that says anything.

use super::row::{Ratio, Repetition, Row};

/// What of a row is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Metric {
    P50,
    P99,
    CallsPerS,
    Cpu,
    /// What a stream moved beside the calls.
    Stream,
}

impl Metric {
    pub(crate) const ALL: [Self; 5] = [
        Self::P50,
        Self::P99,
        Self::CallsPerS,
        Self::Cpu,
        Self::Stream,
    ];

    /// As it stands in JSON.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P99 => "p99",
            Self::CallsPerS => "calls_per_s",
            Self::Cpu => "cpu_us_per_call",
            Self::Stream => "stream_bytes_per_s",
        }
    }

    /// For people.
    pub(crate) const fn unit(self) -> &'static str {
        match self {
            Self::P50 => "p50 us",
            Self::P99 => "p99 us",
            Self::CallsPerS => "calls/s",
            Self::Cpu => "CPU us per call",
            Self::Stream => "stream MiB/s",
        }
    }

    const fn is_latency(self) -> bool {
        matches!(self, Self::P50 | Self::P99)
    }

    /// 0 where there was no call.
    pub(crate) fn of(self, repetition: &Repetition) -> f64 {
        match self {
            Self::P50 => repetition.p50,
            Self::P99 => repetition.p99,
            Self::CallsPerS => repetition.calls_per_s,
            Self::Cpu => repetition.cpu_us_per_call.unwrap_or_default(),
            Self::Stream => repetition.stream_bytes_per_s / MIB,
        }
    }
}

const MIB: f64 = 1_048_576.0;

/// Each repetition of a row.
pub(crate) fn each(row: &Row, metric: Metric) -> Vec<f64> {
    row.each.iter().map(|one| metric.of(one)).collect()
}

/// What a row lacks to say something by a quantity: all its repetitions must have some of it.
pub(crate) fn lack(row: &Row, metric: Metric) -> Option<String> {
    if Quartiles::of(&each(row, metric)).is_some() {
        return None;
    }
    let all = row.each.len();
    let silent = row.each.iter().filter(|one| one.calls_per_s <= 0.0).count();
    let lack = match silent {
        0 => format!("no {}", metric.name()),
        silent if silent == all => "no calls".to_owned(),
        silent => format!("no calls in {silent} of {all} repetitions"),
    };
    Some(format!("{} {}: {lack}", row.transport, row.scenario))
}

/// Two rows, divided repetition by repetition: what the machine did meanwhile fell on both.
pub(crate) fn quotients(of: &Row, to: &Row, metric: Metric) -> Vec<f64> {
    let pairs = of.each.iter().zip(&to.each);
    pairs
        .map(|(of, to)| metric.of(of) / metric.of(to))
        .collect()
}

/// One row divided by another, in each quantity that both have.
pub(crate) fn ratios(rows: &[Row], of: usize, to: usize) -> Vec<Ratio> {
    let all = Metric::ALL.into_iter();
    all.filter_map(|metric| ratio(rows, metric, of, to))
        .collect()
}

/// One row divided by another. It is noisy where the middle half of its repetitions lies further
/// apart than its median lies from 1: whether there is a difference at all cannot be told. There
/// is none where a repetition has nothing to divide, or to divide by.
pub(crate) fn ratio(rows: &[Row], metric: Metric, of: usize, to: usize) -> Option<Ratio> {
    let (above, below) = (rows.get(of)?, rows.get(to)?);
    // The latency of a call is no share of that of a window.
    if metric.is_latency() && above.windowed != below.windowed {
        return None;
    }
    let quotients = quotients(above, below, metric);
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
pub(crate) struct Quartiles {
    pub(crate) min: f64,
    pub(crate) first: f64,
    pub(crate) median: f64,
    pub(crate) third: f64,
    pub(crate) max: f64,
}

impl Quartiles {
    /// None of no values, and of any that is no positive number.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
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
    pub(crate) fn spread(&self) -> f64 {
        (self.third - self.first) / self.median
    }

    /// As `1.14 (1.12..1.20)`: median, lowest and highest.
    pub(crate) fn text(&self) -> String {
        let Self {
            median, min, max, ..
        } = *self;
        format!("{} ({}..{})", short(median), short(min), short(max))
    }
}

/// Three digits, or all before the point.
pub(crate) fn short(value: f64) -> String {
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
    use crate::report::sample;

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
    fn a_row_without_calls_has_no_ratio_rather_than_no_number() {
        let mut rows = sample::pair().rows;
        rows[0].each[0].p50 = 0.0;
        rows[0].each.iter_mut().for_each(|one| one.p99 = 0.0);
        let found = ratios(&rows, 1, 0);
        let whats: Vec<_> = found.iter().map(|ratio| ratio.what.as_str()).collect();
        assert_eq!(whats, ["calls_per_s", "cpu_us_per_call"]);
    }

    #[test]
    fn what_a_row_lacks_is_said() {
        let mut row = sample::row("raw", 8.0);
        assert_eq!(lack(&row, Metric::P50), None);
        let lacks = |row: &Row, metric| lack(row, metric).unwrap();
        assert_eq!(
            lacks(&row, Metric::Stream),
            "raw unary: no stream_bytes_per_s"
        );
        row.each[1] = Repetition::default();
        let some = "raw unary: no calls in 1 of 5 repetitions";
        assert_eq!(lacks(&row, Metric::P50), some);
        assert_eq!(lacks(&row, Metric::Cpu), some);
        row.each.fill(Repetition::default());
        assert_eq!(lacks(&row, Metric::P50), "raw unary: no calls");
        row.each.clear();
        assert_eq!(lacks(&row, Metric::P50), "raw unary: no p50");
    }

    #[test]
    fn the_latency_of_a_call_is_not_divided_by_that_of_a_window() {
        let mut rows = sample::pair().rows;
        rows[0].windowed = true;
        let found = ratios(&rows, 1, 0);
        let whats: Vec<_> = found.iter().map(|ratio| ratio.what.as_str()).collect();
        assert_eq!(whats, ["calls_per_s", "cpu_us_per_call"]);
    }

    #[test]
    fn one_stray_of_five_repetitions_makes_no_ratio_noisy_and_one_of_two_does() {
        let mut rows = sample::pair().rows;
        rows[1].each[3].p50 *= 2.0;
        assert!(!ratio(&rows, Metric::P50, 1, 0).unwrap().noisy);
        for row in &mut rows {
            row.each.drain(..3);
        }
        assert!(ratio(&rows, Metric::P50, 1, 0).unwrap().noisy);
    }

    #[test]
    fn one_outlier_of_five_does_not_make_a_ratio_noisy() {
        let quartiles = Quartiles::of(&[0.5, 0.5, 0.51, 0.52, 3.0]).unwrap();
        assert!(quartiles.are_apart_from(1.0));
    }
}
