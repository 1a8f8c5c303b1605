//! A run as it could have been, with fixed numbers, for tests.

use std::collections::BTreeMap;

use super::judged::Goals;
use super::row::{Latency, Ratio, Repetition, Report, Row, Sides, Tick};
use crate::machine::Machine;

/// Three repetitions, none like the other.
const STEADY: [f64; 5] = [1.0, 1.02, 0.99, 1.01, 0.98];

/// How long a call takes on each transport, as a ratio to raw, and what carries it.
const TRANSPORTS: [(&str, Option<&str>, &str, f64); 8] = [
    ("raw", None, "blocking", 1.0),
    ("ipc", Some("0.1.0"), "blocking", 1.06),
    ("ipc", Some("0.1.0"), "multi_thread", 1.19),
    ("ttrpc", Some("0.10.0"), "multi_thread", 2.94),
    ("tarpc", Some("0.38.0"), "multi_thread", 1.94),
    ("zbus", Some("6.2.1"), "multi_thread", 1.96),
    ("tonic", Some("0.14.9"), "multi_thread", 4.04),
    ("tokio_raw", Some("1.54.1"), "multi_thread", 1.56),
];

/// Scenario, payload, connections, in flight, rate, and microseconds of a raw call.
const WORKLOADS: [Workload; 8] = [
    ("unary", 64, 1, 1, None, 7.8),
    ("unary", 64, 1, 16, None, 12.1),
    ("unary", 64, 1, 64, None, 34.0),
    ("unary", 64, 1, 256, None, 120.0),
    ("unary", 64, 64, 1, None, 242.0),
    ("unary", 64, 1_000, 1, None, 3_396.0),
    ("unary", 64, 8, 1, Some(20_000.0), 31.0),
    ("server_stream", 1_048_576, 1, 1, None, 210.0),
];

/// Every transport in every workload: 64 rows.
pub(crate) fn comparison() -> Report {
    let rows = WORKLOADS.iter().flat_map(|workload| {
        let of = TRANSPORTS.iter().enumerate();
        of.map(move |(at, transport)| measured(at, transport, workload))
    });
    let mut rows: Vec<_> = rows.collect();
    // One row whose repetitions say nothing, and one that failed now and then.
    for (repetition, off) in rows[9].each.iter_mut().zip([1.0, 1.9, 0.6, 1.3, 2.4]) {
        repetition.p50 *= off;
        repetition.calls_per_s /= off;
    }
    rows[30].errors = 17;
    rows[30].errors_by = BTreeMap::from([("UNAVAILABLE/NotSent".to_owned(), 17)]);
    report(rows)
}

/// `ipc` beside `raw`, with what the two need for 64 B, one in flight.
pub(crate) fn pair() -> Report {
    report(vec![row("raw", 8.0), row("ipc", 9.2)])
}

/// A report of these rows, with a ratio of each to the raw row of its workload.
pub(crate) fn report(rows: Vec<Row>) -> Report {
    let machine = Machine::this();
    let raw = |row: &Row| {
        let same = |other: &Row| {
            other.transport == "raw" && super::keys::alike(&super::Key::WORKLOAD, row, other)
        };
        rows.iter().position(same)
    };
    let mut ratios = Vec::new();
    for (of, row) in rows.iter().enumerate() {
        let Some(to) = raw(row).filter(|to| *to != of) else {
            continue;
        };
        ratios.push(ratio(
            "p50",
            of,
            to,
            row.latency_us.p50 / rows[to].latency_us.p50,
        ));
        let rates = row.calls_per_s / rows[to].calls_per_s;
        ratios.push(ratio("calls_per_s", of, to, rates));
    }
    Report {
        machine,
        repetitions: STEADY.len(),
        rows,
        ratios,
        counted: Vec::new(),
        goals: Goals::default(),
        soak: None,
    }
}

fn ratio(what: &str, of: usize, to: usize, median: f64) -> Ratio {
    let noisy = of == 9;
    let far = if noisy { 2.1 } else { 1.03 };
    Ratio {
        what: what.to_owned(),
        of,
        to,
        median,
        min: median / far,
        max: median * far,
        noisy,
    }
}

/// A row of 64 B unary calls, one in flight, with this p50 in microseconds.
pub(crate) fn row(transport: &str, p50: f64) -> Row {
    let runtime = if transport == "raw" {
        "blocking"
    } else {
        "multi_thread"
    };
    let calls_per_s = 1e6 / (p50 * 1.04);
    let latency_us = latency(p50);
    Row {
        transport: transport.to_owned(),
        version: (transport != "raw").then(|| "0.1.0".to_owned()),
        runtime: runtime.to_owned(),
        pinning: "same".to_owned(),
        scenario: "unary".to_owned(),
        payload_bytes: 64,
        connections: 1,
        in_flight: 1,
        processes: 1,
        rate: None,
        arrivals: None,
        deadline: true,
        uids: Vec::new(),
        calls: (calls_per_s * 5.0).round() as u64,
        errors: 0,
        errors_by: BTreeMap::new(),
        calls_per_s,
        bytes_per_s: calls_per_s * 128.0,
        stream_bytes_per_s: None,
        latency_us,
        windowed: false,
        cpu_us_per_call: Some(sides(p50 * 0.52, p50 * 0.5)),
        switches_per_call: Some(sides(1.0, 1.02)),
        rss_bytes: Sides {
            client: 3_460_000,
            server: 4_120_000,
        },
        rss_bytes_per_connection: 8_200.0,
        syscalls_per_call: (transport == "ipc").then(|| sides(3.0, 3.1)),
        each: repetitions(p50, calls_per_s),
        percentiles: percentiles(&latency_us),
        timeline: timeline(calls_per_s, latency_us.p99, p50),
    }
}

fn latency(p50: f64) -> Latency {
    Latency {
        p50,
        p90: p50 * 1.1,
        p99: p50 * 1.4,
        p999: p50 * 3.6,
        p9999: p50 * 9.0,
        max: p50 * 60.0,
    }
}

fn repetitions(p50: f64, calls_per_s: f64) -> Vec<Repetition> {
    let each = STEADY.map(|off| Repetition {
        calls_per_s: calls_per_s / off,
        p50: p50 * off,
        p99: p50 * 1.4 * off * off,
        cpu_us_per_call: Some(p50 * 1.02 * off),
        stream_bytes_per_s: 0.0,
    });
    each.to_vec()
}

fn measured(
    at: usize,
    (transport, version, runtime, slow): &(&str, Option<&str>, &str, f64),
    (scenario, payload, connections, in_flight, rate, raw): &Workload,
) -> Row {
    // Peers fall behind raw as calls overlap, each in its own way.
    let open = connections * in_flight;
    let crowd = (open as f64).ln() * 0.09 * at as f64;
    let p50 = raw * slow * (1.0 + crowd);
    let mut row = row(transport, p50);
    let calls_per_s = rate.unwrap_or(open as f64 * 1e6 / (p50 * 1.05));
    let change = calls_per_s / row.calls_per_s;
    for repetition in &mut row.each {
        repetition.calls_per_s *= change;
        repetition.cpu_us_per_call = repetition.cpu_us_per_call.map(|us| us / open as f64);
    }
    let one = row.cpu_us_per_call;
    row.cpu_us_per_call = one.map(|one| sides(one.client / open as f64, one.server / open as f64));
    row.timeline = timeline(calls_per_s, row.latency_us.p99, p50);
    row.version = version.map(str::to_owned);
    row.runtime = (*runtime).to_owned();
    row.pinning = if open == 1 { "same" } else { "none" }.to_owned();
    row.scenario = (*scenario).to_owned();
    (row.payload_bytes, row.rate) = (*payload, *rate);
    row.arrivals = rate.map(|_| "poisson".to_owned());
    (row.connections, row.in_flight) = (*connections, *in_flight);
    row.calls_per_s = calls_per_s;
    row.calls = (calls_per_s * 60.0).round() as u64;
    row.bytes_per_s = calls_per_s * 2.0 * *payload as f64;
    row
}

type Workload = (&'static str, usize, usize, usize, Option<f64>, f64);

/// Between the named percentiles in equal steps of their logarithms.
fn percentiles(latency: &Latency) -> Vec<(f64, f64)> {
    let Latency {
        p50,
        p90,
        p99,
        p999,
        p9999,
        max,
    } = *latency;
    let middle = |low: f64, high: f64| (low * high).sqrt();
    vec![
        (0.0, p50 * 0.8),
        (0.25, p50 * 0.95),
        (0.5, p50),
        (0.75, middle(p50, p90)),
        (0.9, p90),
        (0.97, middle(p90, p99)),
        (0.99, p99),
        (0.997, middle(p99, p999)),
        (0.999, p999),
        (0.9997, middle(p999, p9999)),
        (0.9999, p9999),
        (0.99999, middle(p9999, max)),
        (1.0, max),
    ]
}

/// A minute with a slow beat, and a stall in its second half.
fn timeline(calls_per_s: f64, p99_us: f64, phase: f64) -> Vec<Tick> {
    let tick = |second: u32| {
        let at_s = f64::from(second);
        let beat = 1.0 + 0.04 * (at_s * 0.7 + phase).sin();
        let stall = if second == 41 { 0.55 } else { 1.0 };
        Tick {
            at_s: at_s + 1.0,
            calls_per_s: calls_per_s * beat * stall,
            p99_us: p99_us / beat / stall.powi(3),
        }
    };
    (0..60).map(tick).collect()
}

fn sides(client: f64, server: f64) -> Sides<f64> {
    Sides { client, server }
}
