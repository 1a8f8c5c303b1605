//! What a reader should not trust: ratios that repetitions do not agree on, and calls that failed.

use maud::{Markup, html};

use crate::report::interval::Interval;
use crate::report::keys::{name_beside, short_name};
use crate::report::row::{Ratio, Repetition, Report, Row};
use crate::report::units::{count, percent, plural, time};

/// A box that says it first.
pub(super) fn section(report: &Report) -> Markup {
    let rows: Vec<&Row> = report.rows.iter().collect();
    let failed = rows.iter().filter(|row| row.errors > 0);
    let failed: Vec<_> = failed.map(|row| failures(row, &rows)).collect();
    let noisy = noisy_ratios(report, &rows);
    let apart = far_apart(&rows);
    html! {
        @if !failed.is_empty() {
            section class="warning bad" {
                h2 { "Calls failed" }
                (list(&failed))
            }
        }
        @if noisy.is_empty() && apart.is_empty() {
            p class="calm" { (calm(report)) }
        } @else {
            section class="warning" {
                h2 { "What was noisy" }
                @if !noisy.is_empty() {
                    p { (plural(noisy.len(), "ratio", "ratios")) " of " (report.ratios.len()) " cannot be told, since the repetitions agree too little:" }
                    (list(&noisy))
                }
                @if !apart.is_empty() {
                    p { "Rows whose median may lie in an interval wider than " (percent(FAR)) " of it:" }
                    (list(&apart))
                }
            }
        }
    }
}

fn calm(report: &Report) -> String {
    if report.repetitions < 2 {
        return "One repetition only: how noisy the machine was is not known.".to_owned();
    }
    format!(
        "Quiet enough: in no row may the median of {} repetitions lie in an interval wider than {} of it.",
        report.repetitions,
        percent(FAR)
    )
}

pub(super) fn list(lines: &[String]) -> Markup {
    let (first, more) = lines.split_at(lines.len().min(SHOWN));
    html! {
        ul { @for line in first { li { (line) } } }
        @if !more.is_empty() {
            details {
                summary { (more.len()) " more" }
                ul { @for line in more { li { (line) } } }
            }
        }
    }
}

fn failures(row: &Row, rows: &[&Row]) -> String {
    let by: Vec<_> = row
        .errors_by
        .iter()
        .map(|(kind, times)| format!("{kind} {}", count(*times as f64)))
        .collect();
    let all = row.calls.saturating_add(row.errors) as f64;
    let share = percent(row.errors as f64 / all);
    let by = if by.is_empty() {
        String::new()
    } else {
        format!(": {}", by.join(", "))
    };
    format!(
        "{} – {} of {} ({share}){by}",
        short_name(row, rows),
        count(row.errors as f64),
        count(all)
    )
}

fn noisy_ratios(report: &Report, rows: &[&Row]) -> Vec<String> {
    let noisy = report.ratios.iter().filter(|ratio| ratio.noisy);
    let text = |ratio: &Ratio| {
        let (of, to) = (report.rows.get(ratio.of)?, report.rows.get(ratio.to)?);
        Some(format!(
            "{} – {} to {}: {:.2} ({:.2}..{:.2})",
            short_name(of, rows),
            ratio.what,
            name_beside(to, of),
            ratio.median,
            ratio.min,
            ratio.max
        ))
    };
    noisy.filter_map(text).collect()
}

fn far_apart(rows: &[&Row]) -> Vec<String> {
    type Quantity = (&'static str, fn(&Repetition) -> f64, fn(f64) -> String);
    let quantities: [Quantity; 2] = [
        ("calls/s", |one| one.calls_per_s, count),
        ("p50", |one| one.p50, time),
    ];
    let mut found = Vec::new();
    for row in rows {
        for (what, value, text) in quantities {
            let each = Interval::of(row.each.iter().map(value));
            if let Some(each) = each.filter(|each| each.width() > FAR) {
                let (low, high) = (text(each.low), text(each.high));
                let (name, median) = (short_name(row, rows), text(each.median));
                found.push(format!("{name} – {what} {low} to {high}, median {median}"));
            }
        }
    }
    found
}

/// From here on, as a share of the median, the ends of its interval are said to lie far apart.
const FAR: f64 = 0.25;
/// Lines that are shown before the rest is folded away.
const SHOWN: usize = 8;
