//! Line plots as SVG. Colours and fonts are the style sheet's, so that they follow the theme.

use std::fmt::Write as _;

use maud::{Markup, html};

use super::axis::Axis;
use super::palette::Style;

/// Lines over two axes.
pub(super) struct Plot {
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) height: f64,
    pub(super) lines: Vec<Line>,
}

/// One line of a plot.
pub(super) struct Line {
    pub(super) name: String,
    pub(super) style: Style,
    pub(super) points: Vec<Point>,
}

/// One value of a line.
#[derive(Default)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
    /// The least and the most that repetitions found.
    pub(super) range: Option<(f64, f64)>,
    /// Marked with a dot that says this when it is pointed at.
    pub(super) note: Option<String>,
}

impl Plot {
    pub(super) fn svg(&self) -> Markup {
        let (right, bottom) = (WIDTH - RIGHT, self.bottom());
        let middle = (LEFT + right) / 2.0;
        let label = format!("{} over {}", self.y.label, self.x.label);
        html! {
            svg viewBox=(format!("0 0 {WIDTH} {}", self.height)) role="img" aria-label=(label) {
                g class="grid" {
                    @for (value, _) in &self.y.ticks {
                        @if let Some(y) = self.y(*value) {
                            line x1=(LEFT) x2=(right) y1=(px(y)) y2=(px(y)) {}
                        }
                    }
                    @for (value, _) in &self.x.ticks {
                        @if let Some(x) = self.x(*value) {
                            line x1=(px(x)) x2=(px(x)) y1=(TOP) y2=(px(bottom)) {}
                        }
                    }
                }
                g class="y ticks" {
                    @for (value, text) in &self.y.ticks {
                        @if let Some(y) = self.y(*value) {
                            text x=(LEFT - 8.0) y=(px(y)) dy="0.32em" { (text) }
                        }
                    }
                }
                g class=(if self.x.ticks.len() > 5 { "x ticks many" } else { "x ticks" }) {
                    @for (value, text) in &self.x.ticks {
                        @if let Some(x) = self.x(*value) {
                            text x=(px(x)) y=(px(bottom + 8.0)) dy="0.8em" { (text) }
                        }
                    }
                }
                text class="axis" x=(px(LEFT)) y="12" { (self.y.label) }
                text class="axis middle" x=(px(middle)) y=(px(self.height - 5.0)) { (self.x.label) }
                @for (index, line) in self.lines.iter().enumerate() { (self.line(index, line)) }
            }
        }
    }

    fn line(&self, index: usize, line: &Line) -> Markup {
        let mut path = String::new();
        for point in &line.points {
            let Some((x, y)) = self.x(point.x).zip(self.y(point.y)) else {
                continue;
            };
            let verb = if path.is_empty() { 'M' } else { 'L' };
            write!(path, "{verb}{x:.1} {y:.1}").expect("a string takes any text");
        }
        html! {
            g class=(format!("line s{index} {}", line.style.class())) {
                title { (line.name) }
                path d=(path) {}
                @for point in &line.points { (self.marks(point, &line.name)) }
            }
        }
    }

    /// What stands at a point beside the line itself.
    fn marks(&self, point: &Point, name: &str) -> Markup {
        let Some((x, y)) = self.x(point.x).zip(self.y(point.y)) else {
            return html! {};
        };
        let range = point
            .range
            .and_then(|(low, high)| self.y(low).zip(self.y(high)));
        html! {
            @if let Some((low, high)) = range {
                line class="range" x1=(px(x)) x2=(px(x)) y1=(px(low)) y2=(px(high)) {}
            }
            @if let Some(note) = &point.note {
                circle cx=(px(x)) cy=(px(y)) r="3" { title { (name) ": " (note) } }
            }
        }
    }

    fn x(&self, value: f64) -> Option<f64> {
        self.x
            .at(value)
            .map(|at| LEFT + at * (WIDTH - RIGHT - LEFT))
    }

    fn y(&self, value: f64) -> Option<f64> {
        let bottom = self.bottom();
        self.y.at(value).map(|at| bottom - at * (bottom - TOP))
    }

    fn bottom(&self) -> f64 {
        self.height - BOTTOM
    }
}

/// A card with a title, plots that share their lines, and what each line is.
pub(super) fn figure(title: &str, plots: &[Plot]) -> Markup {
    html! {
        figure {
            figcaption { (title) }
            @for plot in plots { (plot.svg()) }
            @if let Some(plot) = plots.first() {
                ul class="legend" {
                    @for (index, line) in plot.lines.iter().enumerate() {
                        li class=(format!("s{index} {}", line.style.class())) {
                            svg viewBox="0 0 26 10" aria-hidden="true" { path d="M1 5L25 5" {} }
                            (line.name)
                        }
                    }
                }
            }
        }
    }
}

/// A length in the units of a drawing.
pub(super) fn px(length: f64) -> String {
    format!("{length:.1}")
}

const WIDTH: f64 = 640.0;
const LEFT: f64 = 78.0;
const RIGHT: f64 = 26.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 50.0;
