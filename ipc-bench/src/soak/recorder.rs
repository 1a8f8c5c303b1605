//! Takes a sample whenever all client processes have told what they counted.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Sample;
use crate::error::Error;
use crate::load::ticks;
use crate::meter::Part;
use crate::observe::Process;
use crate::report::float;

/// Takes a sample whenever all client processes have told what they counted.
#[derive(Debug)]
pub(crate) struct Recorder {
    daemon: Process,
    processes: usize,
    /// The length of a tick.
    each: Duration,
    /// Ticks from one sample to the next.
    stride: usize,
    /// By tick: how many processes have told, and what.
    told: BTreeMap<usize, (usize, Part)>,
    samples: Vec<Sample>,
    failed: Option<Error>,
}

impl Recorder {
    /// For a measurement of so long, with a sample about each `interval`.
    pub(crate) fn new(
        daemon: Process,
        processes: usize,
        measured: Duration,
        interval: Duration,
    ) -> Self {
        let (count, each) = ticks(measured);
        let strides = (1..count).take_while(|&stride| each * saturated(stride) < interval);
        Self {
            daemon,
            processes,
            each,
            stride: strides.count() + 1,
            told: BTreeMap::new(),
            samples: Vec::new(),
            failed: None,
        }
    }

    /// Takes in what all processes have counted in a tick so far, each time one more has told;
    /// gives the sample that this completes.
    pub(crate) fn tick(&mut self, tick: usize, so_far: &Part) -> Option<Sample> {
        let (told, total) = self.told.entry(tick).or_default();
        *told += 1;
        total.clone_from(so_far);
        let is_last = (tick + 1).is_multiple_of(self.stride);
        if *told < self.processes || !is_last {
            return None;
        }
        // Each process tells its ticks in order: all earlier ones are complete.
        let later = self.told.split_off(&(tick + 1));
        let told = std::mem::replace(&mut self.told, later);
        let mut total = Part::default();
        told.values().for_each(|(_, part)| total.add(part));
        match self.sample(tick, &total) {
            Ok(sample) => {
                self.samples.push(sample);
                Some(sample)
            }
            Err(error) => {
                self.failed.get_or_insert(Error::Gone(Box::new(error)));
                None
            }
        }
    }

    /// What was sampled, and why no more was.
    pub(crate) fn samples(self) -> (Vec<Sample>, Option<Error>) {
        (self.samples, self.failed)
    }

    fn sample(&self, tick: usize, total: &Part) -> Result<Sample, Error> {
        let interval = self.each * saturated(self.stride);
        Ok(Sample {
            at_s: (self.each * saturated(tick + 1)).as_secs_f64(),
            rss_bytes: self.daemon.rss_bytes()?,
            descriptors: self.daemon.descriptors(),
            calls_per_s: float(total.calls) / interval.as_secs_f64(),
            errors: total.failures(),
            p99_us: (total.calls > 0).then(|| total.quantile_us(0.99)),
        })
    }
}

fn saturated(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorder(processes: usize, interval: u64) -> Recorder {
        let this = Process(std::process::id());
        let measured = Duration::from_secs(20);
        Recorder::new(this, processes, measured, Duration::from_secs(interval))
    }

    fn calls(count: u32) -> Part {
        let mut part = Part::default();
        (0..count).for_each(|_| part.answered(Duration::from_micros(7), 1));
        part
    }

    #[test]
    fn a_sample_comes_once_all_processes_have_told() {
        let mut recorder = recorder(2, 1);
        assert_eq!(recorder.tick(0, &calls(1)), None);
        let sample = recorder.tick(0, &calls(3)).unwrap();
        assert_eq!((sample.at_s, sample.calls_per_s), (1.0, 3.0));
        assert!(sample.rss_bytes > 0);
        let (samples, failed) = recorder.samples();
        assert_eq!(samples, [sample]);
        assert!(failed.is_none());
    }

    #[test]
    fn a_sample_sums_up_the_ticks_since_the_last_one() {
        let mut recorder = recorder(1, 2);
        assert_eq!(recorder.tick(0, &calls(1)), None);
        let sample = recorder.tick(1, &calls(3)).unwrap();
        assert_eq!((sample.at_s, sample.calls_per_s), (2.0, 2.0));
        assert_eq!(recorder.tick(2, &calls(1)), None);
        let sample = recorder.tick(3, &calls(0)).unwrap();
        assert_eq!((sample.at_s, sample.calls_per_s), (4.0, 0.5));
    }

    #[test]
    fn no_call_has_no_latency() {
        let sample = recorder(1, 1).tick(0, &calls(0)).unwrap();
        assert_eq!(sample.p99_us, None);
    }

    #[test]
    fn a_daemon_that_goes_leaves_the_samples_of_its_time() {
        let mut recorder = recorder(1, 1);
        let sample = recorder.tick(0, &calls(1)).unwrap();
        // Beyond what Linux (PID_MAX_LIMIT, 2^22) and macOS (99998) give.
        recorder.daemon = Process(1 << 23);
        assert_eq!(recorder.tick(1, &calls(1)), None);
        let (samples, failed) = recorder.samples();
        assert_eq!(samples, [sample]);
        let failed = failed.unwrap().to_string();
        assert_eq!(failed, "the daemon has gone");
    }
}
