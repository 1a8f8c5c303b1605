//! Makes rows and ratios of what was measured.

use crate::machine::Machine;
use crate::meter::{Part, micros};
use crate::process::{Measured, Setup};
use crate::report::judged::Goals;
use crate::report::row::{Latency, Ratio, Repetition, Report, Row, Sides, Tick};
use crate::usage::Usage;
use crate::workload::word;

/// What measurements on this machine found.
pub(crate) fn report(repetitions: usize, rows: Vec<Row>, ratios: Vec<Ratio>) -> Report {
    Report {
        machine: Machine::this(),
        repetitions,
        rows,
        ratios,
        counted: Vec::new(),
        goals: Goals::default(),
        soak: None,
    }
}

/// Sums up the repetitions of one setup.
pub(crate) fn row(setup: &Setup, measured: &[Measured]) -> Row {
    let workload = &setup.workload;
    let all = together(measured);
    let middle = |value: &dyn Fn(&Measured) -> f64| middle(measured, value);
    let last = |value: fn(&Measured) -> u64| measured.last().map(value).unwrap_or_default();
    let connections = float(u64::try_from(workload.connections.max(1)).unwrap_or(u64::MAX));
    // What else goes on is not told apart from the calls.
    let is_alone = workload.scenario.is_alone();
    let of_calls = |used: Option<Sides<f64>>| used.filter(|_| is_alone);
    let added = |one: &Measured| float(one.rss.server.saturating_sub(one.rss_before));
    Row {
        transport: workload.transport.to_string(),
        version: workload.transport.version().map(Into::into),
        runtime: workload.runtime.to_string(),
        pinning: setup.pinning.to_string(),
        scenario: workload.scenario.to_string(),
        payload_bytes: workload.payload,
        connections: workload.connections,
        in_flight: workload.in_flight,
        processes: setup.processes,
        rate: workload.rate,
        arrivals: workload.rate.map(|_| word(&workload.arrivals)),
        deadline: workload.deadline,
        uids: setup.uids.clone(),
        calls: all.calls,
        errors: all.failures(),
        errors_by: all.errors.clone(),
        calls_per_s: middle(&Measured::calls_per_s),
        bytes_per_s: middle(&|one| float(one.total.bytes) / one.seconds),
        stream_bytes_per_s: workload
            .scenario
            .has_stream_beside()
            .then(|| middle(&Measured::stream_bytes_per_s)),
        latency_us: latency(measured, &all),
        windowed: workload.in_flight > 1 && workload.transport.has_windows(),
        cpu_us_per_call: of_calls(per_call(measured, |used| used.cpu_us)),
        switches_per_call: of_calls(per_call(measured, |used| used.switches)),
        rss_bytes: Sides {
            client: last(|one| one.rss.client),
            server: last(|one| one.rss.server),
        },
        rss_bytes_per_connection: middle(&|one| added(one) / connections),
        syscalls_per_call: None,
        each: measured
            .iter()
            .map(|one| repetition(one, is_alone))
            .collect(),
        percentiles: percentiles(&all),
        timeline: measured.last().map(timeline).unwrap_or_default(),
    }
}

/// All repetitions as one.
fn together(measured: &[Measured]) -> Part {
    let mut all = Part::default();
    measured.iter().for_each(|one| all.add(&one.total));
    all
}

/// The median of the repetitions.
fn middle(measured: &[Measured], value: &dyn Fn(&Measured) -> f64) -> f64 {
    median(measured.iter().map(value).collect())
}

fn latency(measured: &[Measured], all: &Part) -> Latency {
    let at = |quantile: f64| middle(measured, &|one| one.total.quantile_us(quantile));
    Latency {
        p50: at(0.5),
        p90: at(0.9),
        p99: at(0.99),
        p999: at(0.999),
        p9999: at(0.9999),
        max: all.quantile_us(1.0),
    }
}

impl Measured {
    fn calls_per_s(&self) -> f64 {
        float(self.total.calls) / self.seconds
    }

    fn stream_bytes_per_s(&self) -> f64 {
        float(self.total.streamed) / self.seconds
    }

    /// A quantity for each call that was sent; none where there was none.
    fn per_call(&self, quantity: i64) -> Option<f64> {
        let calls = self.total.sent();
        let quantity = float(u64::try_from(quantity).unwrap_or_default());
        (calls > 0).then(|| quantity / float(calls))
    }
}

/// What each side used for a call: the median of the repetitions that sent any.
fn per_call(measured: &[Measured], used: fn(&Usage) -> i64) -> Option<Sides<f64>> {
    let side = |usage: fn(&Measured) -> &Usage| {
        let each = measured.iter();
        let each = each.filter_map(|one| one.per_call(used(usage(one))));
        let each = each.collect::<Vec<_>>();
        (!each.is_empty()).then(|| median(each))
    };
    Some(Sides {
        client: side(|one| &one.usage.client)?,
        server: side(|one| &one.usage.server)?,
    })
}

fn repetition(one: &Measured, is_alone: bool) -> Repetition {
    let cpu_us = one.per_call(one.usage.client.cpu_us + one.usage.server.cpu_us);
    Repetition {
        calls_per_s: one.calls_per_s(),
        p50: one.total.quantile_us(0.5),
        p99: one.total.quantile_us(0.99),
        cpu_us_per_call: cpu_us.filter(|_| is_alone),
        stream_bytes_per_s: one.stream_bytes_per_s(),
    }
}

/// The curve, finer towards its end: five points each time the share that is left halves.
fn percentiles(all: &Part) -> Vec<(f64, f64)> {
    let steps = all.histogram.iter_quantiles(5);
    let point = |step: hdrhistogram::iterators::IterationValue<u64>| {
        (
            step.quantile_iterated_to(),
            micros(step.value_iterated_to()),
        )
    };
    steps.map(point).collect()
}

fn timeline(one: &Measured) -> Vec<Tick> {
    let mut before = 0.0;
    let tick = |(at, part): &(std::time::Duration, Part)| {
        let at_s = at.as_secs_f64();
        let seconds = at_s - before;
        before = at_s;
        Tick {
            at_s,
            calls_per_s: float(part.calls) / seconds,
            p99_us: part.quantile_us(0.99),
        }
    };
    one.ticks.iter().map(tick).collect()
}

/// The middle value; that between the middle two of an even number.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = |index: usize| values.get(index).copied().unwrap_or_default();
    let (low, high) = (values.len().saturating_sub(1) / 2, values.len() / 2);
    f64::midpoint(at(low), at(high))
}

/// As a number to divide by.
pub(crate) fn float(count: u64) -> f64 {
    // Halves that a float holds exactly.
    let (high, low) = (count >> 32, count & u64::from(u32::MAX));
    let half = |half: u64| u32::try_from(half).map_or(0.0, f64::from);
    half(high) * 4_294_967_296.0 + half(low)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::process::Pinning;
    use crate::transport::{Failure, Transport};
    use crate::workload::{Flavor, Scenario, Workload};

    /// 30 us of CPU on each side for so many calls that were answered and nine that were not sent.
    fn measured(answered: u32) -> Measured {
        let mut total = Part::default();
        for _ in 0..answered {
            total.answered(Duration::from_micros(10), 128);
        }
        for _ in 0..9 {
            total.failed(&Failure::new("TOO_LATE", "NotSent"));
        }
        let used = Usage {
            cpu_us: 30,
            ..Usage::default()
        };
        Measured {
            seconds: 1.0,
            total,
            ticks: Vec::new(),
            usage: Sides {
                client: used,
                server: used,
            },
            rss_before: 0,
            rss: Sides::default(),
        }
    }

    fn row_of(measured: &[Measured]) -> Row {
        row_in(Scenario::Unary, measured)
    }

    fn row_in(scenario: Scenario, measured: &[Measured]) -> Row {
        let workload = Workload {
            scenario,
            ..Workload::new(Transport::Ipc, Flavor::MultiThread)
        };
        row(&Setup::new(workload, Pinning::None), measured)
    }

    #[test]
    fn calls_that_were_never_sent_do_not_make_the_others_cheap() {
        let row = row_of(&[measured(1)]);
        let server = row.cpu_us_per_call.map(|sides| sides.server);
        assert_eq!(server, Some(30.0));
        assert_eq!(row.each[0].cpu_us_per_call, Some(60.0));
    }

    #[test]
    fn what_a_stream_and_other_connections_cost_is_not_that_of_calls() {
        for scenario in [Scenario::Mixed, Scenario::MixedSeparate, Scenario::Churn] {
            let row = row_in(scenario, &[measured(1)]);
            assert!(row.cpu_us_per_call.is_none() && row.switches_per_call.is_none());
            assert_eq!(row.each[0].cpu_us_per_call, None);
        }
    }

    #[test]
    fn where_no_call_was_sent_nothing_is_said_of_one() {
        let row = row_of(&[measured(0), measured(0)]);
        assert!(row.cpu_us_per_call.is_none() && row.switches_per_call.is_none());
        assert_eq!(row.each[0].cpu_us_per_call, None);
        let json = serde_json::to_value(&row).unwrap();
        assert!(json["cpu_us_per_call"].is_null(), "{json}");
        assert_eq!(serde_json::from_value::<Row>(json).unwrap().errors, 18);
    }

    #[test]
    fn a_repetition_without_a_call_does_not_make_the_others_cheap() {
        let row = row_of(&[measured(0), measured(3), measured(0)]);
        let server = row.cpu_us_per_call.map(|sides| sides.server);
        assert_eq!(server, Some(10.0));
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        assert_eq!(median(vec![4.0, 1.0, 3.0, 2.0]).to_string(), "2.5");
        assert_eq!(median(vec![9.0, 1.0, 3.0]).to_string(), "3");
    }

    #[test]
    fn a_count_beyond_32_bits_keeps_its_size() {
        assert_eq!(float(u64::from(u32::MAX) + 2).to_string(), "4294967297");
    }
}
