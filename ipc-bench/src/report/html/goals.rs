//! What a comparison was to reach, timed and counted.

use maud::{Markup, html};

use super::noise::list;
use crate::report::judged::{Goals, Judged, Verdict};

/// A table of all that were judged, and what was not measured.
pub(super) fn table(goals: &Goals) -> Markup {
    html! {
        @if !goals.judged.is_empty() {
            div class="scroll wide" {
                table {
                    thead { tr {
                        @for heading in HEADINGS { th { (heading) } }
                    } }
                    tbody { @for judged in &goals.judged { (row(judged)) } }
                }
            }
        }
        @if !goals.not_measured.is_empty() {
            div class="wide" {
                p class="nothing" { "What this run does not tell:" }
                (list(&goals.not_measured))
            }
        }
    }
}

fn row(judged: &Judged) -> Markup {
    let class = match judged.verdict {
        Verdict::Met => "met",
        Verdict::Missed => "missed",
        Verdict::Unclear => "unclear",
    };
    html! {
        tr {
            th scope="row" { (judged.name.what) }
            td { (judged.runtime) }
            td { (judged.name.goal) }
            td { (judged.nearest()) }
            td { (judged.measured) }
            td class=(class) { (judged.answer()) }
        }
    }
}

const HEADINGS: [&str; 6] = [
    "what",
    "runtime",
    "to reach",
    "best peer",
    "measured: median (min..max)",
    "met",
];
