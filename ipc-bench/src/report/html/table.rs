//! All figures, for whoever wants to read them exactly.

use maud::{Markup, html};

use crate::report::keys::{Key, full_name, name_beside, said};
use crate::report::row::{Report, Row, Sides};
use crate::report::units::{bytes, count, digits, time};

/// Every row. What all rows have in common is said once.
pub(super) fn rows(rows: &[&Row]) -> Markup {
    let keys = Key::ALL.into_iter();
    let (told, common): (Vec<_>, Vec<_>) =
        keys.partition(|key| *key == Key::Transport || key.varies(rows));
    let common = rows.first().map_or_else(Vec::new, |row| said(&common, row));
    html! {
        section id="rows" {
            h2 { "All rows" }
            p class="about" {
                @if !common.is_empty() { "All of them: " (common.join(", ")) ". " }
                "Times are medians over the repetitions; two figures are client and server."
            }
            div class="scroll" {
                table {
                    thead { tr {
                        @for key in &told { th { (heading(*key)) } }
                        @for heading in FIGURES { th class="number" { (heading) } }
                    } }
                    tbody { @for row in rows { tr {
                        @for key in &told {
                            @if *key == Key::Transport { th scope="row" { (row.transport) } } @else { td { (cell(*key, row)) } }
                        }
                        @for figure in figures(row) { td class="number" { (figure) } }
                    } } }
                }
            }
        }
    }
}

/// What stands below a heading, which has said the kind.
fn cell(key: Key, row: &Row) -> String {
    match key {
        Key::Connections => row.connections.to_string(),
        Key::InFlight => row.in_flight.to_string(),
        Key::Processes => row.processes.to_string(),
        Key::Pinning => row.pinning.clone(),
        _ => key.text(row),
    }
}

const fn heading(key: Key) -> &'static str {
    match key {
        Key::Transport => "transport",
        Key::Runtime => "runtime",
        Key::Scenario => "scenario",
        Key::Payload => "payload",
        Key::Pinning => "pinning",
        Key::Processes => "processes",
        Key::Connections => "connections",
        Key::InFlight => "in flight",
        Key::Rate => "rate",
        Key::Arrivals => "arrivals",
        Key::Deadline => "deadline",
        Key::Uids => "users",
    }
}

const FIGURES: [&str; 16] = [
    "calls/s",
    "payload/s",
    "stream/s",
    "p50",
    "p90",
    "p99",
    "p99.9",
    "p99.99",
    "max",
    "CPU/call",
    "switches/call",
    "syscalls/call",
    "RSS",
    "RSS/connection",
    "calls",
    "errors",
];

const NO_CALLS: &str = "no calls";

/// What stands where there is no figure for each call.
pub(super) fn no_figure(row: &Row) -> &'static str {
    if row.is_alone() { NO_CALLS } else { "–" }
}

fn figures(row: &Row) -> [String; 16] {
    let latency = &row.latency_us;
    let time_of = |us: f64| match row.windowed {
        _ if row.calls == 0 => NO_CALLS.to_owned(),
        true => format!("{} a window", time(us)),
        false => time(us),
    };
    let both = |sides: Sides<f64>, text: fn(f64) -> String| {
        format!("{} + {}", text(sides.client), text(sides.server))
    };
    let per_call = |sides: Option<Sides<f64>>, text| {
        sides.map_or_else(|| no_figure(row).to_owned(), |sides| both(sides, text))
    };
    [
        count(row.calls_per_s),
        format!("{}/s", bytes(row.bytes_per_s)),
        row.stream_bytes_per_s
            .map_or_else(|| "–".to_owned(), |moved| format!("{}/s", bytes(moved))),
        time_of(latency.p50),
        time_of(latency.p90),
        time_of(latency.p99),
        time_of(latency.p999),
        time_of(latency.p9999),
        time_of(latency.max),
        per_call(row.cpu_us_per_call, time),
        per_call(row.switches_per_call, digits),
        row.syscalls_per_call
            .map_or_else(|| "–".to_owned(), |sides| both(sides, digits)),
        format!(
            "{} + {}",
            bytes(row.rss_bytes.client as f64),
            bytes(row.rss_bytes.server as f64)
        ),
        bytes(row.rss_bytes_per_connection),
        count(row.calls as f64),
        count(row.errors as f64),
    ]
}

/// Every ratio, folded away: there are many.
pub(super) fn ratios(report: &Report) -> Markup {
    let row = |at: usize| report.rows.get(at);
    let known: Vec<_> = report
        .ratios
        .iter()
        .filter_map(|ratio| Some((ratio, row(ratio.of)?, row(ratio.to)?)))
        .collect();
    html! {
        @if !known.is_empty() {
            section {
                h2 { "All ratios" }
                p class="about" { "Divided repetition by repetition; then the median, the least and the most." }
                details {
                    summary { (count(known.len() as f64)) " ratios" }
                    div class="scroll" {
                        table {
                            thead { tr {
                                th { "of" } th { "to" } th { "what" }
                                @for heading in ["median", "least", "most"] { th class="number" { (heading) } }
                                th { "can be told" }
                            } }
                            tbody { @for (ratio, of, to) in known { tr {
                                th scope="row" { (full_name(of)) }
                                td { (name_beside(to, of)) }
                                td { (ratio.what) }
                                @for value in [ratio.median, ratio.min, ratio.max] { td class="number" { (digits(value)) } }
                                td { @if ratio.noisy { "no: too noisy" } @else { "yes" } }
                            } } }
                        }
                    }
                }
            }
        }
    }
}
