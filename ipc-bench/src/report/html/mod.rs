//! A report as one page that needs nothing else: no network, no script, no font of its own.

mod axis;
mod bars;
mod curves;
mod goals;
mod noise;
mod palette;
mod plot;
mod soak;
mod sweep;
mod table;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use self::palette::Palette;
use super::row::{Report, Row};
use super::units::count;

/// The whole page.
pub(crate) fn page(report: &Report) -> String {
    let rows: Vec<&Row> = report.rows.iter().collect();
    let palette = Palette::of(&report.rows);
    let parts = parts(report, &rows, &palette);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                (PreEscaped(HEAD))
                title { "ipc-bench: " (measured(&rows)) }
                style { (PreEscaped(include_str!("style.css"))) }
            }
            body {
                (header(report, &rows))
                nav {
                    @for (title, ..) in &parts { a href=(format!("#{}", id(title))) { (title) } }
                    a href="#rows" { "All rows" }
                }
                main {
                    (noise::section(report))
                    @for (title, about, body) in &parts {
                        section id=(id(title)) {
                            h2 { (title) }
                            p class="about" { (about) }
                            div class="charts" { (body) }
                        }
                    }
                    (table::rows(&rows))
                    (table::ratios(report))
                }
            }
        }
    };
    page.into_string()
}

/// A title, what it is about, and what it shows.
type Part = (&'static str, &'static str, Markup);

fn parts(report: &Report, rows: &[&Row], palette: &Palette) -> Vec<Part> {
    let mut parts = vec![
        ("Side by side", SIDE_BY_SIDE, bars::peers(report, palette)),
        (
            "Latency percentiles",
            PERCENTILES,
            curves::percentiles(rows, palette),
        ),
        (
            "Throughput against concurrency",
            THROUGHPUT,
            sweep::throughput(rows, palette),
        ),
        ("Time line", TIMELINE, curves::timeline(rows, palette)),
    ];
    let rates = sweep::rates(rows, palette);
    if !rates.is_empty() {
        parts.insert(
            3,
            (
                "Latency against rate",
                RATES,
                html! { @for one in &rates { (one) } },
            ),
        );
    }
    if !report.goals.is_empty() {
        parts.insert(0, ("Goals", GOALS, goals::table(&report.goals)));
    }
    if let (Some(samples), Some(&style)) = (&report.soak, palette.styles(rows).first()) {
        parts.insert(0, ("Soak", SOAK, soak::samples(samples, style)));
    }
    parts
}

fn id(title: &str) -> String {
    title.to_lowercase().replace(' ', "-")
}

fn header(report: &Report, rows: &[&Row]) -> Markup {
    let calls: u64 = rows.iter().map(|row| row.calls).sum();
    html! {
        header {
            h1 { "ipc-bench" }
            p class="lead" { (measured(rows)) }
            dl class="facts" {
                @for (name, value) in facts(report) { div { dt { (name) } dd { (value) } } }
                div { dt { "rows" } dd { (count(rows.len() as f64)) } }
                div { dt { "repetitions" } dd { (count(report.repetitions as f64)) } }
                div { dt { "calls" } dd { (count(calls as f64)) } }
            }
        }
    }
}

/// Which transports, with the versions of what carries them.
fn measured(rows: &[&Row]) -> String {
    let mut names: Vec<String> = Vec::new();
    for row in rows {
        let name = match &row.version {
            Some(version) => format!("{} {version}", row.transport),
            None => row.transport.clone(),
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.is_empty() {
        return "nothing was measured".to_owned();
    }
    names.join(", ")
}

/// What is known of the machine, field by field.
fn facts(report: &Report) -> Vec<(String, String)> {
    let Ok(serde_json::Value::Object(machine)) = serde_json::to_value(&report.machine) else {
        return Vec::new();
    };
    let text = |value: serde_json::Value| match value {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text).filter(|text| !text.is_empty()),
        other => Some(other.to_string()),
    };
    let facts = machine
        .into_iter()
        .filter_map(|(name, value)| Some((name.replace('_', " "), text(value)?)));
    facts.collect()
}

/// Closed as XML wants it, so that a strict parser can check the page.
const HEAD: &str = r#"<meta charset="utf-8"/><meta name="viewport" content="width=device-width, initial-scale=1"/><meta name="color-scheme" content="light dark"/>"#;
const SIDE_BY_SIDE: &str = "Medians of the repetitions, the best first; the thin line in a bar is where the median may lie. \
    Ratios are to the raw socket in the same run: raw_epoll beside many connections, raw_pipelined beside many calls in \
    flight, where they are there, else raw.";
const PERCENTILES: &str =
    "Over all repetitions. The further to the right, the rarer: each step is a tenth of the calls.";
const THROUGHPUT: &str = "Closed loop: a caller begins its next call when the last is answered.";
const RATES: &str = "Open loop: calls begin when they are due, and latency counts from then, so a stall is seen by all \
    that had to wait for it.";
const GOALS: &str = "What was to be reached by figures that were timed, divided repetition by repetition, and by what was \
    counted: system calls, and what idle agents cost.";
const SOAK: &str = "Samples of the daemon while agents called, left and came again.";
const TIMELINE: &str = "The last repetition as it went by.";

#[cfg(test)]
mod tests;
