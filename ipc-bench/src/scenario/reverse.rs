//! Calls that a server makes to its clients.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep_until;

use super::{REST, all, calls, connect};
use crate::clock::now;
use crate::error::Error;
use crate::load::{Load, say_tick, ticks};
use crate::meter::{Caller, Counts, Meter, Part, Plan};
use crate::output::complain;
use crate::transport::{Async, Client};
use crate::workload::Workload;

/// Has the server call each connection.
pub(super) async fn tasks<T: Async>(load: Load) -> Result<(), Error> {
    let workload = load.workload;
    let clients = connect::<T>(workload.connections, &load.target).await?;
    let run = load.control.begin(&workload, workload.connections).await?;
    let told = Arc::new(Told::by(workload.connections));
    let mut tasks = JoinSet::new();
    for (index, client) in clients.iter().enumerate() {
        let (client, share) = (client.clone(), workload.share(index, workload.connections));
        tasks.spawn(order(client, share, run.meter.caller(), Arc::clone(&told)));
    }
    all(&mut tasks).await?;
    for (tick, part) in told.rest() {
        say_tick(tick, &part)?;
    }
    run.end().await
}

async fn order<C: Client>(client: C, share: Workload, caller: Caller, told: Arc<Told>) {
    let counted = |tick: Option<usize>, part: &Part| match tick {
        Some(tick) => {
            let whole = told.add(tick, part);
            let said = whole.map_or(Ok(()), |whole| say_tick(tick, &whole));
            said.unwrap_or_else(|error| complain(&error));
        }
        None => caller.add(part),
    };
    if let Err(failure) = client.reverse(&share, counted).await {
        caller.failed(&failure);
        tokio::time::sleep(REST).await;
    }
}

/// What the server has told of some connections, by tick: how many of them, and what.
#[derive(Debug)]
struct Told {
    connections: usize,
    ticks: Mutex<BTreeMap<usize, (usize, Part)>>,
}

impl Told {
    fn by(connections: usize) -> Self {
        let ticks = Mutex::default();
        Self { connections, ticks }
    }

    /// Takes in a tick of one connection; gives that of all once it is whole.
    fn add(&self, tick: usize, part: &Part) -> Option<Part> {
        let mut ticks = self.ticks.lock().unwrap_or_else(PoisonError::into_inner);
        let (told, sum) = ticks.entry(tick).or_default();
        *told += 1;
        sum.add(part);
        if *told < self.connections {
            return None;
        }
        ticks.remove(&tick).map(|(_, sum)| sum)
    }

    /// What did not become whole: a connection was lost.
    fn rest(&self) -> Vec<(usize, Part)> {
        let mut ticks = self.ticks.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = std::mem::take(&mut *ticks).into_iter();
        rest.map(|(tick, (_, sum))| (tick, sum)).collect()
    }
}

/// The calls of a server to one client, while they are made.
pub(crate) struct Driven {
    meter: Arc<Meter>,
    tasks: JoinSet<()>,
    /// Intervals that are yet to end, and how long each is.
    ticks: Range<usize>,
    each: Duration,
    spare: Part,
    over: bool,
}

/// Begins the calls of a server to one client.
pub(crate) fn drive<C: Client>(workload: &Workload, client: &C) -> Driven {
    let meter = Arc::new(Meter::new(workload, workload.in_flight, now()));
    meter.release();
    let mut tasks = JoinSet::new();
    for _ in 0..workload.in_flight {
        tasks.spawn(calls::echo(client.clone(), meter.caller()));
    }
    let (count, each) = match meter.plan {
        Plan::Time { from, until } => ticks(until - from),
        Plan::Count { .. } => (0, Duration::ZERO),
    };
    Driven {
        meter,
        tasks,
        ticks: 0..count,
        each,
        spare: Part::default(),
        over: false,
    }
}

impl Driven {
    /// What was counted in the next interval, and its number; then, without a number, what ended
    /// after the last of them.
    pub(crate) async fn next(&mut self) -> Result<Option<(Option<usize>, Counts)>, Error> {
        if self.over {
            return Ok(None);
        }
        let tick = self.ticks.next();
        match tick {
            Some(tick) => {
                let ended = u32::try_from(tick + 1).unwrap_or(u32::MAX);
                sleep_until((self.meter.plan.from() + self.each * ended).into()).await;
            }
            None => {
                all(&mut self.tasks).await?;
                self.over = true;
            }
        }
        let mut part = Part::default();
        self.meter.take(&mut part, &mut self.spare);
        Ok(Some((tick, part.counts())))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tokio::time::Instant;

    use super::*;
    use crate::transport::{Failure, Transport};
    use crate::workload::{Amount, Flavor};

    /// Takes a millisecond for each call.
    #[derive(Clone)]
    struct Steady;

    impl Client for Steady {
        async fn echo(&self, data: Bytes) -> Result<Bytes, Failure> {
            sleep_until(Instant::now() + Duration::from_millis(1)).await;
            Ok(data)
        }
    }

    fn calls(count: u32) -> Part {
        let mut part = Part::default();
        (0..count).for_each(|_| part.answered(Duration::from_micros(7), 1));
        part
    }

    #[tokio::test(start_paused = true)]
    async fn a_tick_tells_what_was_counted_in_it() {
        let workload = Workload {
            amount: Amount::Time {
                warm_up: 0.5,
                measured: 10.0,
            },
            ..Workload::new(Transport::Ipc, Flavor::CurrentThread)
        };
        let mut driven = drive(&workload, &Steady);
        let mut told = Vec::new();
        while let Some((tick, counts)) = driven.next().await.unwrap() {
            told.push((tick, Part::from(counts).calls));
        }
        let ticks = told.iter().map(|(tick, _)| *tick);
        assert!(ticks.eq((0..10).map(Some).chain([None])), "{told:?}");
        // A call at the very edge may be counted on either side.
        let is_whole = |(tick, calls): &(_, u64)| match tick {
            Some(_) => (999..=1_001).contains(calls),
            None => *calls <= 1,
        };
        assert!(told.iter().all(is_whole), "{told:?}");
    }

    #[test]
    fn a_tick_is_told_once_all_connections_have_told_theirs() {
        let told = Told::by(2);
        assert!(told.add(0, &calls(1)).is_none());
        assert!(told.add(1, &calls(5)).is_none());
        assert_eq!(told.add(0, &calls(2)).unwrap().calls, 3);
        let rest = told
            .rest()
            .into_iter()
            .map(|(tick, part)| (tick, part.calls));
        assert_eq!(rest.collect::<Vec<_>>(), [(1, 5)]);
    }
}
