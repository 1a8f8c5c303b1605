//! A report for people.

use std::collections::BTreeMap;
use std::iter;

use crate::report::keys::{Key, said};
use crate::report::row::{Ratio, Report, Row, Sides};
use crate::soak::Samples;

/// A report, a block for each row.
pub(crate) fn lines(report: &Report) -> Vec<String> {
    let mut lines = vec![report.machine.line()];
    let each = report.repetitions;
    for row in &report.rows {
        lines.extend(of_row(row, each));
    }
    lines.extend(report.ratios.iter().map(|ratio| of_ratio(report, ratio)));
    lines.extend(report.soak.iter().flat_map(Samples::lines));
    lines
}

fn of_row(row: &Row, repetitions: usize) -> Vec<String> {
    let mut lines = vec![
        format!("{}; median of {repetitions}", workload(row)),
        format!(
            "  {:.0} calls/s, {:.1} MiB/s; {} calls, {} errors",
            row.calls_per_s,
            row.bytes_per_s / MIB,
            row.calls,
            row.errors
        ),
        latency(row),
        format!(
            "  CPU us per call: {}; context switches per call: {}",
            sides(row, row.cpu_us_per_call),
            sides(row, row.switches_per_call)
        ),
        format!(
            "  resident: clients {:.1} MiB, server {:.1} MiB ({:.1} KiB per connection)",
            mib(row.rss_bytes.client),
            mib(row.rss_bytes.server),
            row.rss_bytes_per_connection / 1_024.0
        ),
    ];
    if let Some(moved) = row.stream_bytes_per_s {
        lines.push(format!(
            "  stream beside the calls: {:.1} MiB/s",
            moved / MIB
        ));
    }
    if row.syscalls_per_call.is_some() {
        let both = sides(row, row.syscalls_per_call);
        lines.push(format!("  system calls per call: {both}"));
    }
    if !row.errors_by.is_empty() {
        lines.push(format!("  errors: {}", counted(&row.errors_by)));
    }
    lines
}

/// What was called how.
fn workload(row: &Row) -> String {
    let mut rate = row.rate.map_or_else(
        || "closed loop".to_owned(),
        |rate| format!("{rate:.0} calls/s intended"),
    );
    for text in said(&[Key::Arrivals, Key::Deadline, Key::Uids], row) {
        rate = format!("{rate}, {text}");
    }
    format!(
        "{} {}, pinning {}: {} {} B, {} connections x {} in flight, {} client processes, {rate}",
        row.transport,
        row.runtime,
        row.pinning,
        row.scenario,
        row.payload_bytes,
        row.connections,
        row.in_flight,
        row.processes,
    )
}

fn latency(row: &Row) -> String {
    if row.calls == 0 {
        return "  latency: no call was answered".to_owned();
    }
    let whose = if row.windowed { " of a window" } else { "" };
    let latency = row.latency_us;
    format!(
        "  latency{whose} us: p50 {:.2}  p90 {:.2}  p99 {:.2}  p99.9 {:.2}  p99.99 {:.2}  max {:.2}",
        latency.p50, latency.p90, latency.p99, latency.p999, latency.p9999, latency.max
    )
}

fn sides(row: &Row, per_call: Option<Sides<f64>>) -> String {
    per_call.map_or_else(
        || match row.is_alone() {
            true => "no call was sent".to_owned(),
            false => "not of calls alone".to_owned(),
        },
        |Sides { client, server }| format!("client {client:.2}, server {server:.2}"),
    )
}

fn counted(errors: &BTreeMap<String, u64>) -> String {
    let each = errors.iter().map(|(what, count)| format!("{what} {count}"));
    each.collect::<Vec<_>>().join(", ")
}

fn of_ratio(report: &Report, ratio: &Ratio) -> String {
    let rows: Vec<_> = report.rows.iter().collect();
    let name = |index: usize| rows.get(index).map(|row| name(row, &rows));
    let name = |index: usize| name(index).unwrap_or_default();
    let Ratio {
        what,
        median,
        min,
        max,
        ..
    } = ratio;
    let noise = if ratio.noisy {
        ", too noisy to tell"
    } else {
        ""
    };
    let (of, to) = (name(ratio.of), name(ratio.to));
    format!("{of} / {to}: {what} {median:.2} ({min:.2}..{max:.2}){noise}")
}

/// Transport and scenario, and in what else the rows differ.
fn name(row: &Row, among: &[&Row]) -> String {
    let what = format!("{} {}", row.transport, row.scenario);
    let keys = Key::WORKLOAD.into_iter();
    let keys = keys.filter(|key| *key != Key::Scenario && key.varies(among));
    let names = iter::once(what).chain(keys.map(|key| key.text(row)));
    names.collect::<Vec<_>>().join(", ")
}

fn mib(bytes: u64) -> f64 {
    super::float(bytes) / MIB
}

const MIB: f64 = 1_048_576.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn a_ratio_names_what_tells_its_rows_from_others() {
        let [one, two] = [1, 2].map(|connections| {
            let mut rows = sample::pair().rows;
            rows.iter_mut()
                .for_each(|row| row.connections = connections);
            rows
        });
        let of = |rows: Vec<Row>| {
            let report = sample::report(rows);
            let ratios = report.ratios.iter();
            let lines: Vec<_> = ratios.map(|ratio| of_ratio(&report, ratio)).collect();
            lines
        };
        let alone = of(one.clone());
        assert!(alone[0].starts_with("ipc unary / raw unary: p50 1.15"));
        let lines = of([one, two].concat());
        let start = "ipc unary, 2 connections / raw unary, 2 connections: p50 1.15";
        assert!(lines[2].starts_with(start), "{lines:?}");
    }

    #[test]
    fn a_row_without_calls_says_so_instead_of_figures() {
        let mut row = sample::row("ipc", 9.2);
        let text = |row: &Row| of_row(row, 5).join("\n");
        assert!(text(&row).contains("CPU us per call: client 4.78, server 4.60; context"));
        row.calls = 0;
        (row.cpu_us_per_call, row.switches_per_call) = (None, None);
        let text = text(&row);
        assert!(text.contains("  latency: no call was answered\n"), "{text}");
        let none = "CPU us per call: no call was sent; context switches per call: no call was sent";
        assert!(text.contains(none), "{text}");
        row.scenario = "mixed".to_owned();
        let text = of_row(&row, 5).join("\n");
        assert!(
            text.contains("CPU us per call: not of calls alone;"),
            "{text}"
        );
    }
}
