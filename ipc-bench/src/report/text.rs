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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

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
