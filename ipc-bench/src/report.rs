//! Rows, medians and ratios, in the form that every subcommand shares.

use serde::Serialize;

use crate::load::Measured;
use crate::machine::Machine;
use crate::process::{Pinning, Setup};
use crate::rpc::Flavor;
use crate::serve::Transport;

/// The middle of several repetitions, and how far they went apart.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values = values.into_iter().collect::<Vec<_>>();
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        let (low, high) = (values.len().saturating_sub(1) / 2, values.len() / 2);
        Self {
            median: f64::midpoint(at(low), at(high)),
            min: at(0),
            max: at(values.len().saturating_sub(1)),
        }
    }

    /// As `1.14 (1.12..1.20)`.
    pub(crate) fn text(&self, digits: usize) -> String {
        let Self { median, min, max } = self;
        format!("{median:.digits$} ({min:.digits$}..{max:.digits$})")
    }
}

/// One transport in one scenario.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) transport: Transport,
    /// None for the raw socket, which needs none.
    pub(crate) runtime: Option<Flavor>,
    pub(crate) pinning: Pinning,
    pub(crate) scenario: &'static str,
    pub(crate) payload_bytes: usize,
    pub(crate) connections: usize,
    pub(crate) in_flight: usize,
    pub(crate) calls: u64,
    pub(crate) errors: u64,
    pub(crate) calls_per_s: Spread,
    pub(crate) latency_us: Latency,
}

/// Latency in microseconds over the repetitions.
#[derive(Debug, Serialize)]
pub(crate) struct Latency {
    pub(crate) p50: Spread,
    pub(crate) p90: Spread,
    pub(crate) p99: Spread,
    pub(crate) p999: Spread,
    pub(crate) max: Spread,
}

/// What a subcommand found.
#[derive(Debug, Serialize)]
pub(crate) struct Report<R> {
    pub(crate) machine: Machine,
    pub(crate) repetitions: usize,
    pub(crate) rows: Vec<Row>,
    pub(crate) ratios: R,
}

impl Row {
    pub(crate) fn new(setup: &Setup, measured: &[Measured]) -> Self {
        let us =
            |value: fn(&Measured) -> u64| Spread::of(measured.iter().map(|one| micros(value(one))));
        Self {
            transport: setup.transport,
            runtime: (setup.transport == Transport::Ipc).then_some(setup.runtime),
            pinning: setup.pinning,
            scenario: "unary",
            payload_bytes: setup.payload,
            connections: 1,
            in_flight: setup.in_flight,
            calls: measured.iter().map(|one| one.calls).sum(),
            // A call that fails ends the measurement.
            errors: 0,
            calls_per_s: Spread::of(measured.iter().map(rate)),
            latency_us: Latency {
                p50: us(|one| one.p50),
                p90: us(|one| one.p90),
                p99: us(|one| one.p99),
                p999: us(|one| one.p999),
                max: us(|one| one.max),
            },
        }
    }
}

/// The ratio of each measurement to the one made right before it on the other transport.
pub(crate) fn ratio(above: &[f64], below: &[f64]) -> Spread {
    Spread::of(above.iter().zip(below).map(|(above, below)| above / below))
}

pub(crate) fn rate(measured: &Measured) -> f64 {
    float(measured.calls) / measured.seconds.max(f64::MIN_POSITIVE)
}

/// Nanoseconds as microseconds.
pub(crate) fn micros(nanos: u64) -> f64 {
    float(nanos) / 1_000.0
}

/// As a number to divide by.
pub(crate) fn float(count: u64) -> f64 {
    u32::try_from(count).map_or_else(|_| f64::from(u32::MAX), f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        let spread = Spread::of([4.0, 1.0, 3.0, 2.0]);
        assert_eq!(spread.text(1), "2.5 (1.0..4.0)");
    }

    #[test]
    fn ratios_are_taken_pair_by_pair() {
        let spread = ratio(&[2.0, 6.0, 9.0], &[1.0, 2.0, 3.0]);
        assert_eq!(spread.text(0), "3 (2..3)");
    }
}
