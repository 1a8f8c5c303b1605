//! What a soak sampled, over time.

use maud::{Markup, html};

use super::axis::Axis;
use super::palette::Style;
use super::plot::{Line, Plot, Point, figure};
use crate::report::float;
use crate::report::units::{bytes, count, digits, time};
use crate::soak::{Sample, Samples};

/// Memory, descriptors and p99 of the daemon, and what the lines through them say.
pub(super) fn samples(soak: &Samples, style: Style) -> Markup {
    let plot = |label, text: fn(f64) -> String, value: &dyn Fn(&Sample) -> Option<f64>| {
        let points = soak.samples.iter().filter_map(|sample| {
            Some(Point {
                x: sample.at_s,
                y: value(sample)?,
                ..Point::default()
            })
        });
        let points = points.collect::<Vec<_>>();
        let heights = points.iter().map(|point| point.y).collect::<Vec<_>>();
        Plot {
            x: Axis::linear("seconds", points.iter().map(|point| point.x), digits),
            y: Axis::linear(label, heights, text),
            height: 240.0,
            lines: vec![Line {
                name: "the daemon".to_owned(),
                style,
                points,
            }],
        }
    };
    let plots = [
        plot("resident memory", bytes, &|sample| {
            Some(float(sample.rss_bytes))
        }),
        plot("open descriptors", count, &|sample| {
            sample.descriptors.map(float)
        }),
        plot("p99 latency", time, &|sample| sample.p99_us),
    ];
    html! {
        (figure("What the daemon held", &plots))
        @for line in soak.lines() { p { (line) } }
    }
}
