//! One caller: makes requests, times calls, counts how they ended.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::{Meter, Part, Plan};
use crate::clock::now;
use crate::transport::Failure;

/// Makes requests, times calls and counts how they ended, for one loop.
#[derive(Debug)]
pub(crate) struct Caller {
    meter: Arc<Meter>,
    index: usize,
    template: Vec<u8>,
    number: u64,
    /// Calls that are left, if their number is what ends the measurement.
    left: Option<u64>,
}

impl Caller {
    pub(super) fn new(meter: Arc<Meter>, index: usize) -> Self {
        let left = match meter.plan {
            Plan::Time { .. } => None,
            Plan::Count { calls, .. } => Some(meter.share(calls, index)),
        };
        Self {
            template: (0..=u8::MAX).cycle().take(meter.payload).collect(),
            number: u64::try_from(index).unwrap_or_default() << 40,
            meter,
            index,
            left,
        }
    }

    /// A payload unlike the one before. To be made before the clock starts.
    pub(crate) fn request(&mut self) -> Bytes {
        self.number += 1;
        for (byte, number) in self.template.iter_mut().zip(self.number.to_le_bytes()) {
            *byte = number;
        }
        Bytes::copy_from_slice(&self.template)
    }

    /// When the next call starts: now in a closed loop, when it was due in an open one, which is
    /// waited for. None once the measurement is over.
    pub(crate) async fn begin(&mut self) -> Option<Instant> {
        let Some(pace) = &self.meter.pace else {
            return self.begin_now();
        };
        loop {
            let due = pace.next().await?;
            if !self.meter.is_too_late(due) {
                return self.counted_down().then_some(due);
            }
        }
    }

    /// The same, blocking.
    pub(crate) fn begin_blocking(&mut self) -> Option<Instant> {
        let Some(pace) = &self.meter.pace else {
            return self.begin_now();
        };
        loop {
            let due = pace.next_blocking()?;
            if !self.meter.is_too_late(due) {
                return self.counted_down().then_some(due);
            }
        }
    }

    /// Starts a call of a closed loop.
    pub(crate) fn begin_now(&mut self) -> Option<Instant> {
        let now = now();
        (self.meter.plan.goes_on(now) && self.counted_down()).then_some(now)
    }

    /// Whether the measurement goes on.
    pub(crate) fn goes_on(&self) -> bool {
        self.meter.plan.goes_on(now())
    }

    /// Counts bytes of payload that no call of its own moved.
    pub(crate) fn moved(&self, bytes: usize) {
        if self.meter.plan.counts(now()) {
            self.meter.shard(self.index).moved(bytes);
        }
    }

    /// Counts a failure of what is not one call, whenever it was.
    pub(crate) fn failed(&self, failure: &Failure) {
        self.meter.shard(self.index).failed(failure);
    }

    /// Counts what another process has counted.
    pub(crate) fn add(&self, part: &Part) {
        self.meter.shard(self.index).add(part);
    }

    fn counted_down(&mut self) -> bool {
        match &mut self.left {
            None => true,
            Some(left) => left.checked_sub(1).map(|less| *left = less).is_some(),
        }
    }

    /// Counts a call that moved so many bytes of payload, or failed. Calls of the warm-up do not
    /// count.
    pub(crate) fn end(&self, begun: Instant, ended: Instant, outcome: &Result<usize, Failure>) {
        if !self.meter.plan.counts(begun) {
            return;
        }
        let mut part = self.meter.shard(self.index);
        match outcome {
            Ok(bytes) => part.answered(
                ended.saturating_duration_since(begun),
                u64::try_from(*bytes).unwrap_or(u64::MAX),
            ),
            Err(failure) => part.failed(failure),
        }
    }
}

/// The bytes an echo moved; one that differs is a failure.
pub(crate) fn same(request: &[u8], reply: &[u8]) -> Result<usize, Failure> {
    if request == reply {
        Ok(request.len() + reply.len())
    } else {
        Err(Failure::new("DIFFERS", "MayHaveRun"))
    }
}
