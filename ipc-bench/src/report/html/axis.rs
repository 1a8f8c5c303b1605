//! Axes: where a value lies between 0 and 1, and where the ticks stand.

/// One axis of a plot.
pub(super) struct Axis {
    pub(super) label: String,
    pub(super) ticks: Vec<(f64, String)>,
    low: f64,
    high: f64,
    logarithmic: bool,
}

impl Axis {
    /// From zero on, in even steps.
    pub(super) fn linear(
        label: &str,
        values: impl IntoIterator<Item = f64>,
        text: fn(f64) -> String,
    ) -> Self {
        let finite = values.into_iter().filter(|value| value.is_finite());
        let most = finite.fold(0.0, f64::max);
        let step = step(if most > 0.0 { most } else { 1.0 } / STEPS);
        let steps = (most / step).ceil().max(1.0);
        let at = |index: u32| f64::from(index) * step;
        Self {
            label: label.to_owned(),
            ticks: (0..=steps as u32)
                .map(|index| (at(index), text(at(index))))
                .collect(),
            low: 0.0,
            high: steps * step,
            logarithmic: false,
        }
    }

    /// Each tenfold as far as the last.
    pub(super) fn logarithmic(
        label: &str,
        values: impl IntoIterator<Item = f64>,
        text: fn(f64) -> String,
    ) -> Self {
        let (low, high) = range(values);
        let (low, high) = (low / 1.15, high * 1.15);
        let mut ticks = decades(low, high, &[1.0]);
        for finer in [&[1.0, 3.0][..], &[1.0, 2.0, 5.0], &TENTHS] {
            if ticks.len() < 3 {
                ticks = decades(low, high, finer);
            }
        }
        let apart = ticks.len().div_ceil(MOST_TICKS).max(1);
        Self {
            label: label.to_owned(),
            ticks: ticks
                .into_iter()
                .step_by(apart)
                .map(|at| (at, text(at)))
                .collect(),
            low,
            high,
            logarithmic: true,
        }
    }

    /// Linear, unless the small values would be lost beside the large ones.
    pub(super) fn fitting(
        label: &str,
        values: impl IntoIterator<Item = f64>,
        text: fn(f64) -> String,
    ) -> Self {
        let values: Vec<f64> = values.into_iter().collect();
        let (low, high) = range(values.iter().copied());
        if high / low > MOST_LINEAR {
            Self::logarithmic(&format!("{label} (log scale)"), values, text)
        } else {
            Self::linear(label, values, text)
        }
    }

    /// Logarithmic, with a tick at each value that occurs.
    pub(super) fn of_values(
        label: &str,
        values: impl IntoIterator<Item = f64>,
        text: fn(f64) -> String,
    ) -> Self {
        let mut values: Vec<f64> = values.into_iter().filter(|value| *value > 0.0).collect();
        values.sort_by(f64::total_cmp);
        values.dedup();
        let (low, high) = range(values.iter().copied());
        let mut axis = Self {
            label: label.to_owned(),
            ticks: Vec::new(),
            low: low / 1.1,
            high: high * 1.1,
            logarithmic: true,
        };
        let mut last = f64::NEG_INFINITY;
        for value in values {
            if axis.at(value).is_some_and(|at| at - last >= CLOSEST) {
                last = axis.at(value).unwrap_or(last);
                axis.ticks.push((value, text(value)));
            }
        }
        axis
    }

    /// Quantiles up to one call in `most`, drawn at 1/(1-q) so that the tail has room.
    pub(super) fn quantiles(label: &str, most: f64) -> Self {
        let named = [
            (2.0, "50 %"),
            (10.0, "90 %"),
            (1e2, "99 %"),
            (1e3, "99.9 %"),
            (1e4, "99.99 %"),
            (1e5, "99.999 %"),
            (1e6, "99.9999 %"),
            (1e7, "99.99999 %"),
        ];
        let high = most.clamp(10.0, 1e8);
        let shown = named.iter().filter(|(at, _)| *at <= high * 1.001);
        let fits = |at: f64| high < 9e6 || at != 1e6;
        Self {
            label: label.to_owned(),
            ticks: shown
                .filter(|(at, _)| fits(*at))
                .map(|(at, text)| (*at, (*text).to_owned()))
                .collect(),
            low: 1.0,
            high,
            logarithmic: true,
        }
    }

    /// Where a value lies, or nothing if it cannot be drawn here.
    pub(super) fn at(&self, value: f64) -> Option<f64> {
        if !value.is_finite() || (self.logarithmic && value <= 0.0) {
            return None;
        }
        let at = if self.logarithmic {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        Some(at.clamp(0.0, 1.0))
    }
}

/// The smallest and the largest value that a logarithm can be taken of.
fn range(values: impl IntoIterator<Item = f64>) -> (f64, f64) {
    let drawn = values
        .into_iter()
        .filter(|value| value.is_finite() && *value > 0.0);
    let (low, high) = drawn.fold((f64::INFINITY, 0.0_f64), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    if high == 0.0 {
        (1.0, 10.0)
    } else {
        (low, high)
    }
}

/// Each of `parts` times each power of ten, where it lies in range.
fn decades(low: f64, high: f64, parts: &[f64]) -> Vec<f64> {
    let (from, until) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    let all =
        (from..=until).flat_map(|power| parts.iter().map(move |part| part * 10_f64.powi(power)));
    all.filter(|at| (low..=high).contains(at)).collect()
}

/// The next of 1, 2, 5, 10, ... that is no smaller.
fn step(least: f64) -> f64 {
    let decade = 10_f64.powf(least.log10().floor());
    let round = [1.0, 2.0, 5.0].map(|part| part * decade);
    let fits = round.into_iter().find(|step| *step >= least);
    fits.unwrap_or(decade * 10.0)
}

/// Steps that a linear axis is to have at least.
const STEPS: f64 = 4.0;
/// How many times the least value the greatest may be on a linear axis.
const MOST_LINEAR: f64 = 12.0;
/// Ticks that a logarithmic axis may have at most.
const MOST_TICKS: usize = 8;
/// How near two ticks may stand, as a share of the axis.
const CLOSEST: f64 = 0.07;
const TENTHS: [f64; 10] = [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::units::{count, time};

    fn texts(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, text)| text.as_str()).collect()
    }

    #[test]
    fn a_linear_axis_has_round_steps_from_zero() {
        let axis = Axis::linear("", [30.0, 870_000.0], count);
        assert_eq!(texts(&axis), ["0", "500 k", "1 M"]);
        let axis = Axis::linear("", [41.0], count);
        assert_eq!(texts(&axis), ["0", "20", "40", "60"]);
        assert_eq!(axis.at(30.0), Some(0.5));
    }

    #[test]
    fn a_logarithmic_axis_has_ticks_whatever_its_range() {
        for (low, high) in [(8.0, 9.0), (8.0, 80.0), (1.0, 1e7), (5.0, 5.0), (0.1, 1e12)] {
            let axis = Axis::logarithmic("", [low, high], time);
            let ticks = axis.ticks.len();
            assert!((1..=MOST_TICKS).contains(&ticks), "{low}..{high}: {ticks}");
        }
        let axis = Axis::logarithmic("", [9.0, 11_000.0], time);
        assert_eq!(texts(&axis), ["10 µs", "100 µs", "1 ms", "10 ms"]);
    }

    #[test]
    fn what_cannot_be_drawn_has_no_place() {
        let axis = Axis::logarithmic("", [], time);
        assert_eq!(axis.at(0.0), None);
        assert_eq!(axis.at(f64::NAN), None);
        assert_eq!(Axis::linear("", [], count).at(f64::INFINITY), None);
    }

    #[test]
    fn quantiles_end_where_the_calls_do() {
        assert_eq!(
            texts(&Axis::quantiles("", 12_000.0)),
            ["50 %", "90 %", "99 %", "99.9 %", "99.99 %"]
        );
        let many = Axis::quantiles("", 5e7);
        assert_eq!(texts(&many)[5..], ["99.999 %", "99.99999 %"]);
    }
}
