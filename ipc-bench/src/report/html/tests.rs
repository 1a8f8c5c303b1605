//! The page is parsed strictly, so a text that was not escaped or a tag that was not closed fails.

use roxmltree::{Document, ParsingOptions};

use super::page;
use crate::report::judged::{Goals, Judged, Name, Verdict};
use crate::report::row::Report;
use crate::report::sample;
use crate::soak::{Sample, Samples};

fn parsed(page: &str) -> Document<'_> {
    let options = ParsingOptions {
        allow_dtd: true,
        ..ParsingOptions::default()
    };
    Document::parse_with_options(page, options).unwrap_or_else(|error| panic!("{error}\n{page}"))
}

/// Everything that a reader sees.
fn words(document: &Document<'_>) -> String {
    let texts = document.descendants().filter_map(|node| {
        let hidden = node
            .parent()
            .is_some_and(|parent| parent.has_tag_name("style"));
        node.text().filter(|_| node.is_text() && !hidden)
    });
    texts.collect::<Vec<_>>().join(" ")
}

fn count(document: &Document<'_>, tag: &str) -> usize {
    let nodes = document.descendants();
    nodes.filter(|node| node.tag_name().name() == tag).count()
}

#[test]
fn a_comparison_shows_every_transport_and_every_section() {
    let report = sample::comparison();
    let page = page(&report);
    let document = parsed(&page);
    let words = words(&document);
    for row in &report.rows {
        assert!(words.contains(&row.transport), "{}", row.transport);
        let version = row.version.as_deref().unwrap_or_default();
        assert!(words.contains(version), "{version}");
    }
    for expected in [
        "Side by side",
        "Latency percentiles",
        "99.9 %",
        "Throughput against concurrency",
        "Time line",
        "What was noisy",
        "UNAVAILABLE/NotSent 17",
        "× raw",
        "cores",
    ] {
        assert!(words.contains(expected), "{expected}");
    }
    let rows = report.rows.len();
    assert_eq!(count(&document, "tbody"), 2);
    assert!(count(&document, "tr") > rows);
    assert!(count(&document, "path") > 2 * rows);
}

#[test]
fn what_a_stream_moves_beside_calls_stands_in_its_row() {
    let mut report = sample::pair();
    report.rows[1].stream_bytes_per_s = Some(812.0 * 1_048_576.0);
    let page = page(&report);
    let words = words(&parsed(&page));
    assert!(words.contains("stream/s") && words.contains("812 MiB/s"));
}

#[test]
fn the_latency_of_a_window_does_not_stand_beside_that_of_calls() {
    let seen = |report: &Report| {
        let page = page(report);
        let document = parsed(&page);
        let is_bar = |node: &roxmltree::Node<'_, '_>| node.attribute("class") == Some("fill");
        let bars = document.descendants().filter(is_bar).count();
        let words = words(&document);
        let ratios = words.matches("× raw").count();
        (bars, ratios, words.contains("a window"))
    };
    let mut report = sample::pair();
    assert_eq!(seen(&report), (8, 4, false));
    report.rows[0].windowed = true;
    assert_eq!(seen(&report), (6, 2, true));
    report.rows[1].windowed = true;
    assert_eq!(seen(&report), (4, 2, true));
}

#[test]
fn a_page_needs_nothing_from_elsewhere() {
    let page = page(&sample::comparison());
    let document = parsed(&page);
    for tag in [
        "script", "link", "img", "iframe", "object", "image", "use", "base", "form",
    ] {
        assert_eq!(count(&document, tag), 0, "{tag}");
    }
    for node in document.descendants() {
        for attribute in node.attributes() {
            let (name, value) = (attribute.name(), attribute.value());
            assert!(!name.starts_with("on"), "{name}");
            assert!(
                !["src", "srcset", "action", "style"].contains(&name),
                "{name}"
            );
            assert!(name != "href" || value.starts_with('#'), "{value}");
            assert!(
                !value.contains("url(") && !value.contains("//"),
                "{name}={value}"
            );
        }
    }
    for reference in ["://", "url(", "@import", "@font-face"] {
        assert!(!page.contains(reference), "{reference}");
    }
}

#[test]
fn text_from_a_file_stays_text() {
    let hostile = "</style></svg><script>alert('&')</script>\"'";
    let mut report = sample::pair();
    for row in &mut report.rows {
        row.transport = format!("{}{hostile}", row.transport);
        row.scenario = hostile.to_owned();
        row.runtime = hostile.to_owned();
        row.pinning = hostile.to_owned();
        row.version = Some(hostile.to_owned());
        row.errors = 1;
        row.errors_by.insert(hostile.to_owned(), 1);
    }
    report.ratios.iter_mut().for_each(|ratio| {
        ratio.what = hostile.to_owned();
        ratio.noisy = true;
    });
    let page = page(&report);
    let document = parsed(&page);
    assert_eq!(count(&document, "script"), 0);
    assert!(words(&document).contains(hostile));
}

#[test]
fn one_row_makes_a_page_that_says_what_it_lacks() {
    let mut row = sample::row("ipc", 9.2);
    row.timeline.truncate(1);
    row.each.truncate(1);
    let report = Report {
        repetitions: 1,
        ..sample::report(vec![row])
    };
    let page = page(&report);
    let words = words(&parsed(&page));
    assert!(words.contains("too short for a time line"));
    assert!(words.contains("at one concurrency only"));
    assert!(words.contains("nothing to compare"));
    assert!(words.contains("not known"));
}

#[test]
fn a_stray_among_many_repetitions_is_not_said_to_lie_near() {
    let mut report = sample::pair();
    report.repetitions = 10;
    for row in &mut report.rows {
        row.each.extend(row.each.clone());
        row.each[3].p50 *= 3.0;
    }
    let page = page(&report);
    let calm =
        "in no row may the median of 10 repetitions lie in an interval wider than 25 % of it";
    assert!(page.contains(calm));
}

#[test]
fn a_row_without_calls_is_neither_the_fastest_nor_has_it_figures() {
    let mut report = sample::pair();
    let row = &mut report.rows[0];
    (row.calls, row.calls_per_s, row.bytes_per_s) = (0, 0.0, 0.0);
    row.latency_us = crate::report::row::Latency::default();
    (row.cpu_us_per_call, row.switches_per_call) = (None, None);
    row.each.fill(crate::report::row::Repetition::default());
    report.ratios.clear();
    let page = page(&report);
    let document = parsed(&page);
    let is = |node: &roxmltree::Node<'_, '_>, class| node.attribute("class") == Some(class);
    let values = document.descendants().filter(|node| is(node, "value"));
    let values = values.filter_map(|node| node.text()).collect::<Vec<_>>();
    // Panels of p50, p99, calls per second and CPU time, each with the best first.
    assert_eq!(values.len(), 8);
    for at in [1, 3, 7] {
        assert_eq!(values[at], "no calls", "{values:?}");
    }
    assert_eq!(values[5], "0/s", "{values:?}");
    let words = words(&document);
    // In the table, six latencies and two figures per call.
    assert_eq!(words.matches("no calls").count(), 3 + 8, "{words}");
    assert!(!words.contains("× raw"), "{words}");
}

#[test]
fn figures_that_make_no_sense_make_a_page_all_the_same() {
    let mut report = sample::pair();
    let row = &mut report.rows[1];
    (row.calls, row.calls_per_s, row.bytes_per_s) = (0, 0.0, f64::NAN);
    row.latency_us = crate::report::row::Latency::default();
    row.percentiles = vec![(0.0, 0.0), (2.0, -1.0), (1.0, f64::INFINITY)];
    row.timeline = vec![crate::report::row::Tick::default(); 2];
    row.each.clear();
    report.ratios[0].of = 99;
    let page = page(&report);
    parsed(&page);
    assert!(!page.contains("NaN") && !page.contains("inf"), "{page}");
    let empty = super::page(&sample::report(Vec::new()));
    assert!(words(&parsed(&empty)).contains("nothing was measured"));
}

#[test]
fn rates_are_drawn_where_there_are_several() {
    let rows = [5_000.0, 10_000.0, 20_000.0].map(|rate| {
        let mut row = sample::row("ipc", 9.2);
        row.rate = Some(rate);
        row
    });
    let page = page(&sample::report(rows.to_vec()));
    let words = words(&parsed(&page));
    assert!(words.contains("Latency against rate"));
    assert!(words.contains("calls per second offered"));
}

#[test]
fn goals_stand_in_a_table_with_what_was_not_measured() {
    let judged = |what: &str, verdict, fewer, best| Judged {
        name: Name {
            what: what.to_owned(),
            only: None,
            goal: "p50 <= 1.2 x raw".to_owned(),
        },
        runtime: "multi_thread".to_owned(),
        measured: "1.10 (1.00..1.20)".to_owned(),
        verdict,
        fewer,
        best,
    };
    let tarpc = Some(("tarpc".to_owned(), 3.0));
    let goals = Goals {
        judged: vec![
            judged("latency, 64 B", Verdict::Met, None, tarpc),
            judged("10000 idle agents", Verdict::Met, Some(9_956), None),
            judged("<script>", Verdict::Missed, None, None),
        ],
        not_measured: vec!["not measured: system calls per call: strace & more".to_owned()],
    };
    let page = page(&Report {
        goals,
        ..sample::pair()
    });
    let document = parsed(&page);
    let words = words(&document);
    let section = document
        .descendants()
        .find(|node| node.attribute("id") == Some("goals"));
    let cells = section.expect("a section of its own").descendants();
    let cells = cells.filter(|node| node.has_tag_name("td") || node.has_tag_name("th"));
    let cells = cells.filter_map(|node| node.text()).collect::<Vec<_>>();
    let rows = cells.chunks(6).map(<[_]>::to_vec).collect::<Vec<_>>();
    let of_row = |what, best, met| {
        let (runtime, goal, measured) = ("multi_thread", "p50 <= 1.2 x raw", "1.10 (1.00..1.20)");
        vec![what, runtime, goal, best, measured, met]
    };
    assert_eq!(rows[1], of_row("latency, 64 B", "tarpc 3.00", "yes"));
    assert_eq!(rows[2], of_row("10000 idle agents", "-", "yes, with 9,956"));
    assert_eq!(rows[3], of_row("<script>", "-", "no"));
    assert_eq!(rows.len(), 4);
    assert!(words.contains("strace & more"), "{words}");
    assert!(page.contains("href=\"#goals\""));
    let without = super::page(&sample::pair());
    assert!(!without.contains("id=\"goals\""));
}

#[test]
fn a_soak_is_drawn_with_its_verdict() {
    let sample = |second: u32| Sample {
        at_s: f64::from(second),
        rss_bytes: 50_000_000 + u64::from(second) * 100_000,
        descriptors: None,
        calls_per_s: 1_000.0,
        errors: 0,
        p99_us: Some(120.0),
    };
    let report = Report {
        soak: Some(Samples::judge((0..60).map(sample).collect(), 15.0)),
        ..sample::report(vec![sample::row("ipc", 9.2)])
    };
    let page = page(&report);
    let words = words(&parsed(&page));
    assert!(words.contains("resident memory"), "{words}");
    assert!(words.contains("verdict: a leak"), "{words}");
    assert!(words.contains("descriptors: unknown"), "{words}");
}
