//! Curves through several rows: what more concurrency, or a higher rate, does.

use maud::{Markup, html};

use super::axis::Axis;
use super::curves::{MOST_LINES, nothing};
use super::palette::Palette;
use super::plot::{Line, Plot, Point, figure};
use crate::report::interval::Interval;
use crate::report::keys::{Key, groups, short_name, title};
use crate::report::row::{Repetition, Row};
use crate::report::units::{count, time};

/// Calls per second over calls in flight, and over connections.
pub(super) fn throughput(rows: &[&Row], palette: &Palette) -> Markup {
    let answered = Quantity {
        label: "calls per second",
        text: count,
        of: |row| row.calls_per_s,
        each: |one| one.calls_per_s,
    };
    let closed: Vec<&Row> = rows
        .iter()
        .filter(|row| row.rate.is_none())
        .copied()
        .collect();
    let sweeps = [
        Sweep {
            over: Key::InFlight,
            label: "calls in flight on each connection",
            x: |row| row.in_flight as f64,
        },
        Sweep {
            over: Key::Connections,
            label: "connections",
            x: |row| row.connections as f64,
        },
    ];
    let drawn: Vec<_> = sweeps
        .iter()
        .flat_map(|sweep| sweep.figures(&closed, std::slice::from_ref(&answered), palette))
        .collect();
    html! {
        @for one in &drawn { (one) }
        @if drawn.is_empty() { (nothing("Every workload was measured at one concurrency only.")) }
    }
}

/// Latency over the rate at which calls were to begin; nothing if there were no two rates.
pub(super) fn rates(rows: &[&Row], palette: &Palette) -> Vec<Markup> {
    let quantities = [
        Quantity {
            label: "p99 latency from the intended start",
            text: time,
            of: |row| row.latency_us.p99,
            each: |one| one.p99,
        },
        Quantity {
            label: "p50 latency from the intended start",
            text: time,
            of: |row| row.latency_us.p50,
            each: |one| one.p50,
        },
        Quantity {
            label: "calls answered per second",
            text: count,
            of: |row| row.calls_per_s,
            each: |one| one.calls_per_s,
        },
    ];
    let open: Vec<&Row> = rows
        .iter()
        .filter(|row| row.rate.is_some())
        .copied()
        .collect();
    let sweep = Sweep {
        over: Key::Rate,
        label: "calls per second offered",
        x: |row| row.rate.unwrap_or_default(),
    };
    sweep.figures(&open, &quantities, palette)
}

/// What a chart shows of each row.
struct Quantity {
    label: &'static str,
    text: fn(f64) -> String,
    of: fn(&Row) -> f64,
    each: fn(&Repetition) -> f64,
}

/// What changes from row to row of a line.
struct Sweep {
    over: Key,
    label: &'static str,
    x: fn(&Row) -> f64,
}

impl Sweep {
    fn figures(&self, rows: &[&Row], quantities: &[Quantity], palette: &Palette) -> Vec<Markup> {
        let same: Vec<Key> = Key::WORKLOAD
            .into_iter()
            .filter(|key| *key != self.over)
            .collect();
        let mut figures = Vec::new();
        for group in groups(&same, rows) {
            let mut lines = groups(&[Key::Transport, Key::Runtime], &group);
            lines.retain(|line| self.over.varies(line));
            for lines in lines.chunks(MOST_LINES) {
                let plots: Vec<_> = quantities
                    .iter()
                    .map(|quantity| self.plot(lines, quantity, palette))
                    .collect();
                figures.push(figure(&title(&lines.concat()), &plots));
            }
        }
        figures
    }

    fn plot(&self, lines: &[Vec<&Row>], quantity: &Quantity, palette: &Palette) -> Plot {
        let firsts: Vec<&Row> = lines.iter().map(|line| line[0]).collect();
        let all = || lines.iter().flatten().copied();
        let styled = lines.iter().zip(palette.styles(&firsts));
        let line = |(line, style): (&Vec<&Row>, _)| {
            let mut points: Vec<_> = line.iter().map(|row| self.point(row, quantity)).collect();
            points.sort_by(|a, b| a.x.total_cmp(&b.x));
            Line {
                name: short_name(line[0], &firsts),
                style,
                points,
            }
        };
        Plot {
            x: Axis::of_values(self.label, all().map(self.x), count),
            y: Axis::fitting(quantity.label, all().map(quantity.of), quantity.text),
            height: 340.0,
            lines: styled.map(line).collect(),
        }
    }

    fn point(&self, row: &Row, quantity: &Quantity) -> Point {
        let (x, y) = ((self.x)(row), (quantity.of)(row));
        let each = Interval::of(row.each.iter().map(quantity.each));
        let at = format!("{} at {}", (quantity.text)(y), self.over.text(row));
        Point {
            x,
            y,
            range: each.map(|each| (each.low, each.high)),
            note: Some(at),
        }
    }
}
