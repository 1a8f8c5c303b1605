//! Thousands of agents that stay for minutes.

use std::time::Duration;

use clap::value_parser;

use crate::attach::{self, Attached, Place};
use crate::command::effort::{FASTEST, count, rate, seconds, with_connections};
use crate::error::Error;
use crate::machine::{most_agents, raise_descriptors};
use crate::observe::Process;
use crate::output::say;
use crate::process::{Folder, Pinning, Server, Setup, measure};
use crate::report::row::Report;
use crate::report::{Shown, float, report, row};
use crate::soak::{Recorder, Sample, Samples, Verdict};
use crate::transport::Transport;
use crate::workload::{Amount, Flavor, Workload};

/// Whom to hold, and for how long.
#[derive(Debug, clap::Args)]
#[command(mut_arg("socket", |socket| socket
    .required(false)
    .help("The socket of a daemon that echoes; without it, a server of our own")))]
pub(crate) struct Args {
    #[command(flatten)]
    place: Option<Place>,
    /// Agents to hold, each with a connection
    #[arg(long, default_value_t = 1_000, value_parser = value_parser!(u32).range(1..))]
    agents: u32,
    /// Seconds
    #[arg(long, default_value = "60", value_parser = seconds)]
    duration: f64,
    /// Calls of each agent
    #[arg(long, default_value = "1", value_parser = rate)]
    calls_per_second: f64,
    /// Agents that leave and come again, each second
    #[arg(long, value_parser = rate)]
    churn: Option<f64>,
    /// Bytes of the payload
    #[arg(long, default_value_t = 64)]
    payload: usize,
    /// Seconds between two samples
    #[arg(long, default_value = "1", value_parser = seconds)]
    interval: f64,
    /// Seconds at the start that the verdict leaves out; without it a quarter of all, and until
    /// each agent has left once
    #[arg(long)]
    settle: Option<f64>,
    /// Client processes; as many as their limit of descriptors asks for without it
    #[arg(long, value_parser = count)]
    processes: Option<usize>,
    /// The runtime of both sides; of the agents alone, where the server is not ours
    #[arg(long, default_value = "multi_thread")]
    runtime: Flavor,
    #[command(flatten)]
    shown: Shown,
}

pub(crate) fn soak(args: &Args) -> Result<(), Error> {
    let mut setup = args.setup(raise_descriptors()?)?;
    let folder = Folder::new()?;
    let (server, place) = match &args.place {
        Some(place) => (None, place.clone()),
        None => {
            let socket = folder.path().join("s");
            (Some(Server::start(&setup, &socket)?), Place::at(socket))
        }
    };
    let prepared = Flavor::CurrentThread
        .build()?
        .block_on(attach::echo(&place, args.payload))?;
    let attached = prepared.attached(place, folder.path())?;
    let daemon = Process(attached.pid.ok_or(Error::Unwatched)?);
    setup.workload.attached = Some(Attached {
        stays: args.stays(),
        ..attached
    });
    let [duration, interval] = [args.duration, args.interval].map(Duration::from_secs_f64);
    let mut recorder = Recorder::new(daemon, setup.processes, duration, interval);
    let measured = measure(&setup, &mut |tick, part| {
        if let Some(sample) = recorder.tick(tick, part) {
            say(&line(&sample));
        }
    })?;
    let (samples, gone) = recorder.samples();
    let samples = Samples::judge(samples, args.settle());
    let verdict = samples.verdict;
    let mut row = row(&setup, &[measured]);
    row.scenario = "soak".into();
    args.shown.show(&Report {
        soak: Some(samples),
        ..report(1, vec![row], Vec::new())
    })?;
    if let Some(gone) = gone {
        return Err(gone);
    }
    if let Some(server) = server {
        server.stop()?;
    }
    match verdict {
        Verdict::Leak => Err(Error::Leak),
        Verdict::Steady | Verdict::Unknown => Ok(()),
    }
}

impl Args {
    fn setup(&self, limit: u64) -> Result<Setup, Error> {
        let calls_per_s = f64::from(self.agents) * self.calls_per_second;
        if self.runtime == Flavor::Blocking {
            return Err(Error::Unsupported("a soak with the blocking client"));
        }
        if calls_per_s > FASTEST {
            return Err(Error::Unsupported("more than 10,000,000 calls per second"));
        }
        if self.churn.is_some_and(|churn| churn > calls_per_s) {
            return Err(Error::Unsupported(
                "a churn of more agents than there are calls: each calls before it leaves",
            ));
        }
        let (agents, most) = (u64::from(self.agents), most_agents(limit));
        if self.place.is_none() && agents > most {
            return Err(Error::TooMany {
                agents: self.agents,
                most,
            });
        }
        let workload = Workload {
            payload: self.payload,
            connections: usize::try_from(self.agents).unwrap_or(usize::MAX),
            rate: Some(calls_per_s),
            amount: Amount::seconds(self.duration),
            ..Workload::new(Transport::Ipc, self.runtime)
        };
        let processes = usize::try_from(agents.div_ceil(most.max(1))).unwrap_or(usize::MAX);
        Ok(Setup {
            processes: with_connections(self.processes.unwrap_or(processes), workload.connections),
            ..Setup::new(workload, Pinning::None)
        })
    }

    /// Calls of one agent until it leaves.
    fn stays(&self) -> Option<u64> {
        let calls = f64::from(self.agents) * self.calls_per_second / self.churn?;
        // A time of as many seconds rounds a float without a cast.
        let calls = Duration::try_from_secs_f64(calls.round()).ok()?;
        Some(calls.as_secs().max(1))
    }

    fn settle(&self) -> f64 {
        let generation = self.churn.map(|churn| f64::from(self.agents) / churn);
        let usual = (self.duration / 4.0).max(generation.unwrap_or_default());
        self.settle.unwrap_or(usual)
    }
}

fn line(sample: &Sample) -> String {
    let Sample {
        at_s,
        rss_bytes,
        descriptors,
        calls_per_s,
        errors,
        p99_us,
    } = sample;
    let p99 = p99_us.map_or_else(|| "-".to_owned(), |p99| format!("{p99:.0}"));
    let open = descriptors.map_or_else(|| "-".to_owned(), |open| open.to_string());
    let mib = float(*rss_bytes) / MIB;
    format!(
        "{at_s:>7.0} s  {calls_per_s:.0} calls/s  p99 {p99} us  {errors} errors  {mib:.2} MiB  {open} descriptors"
    )
}

const MIB: f64 = 1_048_576.0;
