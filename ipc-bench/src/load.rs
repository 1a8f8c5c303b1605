//! The client process of a measurement, and what it measures.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::clock::now;
use crate::error::Error;
use crate::rpc::Flavor;
use crate::serve::Transport;
use crate::{output, rpc, socket};

/// A client of one transport.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    transport: Transport,
    #[arg(long)]
    socket: PathBuf,
    #[arg(long)]
    runtime: Flavor,
    #[arg(long)]
    payload: usize,
    #[arg(long)]
    in_flight: usize,
    #[arg(long)]
    no_deadline: bool,
    /// Seconds that are measured, after a warm-up
    #[arg(long)]
    seconds: Option<f64>,
    /// Calls to make without a warm-up, instead of a time
    #[arg(long)]
    calls: Option<u64>,
}

/// What a client prints when it is done. Times are in nanoseconds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) calls: u64,
    pub(crate) seconds: f64,
    pub(crate) p50: u64,
    pub(crate) p90: u64,
    pub(crate) p99: u64,
    pub(crate) p999: u64,
    pub(crate) max: u64,
}

/// Time before the measured part: caches, branch predictors and buffers settle.
const WARM_UP: Duration = Duration::from_millis(200);
/// The deadline each call carries unless it is told not to.
const DEADLINE: Duration = Duration::from_secs(10);

pub(crate) fn load(args: &Args) -> Result<(), Error> {
    let measured = match args.transport {
        Transport::Raw => {
            let meter = Meter::new(args, 0);
            socket::load(&args.socket, args.in_flight, meter)?.measured()
        }
        Transport::Ipc => args.runtime.build()?.block_on(calls(args))?,
    };
    output::print(&serde_json::to_string(&measured)?)
}

async fn calls(args: &Args) -> Result<Measured, Error> {
    let deadline = (!args.no_deadline).then_some(DEADLINE);
    let client = rpc::connect(&args.socket, deadline).await?;
    let mut tasks = tokio::task::JoinSet::new();
    for seed in 0..args.in_flight {
        tasks.spawn(rpc::calls(client.clone(), Meter::new(args, seed)));
    }
    let mut total: Option<Meter> = None;
    while let Some(done) = tasks.join_next().await {
        let ended = |error: tokio::task::JoinError| Error::Process {
            role: "client",
            what: error.to_string(),
        };
        let meter = done.map_err(ended)??;
        total = Some(match total {
            Some(total) => total.join(&meter),
            None => meter,
        });
    }
    Ok(total.map(Meter::measured).unwrap_or_default())
}

/// Makes requests, times calls and checks answers for one caller.
pub(crate) struct Meter {
    template: Vec<u8>,
    number: u64,
    plan: Plan,
    begun: Instant,
    histogram: Histogram<u64>,
    calls: u64,
}

/// When to stop, and what counts.
#[derive(Clone, Copy)]
enum Plan {
    /// Calls that begin from `from` on and before `until`.
    Time { from: Instant, until: Instant },
    /// So many calls.
    Count(u64),
}

impl Meter {
    fn new(args: &Args, seed: usize) -> Self {
        let begun = now();
        let plan = match (args.calls, args.seconds) {
            (Some(calls), _) => {
                let callers = u64::try_from(args.in_flight.max(1)).unwrap_or(u64::MAX);
                Plan::Count(match args.transport {
                    Transport::Raw => calls,
                    Transport::Ipc => calls / callers,
                })
            }
            (None, seconds) => {
                let from = begun + WARM_UP;
                let measured = Duration::from_secs_f64(seconds.unwrap_or(1.0));
                Plan::Time {
                    from,
                    until: from + measured,
                }
            }
        };
        Self {
            template: (0..=u8::MAX).cycle().take(args.payload).collect(),
            number: u64::try_from(seed).unwrap_or_default() << 40,
            plan,
            begun,
            histogram: Histogram::new(3).expect("3 significant digits are allowed"),
            calls: 0,
        }
    }

    /// Whether another call should be made.
    pub(crate) fn goes_on(&self) -> bool {
        match self.plan {
            Plan::Time { until, .. } => self.begun < until,
            Plan::Count(count) => self.calls < count,
        }
    }

    /// A payload unlike the one before.
    pub(crate) fn request(&mut self) -> Bytes {
        self.number += 1;
        for (byte, number) in self.template.iter_mut().zip(self.number.to_le_bytes()) {
            *byte = number;
        }
        Bytes::copy_from_slice(&self.template)
    }

    /// Starts the clock.
    pub(crate) fn begin(&mut self) -> Instant {
        self.begun = now();
        self.begun
    }

    /// Counts a call that took so long, and checks its answer.
    pub(crate) fn end(
        &mut self,
        took: Duration,
        request: &[u8],
        reply: &[u8],
    ) -> Result<(), Error> {
        if request != reply {
            return Err(Error::Differs);
        }
        if let Plan::Time { from, until } = self.plan
            && (self.begun < from || self.begun >= until)
        {
            return Ok(());
        }
        self.calls += 1;
        self.histogram
            .record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX))
            .expect("a histogram that resizes itself takes any value");
        Ok(())
    }

    /// Adds what another caller of the same measurement found.
    fn join(mut self, other: &Self) -> Self {
        self.calls += other.calls;
        self.histogram
            .add(&other.histogram)
            .expect("a histogram of the same kind, which resizes itself");
        self
    }

    pub(crate) fn measured(self) -> Measured {
        let seconds = match self.plan {
            Plan::Time { from, until } => until - from,
            Plan::Count(_) => Duration::ZERO,
        };
        let at = |quantile| self.histogram.value_at_quantile(quantile);
        Measured {
            calls: self.calls,
            seconds: seconds.as_secs_f64(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: self.histogram.max(),
        }
    }
}
