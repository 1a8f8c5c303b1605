//! The client process of a measurement, and how it talks with the one that started it.
//!
//! It connects, says that it is ready, waits for the word to go, tells from time to time what it
//! has counted, and in the end what it has used. Its connections stay until its standard input
//! ends, so that memory can be weighed.

use std::io::BufRead as _;
use std::path::PathBuf;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::clock::now;
use crate::error::Error;
use crate::meter::{Counts, Meter, Part, Plan};
use crate::transport::{Async as _, Client as _, Ipc};
use crate::usage::Usage;
use crate::workload::{Scenario, Target, Workload};
use crate::{machine, output};

/// A client of one transport.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    socket: PathBuf,
    /// As JSON
    #[arg(long)]
    workload: String,
}

impl Args {
    fn load(self) -> Result<Load, Error> {
        let workload = serde_json::from_str::<Workload>(&self.workload)?;
        Ok(Load {
            target: workload.target(self.socket),
            workload,
            control: Control::new(),
        })
    }
}

/// What a client prints, a line each.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Said {
    /// All connections are there.
    Ready,
    /// What was counted since the last tick, and the number of this one.
    Tick(usize, Counts),
    /// What was counted since the last of them.
    Rest(Counts),
    /// What was used from the end of the warm-up until the last call had ended, and how many
    /// seconds that took.
    Done(Usage, f64),
}

pub(crate) fn load(args: Args) -> Result<(), Error> {
    machine::raise_descriptors()?;
    let load = args.load()?;
    if load.workload.rate.is_some() {
        machine::sharpen_timers();
    }
    load.workload.transport.load(load)
}

/// Connects, calls once on each connection, and holds them without a word until they are no longer
/// wanted.
pub(crate) fn hold(args: Args) -> Result<(), Error> {
    machine::raise_descriptors()?;
    let Load {
        workload,
        target,
        control,
    } = args.load()?;
    workload.runtime.build()?.block_on(async {
        let mut clients = Vec::with_capacity(workload.connections);
        for _ in 0..workload.connections {
            let client = Ipc::connect(&target).await?;
            let echoed = client.echo(Bytes::from(vec![7; workload.payload])).await;
            echoed.map_err(|failure| Error::Failed(failure.to_string()))?;
            clients.push(client);
        }
        control.hold().await
    })
}

/// What a calling half is given.
pub(crate) struct Load {
    pub(crate) workload: Workload,
    pub(crate) target: Target,
    pub(crate) control: Control,
}

/// The two words of the process that started this one.
pub(crate) struct Control {
    go: oneshot::Receiver<()>,
    stop: Stop,
}

/// The word that the connections are no longer wanted. Who started this process has gone if it
/// comes before all is told: nobody wants calls then, and the server may be somebody's own.
struct Stop {
    said: oneshot::Receiver<()>,
    is_due: Arc<AtomicBool>,
}

impl Control {
    fn new() -> Self {
        let (say_go, go) = oneshot::channel();
        let (say_stop, said) = oneshot::channel::<()>();
        let is_due = Arc::new(AtomicBool::new(false));
        let stop = Stop {
            said,
            is_due: Arc::clone(&is_due),
        };
        thread::spawn(move || {
            let mut lines = std::io::stdin().lock().lines();
            let goes = lines.next().is_some() && say_go.send(()).is_ok();
            lines.for_each(drop);
            if goes && !is_due.load(Ordering::Acquire) {
                output::complain(&Error::Abandoned);
                process::exit(1);
            }
            drop(say_stop);
        });
        Self { go, stop }
    }

    /// Says that all connections are there, waits until others are ready too, and starts the
    /// clock for so many callers.
    pub(crate) async fn begin(self, workload: &Workload, callers: usize) -> Result<Run, Error> {
        say(&Said::Ready)?;
        self.go.await.map_err(|_| Error::Abandoned)?;
        let run = Run::start(workload, callers, self.stop)?;
        run.meter.release();
        Ok(run)
    }

    /// Says that all connections are there, and waits until they are no longer wanted.
    async fn hold(self) -> Result<(), Error> {
        say(&Said::Ready)?;
        // The word to go never comes, but an end of the standard input does.
        self.go.await.ok();
        Ok(())
    }

    /// As [`Self::begin`], blocking.
    pub(crate) fn begin_blocking(self, workload: &Workload, callers: usize) -> Result<Run, Error> {
        say(&Said::Ready)?;
        self.go.blocking_recv().map_err(|_| Error::Abandoned)?;
        Run::start(workload, callers, self.stop)
    }
}

/// A measurement that goes on.
pub(crate) struct Run {
    pub(crate) meter: Arc<Meter>,
    before: Before,
    stop: Stop,
}

/// Who knows what had been used when the measured part began.
enum Before {
    Known(Usage),
    /// A thread that looks when the warm-up is over.
    Watched(JoinHandle<Result<Usage, Error>>),
}

impl Run {
    fn start(workload: &Workload, callers: usize, stop: Stop) -> Result<Self, Error> {
        let meter = Arc::new(Meter::of_client(workload, callers, now()));
        let before = match meter.plan {
            Plan::Count { .. } => Before::Known(Usage::now()?),
            Plan::Time { from, until } => {
                let meter = Arc::clone(&meter);
                let (count, each) = match workload.scenario {
                    // The server tells what its calls come to.
                    Scenario::Reverse => (0, Duration::ZERO),
                    _ => ticks(until - from),
                };
                Before::Watched(thread::spawn(move || watch(&meter, from, count, each)))
            }
        };
        Ok(Self {
            meter,
            before,
            stop,
        })
    }

    /// Tells what is left to tell, once all callers are done; returns when the connections are
    /// no longer wanted.
    pub(crate) async fn end(self) -> Result<(), Error> {
        let stop = self.told()?;
        stop.await.ok();
        Ok(())
    }

    /// The same, blocking.
    pub(crate) fn end_blocking(self) -> Result<(), Error> {
        let stop = self.told()?;
        stop.blocking_recv().ok();
        Ok(())
    }

    fn told(self) -> Result<oneshot::Receiver<()>, Error> {
        let before = match self.before {
            Before::Known(before) => before,
            Before::Watched(watching) => watching.join().expect("watching does not panic")?,
        };
        let used = Usage::now()?.since(before);
        let took = now() - self.meter.plan.from();
        let mut rest = Part::default();
        self.meter.take(&mut rest, &mut Part::default());
        say(&Said::Rest(rest.counts()))?;
        self.stop.is_due.store(true, Ordering::Release);
        say(&Said::Done(used, took.as_secs_f64()))?;
        Ok(self.stop.said)
    }
}

/// Tells at each tick what was counted, and at the end what had been used when the first began.
fn watch(meter: &Meter, from: Instant, count: usize, each: Duration) -> Result<Usage, Error> {
    let sleep_until = |at: Instant| thread::sleep(at.saturating_duration_since(now()));
    sleep_until(from);
    let before = Usage::now()?;
    let [mut part, mut spare] = [Part::default(), Part::default()];
    let mut at = from;
    for tick in 0..count {
        at += each;
        sleep_until(at);
        meter.take(&mut part, &mut spare);
        say_tick(tick, &part)?;
        part.clear();
    }
    Ok(before)
}

/// How many intervals a time line has, and how long each is: a second, but at least ten and at
/// most [`POINTS`].
pub(crate) fn ticks(measured: Duration) -> (usize, Duration) {
    let count = measured.as_secs().clamp(10, POINTS);
    let each = measured.div_f64(Duration::from_secs(count).as_secs_f64());
    (usize::try_from(count).unwrap_or(usize::MAX), each)
}

/// The most intervals of a time line: each has its own histogram, of up to 150 KiB.
const POINTS: u64 = 600;

/// Says what was counted in an interval.
pub(crate) fn say_tick(tick: usize, part: &Part) -> Result<(), Error> {
    say(&Said::Tick(tick, part.counts()))
}

fn say(said: &Said) -> Result<(), Error> {
    output::print(&serde_json::to_string(said)?)
}
