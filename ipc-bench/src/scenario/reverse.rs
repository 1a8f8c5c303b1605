//! Calls that a server makes to its clients.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{REST, all, calls, connect};
use crate::clock::now;
use crate::error::Error;
use crate::load::{Load, ticks};
use crate::meter::{Caller, Counts, Meter, Part};
use crate::transport::{Async, Client};
use crate::workload::Workload;

/// Has the server call each connection.
pub(super) async fn tasks<T: Async>(load: Load) -> Result<(), Error> {
    let workload = load.workload;
    let clients = connect::<T>(workload.connections, &load.target).await?;
    let run = load.control.begin(&workload, workload.connections).await?;
    let mut tasks = JoinSet::new();
    for (index, client) in clients.iter().enumerate() {
        let (client, share) = (client.clone(), workload.share(index, workload.connections));
        tasks.spawn(order(client, share, run.meter.caller()));
    }
    all(&mut tasks).await?;
    run.end().await
}

async fn order<C: Client>(client: C, share: Workload, caller: Caller) {
    let counted = |part: &Part| caller.add(part);
    if let Err(failure) = client.reverse(&share, counted).await {
        caller.failed(&failure);
        tokio::time::sleep(REST).await;
    }
}

/// The calls of a server to one client, while they are made.
pub(crate) struct Driven {
    meter: Arc<Meter>,
    tasks: JoinSet<()>,
    tick: Duration,
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
    Driven {
        meter,
        tasks,
        tick: ticks(workload.amount.times().1).1,
        spare: Part::default(),
        over: false,
    }
}

impl Driven {
    /// What was counted in the next interval; none after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Counts>, Error> {
        if self.over {
            return Ok(None);
        }
        if let Ok(done) = timeout(self.tick, all(&mut self.tasks)).await {
            done?;
            self.over = true;
        }
        let mut part = Part::default();
        self.meter.take(&mut part, &mut self.spare);
        Ok(Some(part.counts()))
    }
}
