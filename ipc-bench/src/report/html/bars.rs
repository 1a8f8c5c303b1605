//! Transports side by side in each workload.

use std::cmp::Ordering;

use maud::{Markup, html};

use super::curves::nothing;
use super::palette::Palette;
use super::plot::px;
use super::table::no_figure;
use crate::report::interval::Interval;
use crate::report::keys::{Key, groups, raw_beside, short_name, title};
use crate::report::row::{Repetition, Report, Row};
use crate::report::units::{bytes, count, time, times};

/// A card for each workload that several rows measured.
pub(super) fn peers(report: &Report, palette: &Palette) -> Markup {
    let rows: Vec<&Row> = report.rows.iter().collect();
    let mut cards = groups(&Key::WORKLOAD, &rows);
    cards.retain(|card| card.len() > 1);
    html! {
        @for card in &cards {
            figure class="wide" {
                figcaption { (title(card)) }
                div class="panels" {
                    @for quantity in quantities(card) { (panel(report, card, &quantity, palette)) }
                }
            }
        }
        @if cards.is_empty() {
            (nothing("No two rows measured the same workload, so there is nothing to compare."))
        }
    }
}

/// What the bars of a panel are as long as.
struct Quantity {
    /// As in the ratios.
    what: &'static str,
    title: &'static str,
    more_is_better: bool,
    is_latency: bool,
    text: fn(f64) -> String,
    of: fn(&Row) -> Option<f64>,
    each: fn(&Row, &Repetition) -> Option<f64>,
}

impl Quantity {
    /// Whether it says of a row what it says of others.
    const fn is_of(&self, row: &Row) -> bool {
        !(self.is_latency && row.windowed)
    }

    /// None where there was no call that it could be of.
    fn value(&self, row: &Row) -> Option<f64> {
        let value = (self.of)(row)?;
        (row.calls > 0 || !self.is_latency).then_some(value)
    }

    /// The best first, and last what has no value.
    fn order(&self, a: &Row, b: &Row) -> Ordering {
        match (self.value(a), self.value(b)) {
            (Some(a), Some(b)) if self.more_is_better => b.total_cmp(&a),
            (Some(a), Some(b)) => a.total_cmp(&b),
            (a, b) => b.is_some().cmp(&a.is_some()),
        }
    }
}

fn quantities(card: &[&Row]) -> [Quantity; 4] {
    let is_bulk = card.iter().all(|row| row.payload_bytes >= BULK);
    [
        latency(
            "p50",
            "p50 latency",
            |row| Some(row.latency_us.p50),
            |_, one| Some(one.p50),
        ),
        latency(
            "p99",
            "p99 latency",
            |row| Some(row.latency_us.p99),
            |_, one| Some(one.p99),
        ),
        if is_bulk { BYTES } else { CALLS },
        CPU,
    ]
}

const fn latency(
    what: &'static str,
    title: &'static str,
    of: fn(&Row) -> Option<f64>,
    each: fn(&Row, &Repetition) -> Option<f64>,
) -> Quantity {
    Quantity {
        what,
        title,
        more_is_better: false,
        is_latency: true,
        text: time,
        of,
        each,
    }
}

const BYTES: Quantity = Quantity {
    what: "calls_per_s",
    title: "payload per second",
    more_is_better: true,
    is_latency: false,
    text: |value| format!("{}/s", bytes(value)),
    of: |row| Some(row.bytes_per_s),
    each: |row, one| Some(one.calls_per_s * row.bytes_per_s / row.calls_per_s),
};

const CALLS: Quantity = Quantity {
    what: "calls_per_s",
    title: "calls per second",
    more_is_better: true,
    is_latency: false,
    text: |value| format!("{}/s", count(value)),
    of: |row| Some(row.calls_per_s),
    each: |_, one| Some(one.calls_per_s),
};

const CPU: Quantity = Quantity {
    what: "cpu_us_per_call",
    title: "CPU time per call, both sides",
    more_is_better: false,
    is_latency: false,
    text: time,
    of: |row| row.cpu_us_per_call.map(|used| used.client + used.server),
    each: |_, one| one.cpu_us_per_call,
};

fn panel(report: &Report, card: &[&Row], quantity: &Quantity, palette: &Palette) -> Markup {
    let mut bars: Vec<&Row> = card.to_vec();
    bars.retain(|row| quantity.is_of(row));
    let most = longest(&bars, quantity);
    bars.sort_by(|a, b| quantity.order(a, b));
    let better = if quantity.more_is_better {
        "more"
    } else {
        "less"
    };
    let height = HEAD + card.len() as f64 * STEP;
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {height}")) role="img" aria-label=(quantity.title) {
            text class="panel-title" x="0" y="14" { (quantity.title) }
            text class="hint" x=(WIDTH) y="14" { (better) " is better" }
            @for (index, row) in bars.iter().enumerate() {
                g class=(format!("bar c{}", palette.colour(&row.transport)))
                    transform=(format!("translate(0 {})", px(HEAD + index as f64 * STEP))) {
                    (bar(row, quantity, most))
                    text class=(if row.transport.starts_with("ipc") { "name own" } else { "name" }) x="0" y="12" {
                        (short_name(row, card))
                    }
                    text class="value" x=(WIDTH) y="12" {
                        (quantity.value(row).map_or_else(|| no_figure(row).to_owned(), quantity.text))
                        (ratio_label(report, row, quantity))
                    }
                }
            }
        }
    }
}

/// What the whole width stands for. Repetitions that went far off do not make all bars short.
fn longest(card: &[&Row], quantity: &Quantity) -> f64 {
    let most = |values: &mut dyn Iterator<Item = f64>| {
        values.filter(|value| value.is_finite()).fold(0.0, f64::max)
    };
    let longest = most(&mut card.iter().filter_map(|row| quantity.value(row)));
    let ends = most(
        &mut card
            .iter()
            .filter_map(|row| interval(row, quantity))
            .map(|each| each.high),
    );
    ends.clamp(longest, longest * 1.25)
}

fn interval(row: &Row, quantity: &Quantity) -> Option<Interval> {
    let each = row.each.iter();
    let each = each.filter_map(|one| (quantity.each)(row, one).filter(|value| value.is_finite()));
    Interval::of(each).filter(|_| quantity.value(row).is_some())
}

/// The bar itself, and how far the repetitions lie apart.
fn bar(row: &Row, quantity: &Quantity, most: f64) -> Markup {
    let long = |value: f64| {
        let share = value / most;
        if share.is_finite() {
            share.clamp(0.0, 1.0) * WIDTH
        } else {
            0.0
        }
    };
    let each = interval(row, quantity);
    let text = quantity.text;
    html! {
        @if let Some(Interval { low, high, .. }) = each {
            title {
                (quantity.title) " of " (row.each.len()) " repetitions: " (text(low)) " to " (text(high))
            }
        }
        rect class="track" x="0" y="18" width=(WIDTH) height="9" rx="2" {}
        rect class="fill" x="0" y="18" width=(px(long(quantity.value(row).unwrap_or_default()).max(1.0))) height="9" rx="2" {}
        @if let Some(Interval { low, high, .. }) = each {
            line class="range" x1=(px(long(low))) x2=(px(long(high))) y1="22.5" y2="22.5" {}
        }
    }
}

/// The ratio to the raw row beside it, as the report has it.
fn ratio_label(report: &Report, row: &Row, quantity: &Quantity) -> Markup {
    let raw = raw_beside(&report.rows, row).first().copied();
    let raw = raw.filter(|raw| !std::ptr::eq(*raw, row) && quantity.is_of(raw));
    let Some(raw) = raw else {
        return html! {};
    };
    let is = |at: usize, wanted: &Row| {
        report
            .rows
            .get(at)
            .is_some_and(|row| std::ptr::eq(row, wanted))
    };
    let found = report
        .ratios
        .iter()
        .find(|ratio| ratio.what == quantity.what && is(ratio.of, row) && is(ratio.to, raw));
    let own = quantity.value(row).zip(quantity.value(raw));
    let own = own.map(|(own, raw)| own / raw);
    let own = own.filter(|own| own.is_finite()).map(times);
    html! {
        @if let Some(ratio) = found {
            tspan class=(if ratio.noisy { "ratio noisy" } else { "ratio" }) dx="7" {
                @if ratio.noisy { "≈ " }
                (times(ratio.median)) " raw"
            }
        } @else if let Some(own) = own {
            tspan class="ratio" dx="7" { (own) " raw" }
        }
    }
}

/// Payloads from here on are spoken of in bytes per second.
const BULK: usize = 16 * 1_024;
const WIDTH: f64 = 320.0;
const HEAD: f64 = 26.0;
const STEP: f64 = 36.0;
