//! A report for people.

use std::collections::BTreeMap;

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
    let mut rate = row.rate.map_or_else(
        || "closed loop".to_owned(),
        |rate| format!("{rate:.0} calls/s intended"),
    );
    for text in said(&[Key::Arrivals, Key::Deadline, Key::Uids], row) {
        rate = format!("{rate}, {text}");
    }
    let Sides { client, server } = row.cpu_us_per_call;
    let switches = row.switches_per_call;
    let latency = row.latency_us;
    let whose = if row.windowed { " of a window" } else { "" };
    let mut lines = vec![
        format!(
            "{} {}, pinning {}: {} {} B, {} connections x {} in flight, {} client processes, {rate}; \
             median of {repetitions}",
            row.transport,
            row.runtime,
            row.pinning,
            row.scenario,
            row.payload_bytes,
            row.connections,
            row.in_flight,
            row.processes,
        ),
        format!(
            "  {:.0} calls/s, {:.1} MiB/s; {} calls, {} errors",
            row.calls_per_s,
            row.bytes_per_s / MIB,
            row.calls,
            row.errors
        ),
        format!(
            "  latency{whose} us: p50 {:.2}  p90 {:.2}  p99 {:.2}  p99.9 {:.2}  p99.99 {:.2}  max {:.2}",
            latency.p50, latency.p90, latency.p99, latency.p999, latency.p9999, latency.max
        ),
        format!(
            "  CPU us per call: client {client:.2}, server {server:.2}; \
             context switches per call: client {:.2}, server {:.2}",
            switches.client, switches.server
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
    if let Some(Sides { client, server }) = row.syscalls_per_call {
        lines.push(format!(
            "  system calls per call: client {client:.2}, server {server:.2}"
        ));
    }
    if !row.errors_by.is_empty() {
        lines.push(format!("  errors: {}", counted(&row.errors_by)));
    }
    lines
}

fn counted(errors: &BTreeMap<String, u64>) -> String {
    let each = errors.iter().map(|(what, count)| format!("{what} {count}"));
    each.collect::<Vec<_>>().join(", ")
}

fn of_ratio(report: &Report, ratio: &Ratio) -> String {
    let name = |index: usize| report.rows.get(index).map(name).unwrap_or_default();
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

fn name(row: &Row) -> String {
    format!("{} {}", row.transport, row.scenario)
}

fn mib(bytes: u64) -> f64 {
    super::float(bytes) / MIB
}

const MIB: f64 = 1_048_576.0;
