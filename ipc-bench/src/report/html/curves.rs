//! Curves that each row has of its own: latency percentiles and the time line.

use maud::{Markup, html};

use super::axis::Axis;
use super::palette::Palette;
use super::plot::{Line, Plot, Point, figure};
use crate::report::keys::{short_name, split, title};
use crate::report::row::{Row, Tick};
use crate::report::units::{count, digits, time};

/// Latency over quantiles, a line for each row.
pub(super) fn percentiles(rows: &[&Row], palette: &Palette) -> Markup {
    let drawn: Vec<&Row> = rows
        .iter()
        .filter(|row| row.percentiles.len() > 1 && !row.windowed)
        .copied()
        .collect();
    html! {
        @for part in split(&drawn, MOST_LINES) {
            (figure(&title(&part), &[percentile_plot(&part, palette)]))
        }
        @if drawn.is_empty() { (nothing("No row has percentiles.")) }
    }
}

fn percentile_plot(rows: &[&Row], palette: &Palette) -> Plot {
    let most = rows.iter().map(|row| row.calls).max().unwrap_or_default() as f64;
    let values = rows
        .iter()
        .flat_map(|row| row.percentiles.iter().map(|(_, us)| *us));
    let y = Axis::logarithmic("latency", values, time);
    let x = Axis::quantiles("calls that took no longer", most);
    let lines = named_lines(rows, palette, percentile_points);
    Plot {
        x,
        y,
        height: 380.0,
        lines,
    }
}

/// The curve of a row, with marks at the quantiles that people speak of.
fn percentile_points(row: &Row) -> Vec<Point> {
    // The slowest call is one of all.
    let most = row.calls.max(2) as f64;
    let place = |quantile: f64| (1.0 / (1.0 - quantile)).min(most);
    let measured = row
        .percentiles
        .iter()
        .filter(|(quantile, _)| (0.0..=1.0).contains(quantile));
    let curve: Vec<(f64, f64)> = measured
        .map(|(quantile, us)| (place(*quantile), *us))
        .collect();
    let mut points: Vec<Point> = curve
        .iter()
        .map(|&(x, y)| Point {
            x,
            y,
            ..Point::default()
        })
        .collect();
    for (quantile, name) in NAMED {
        let x = place(quantile);
        if x < most
            && let Some(us) = on_curve(&curve, x)
        {
            points.push(Point {
                x,
                y: us,
                note: Some(format!("{name} within {}", time(us))),
                ..Point::default()
            });
        }
    }
    points.sort_by(|a, b| a.x.total_cmp(&b.x));
    points
}

/// The height of a curve at a place between its points, by the logarithm of the place.
fn on_curve(curve: &[(f64, f64)], x: f64) -> Option<f64> {
    let after = curve.iter().position(|(at, _)| *at >= x)?;
    let (right, high) = curve[after];
    let (left, low) = curve[after.checked_sub(1)?];
    let share = (x / left).ln() / (right / left).ln();
    let us = (low.ln() + (high / low).ln() * share).exp();
    us.is_finite().then_some(us)
}

/// Rate and p99 of the last repetition, second by second.
pub(super) fn timeline(rows: &[&Row], palette: &Palette) -> Markup {
    let drawn: Vec<&Row> = rows
        .iter()
        .filter(|row| row.timeline.len() > 1)
        .copied()
        .collect();
    html! {
        @for part in split(&drawn, MOST_LINES) {
            (figure(&title(&part), &timeline_plots(&part, palette)))
        }
        @if drawn.is_empty() {
            (nothing("The measurements were too short for a time line: a longer --duration makes one."))
        }
    }
}

fn timeline_plots(rows: &[&Row], palette: &Palette) -> [Plot; 2] {
    let plot = |rows: &[&Row], label, text, value: fn(&Tick) -> f64| {
        let ticks = || rows.iter().flat_map(|row| &row.timeline);
        let point = |tick: &Tick| Point {
            x: tick.at_s,
            y: value(tick),
            ..Point::default()
        };
        Plot {
            x: Axis::linear("seconds", ticks().map(|tick| tick.at_s), digits),
            y: Axis::fitting(label, ticks().map(value), text),
            height: 240.0,
            lines: named_lines(rows, palette, |row| {
                row.timeline.iter().map(point).collect()
            }),
        }
    };
    let mut of_calls = rows.to_vec();
    of_calls.retain(|row| !row.windowed);
    [
        plot(rows, "calls per second", count, |tick| tick.calls_per_s),
        plot(&of_calls, "p99 latency", time, |tick| tick.p99_us),
    ]
}

fn named_lines(rows: &[&Row], palette: &Palette, points: impl Fn(&Row) -> Vec<Point>) -> Vec<Line> {
    let styled = rows.iter().zip(palette.styles(rows));
    let line = |(row, style): (&&Row, _)| Line {
        name: short_name(row, rows),
        style,
        points: points(row),
    };
    styled.map(line).collect()
}

/// Says why a chart is not there.
pub(super) fn nothing(why: &str) -> Markup {
    html! { p class="nothing" { (why) } }
}

/// Lines that can still be told apart in one chart.
pub(super) const MOST_LINES: usize = 8;
/// Quantiles that a curve is marked at.
const NAMED: [(f64, &str); 6] = [
    (0.5, "50 %"),
    (0.9, "90 %"),
    (0.99, "99 %"),
    (0.999, "99.9 %"),
    (0.9999, "99.99 %"),
    (0.99999, "99.999 %"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn marks_lie_on_the_curve_between_the_points_that_were_measured() {
        let at = on_curve(&[(1.0, 10.0), (10.0, 10.0), (1_000.0, 1_000.0)], 100.0).unwrap();
        assert!((at - 100.0).abs() < 1e-6, "{at}");
        assert_eq!(on_curve(&[(1.0, 10.0), (10.0, 10.0)], 100.0), None);
        assert_eq!(on_curve(&[], 1.0), None);
    }

    #[test]
    fn a_curve_has_marks_up_to_as_many_nines_as_calls_bear() {
        let mut row = sample::row("ipc", 9.2);
        row.calls = 500;
        let points = percentile_points(&row);
        let marks: Vec<_> = points
            .iter()
            .filter_map(|point| point.note.as_deref())
            .collect();
        assert_eq!(marks.len(), 3, "{marks:?}");
        assert!(marks[2].starts_with("99 % within 12.9"), "{marks:?}");
        assert!(points.iter().all(|point| point.x <= 500.0));
    }
}
