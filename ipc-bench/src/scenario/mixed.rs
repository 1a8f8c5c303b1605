//! Unary calls beside something else that goes on for as long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::JoinSet;

use super::{REST, all, calls, connect};
use crate::error::Error;
use crate::load::{Load, Run};
use crate::meter::Caller;
use crate::transport::{Async, Client, Failure};
use crate::workload::{Target, Workload};

/// Calls beside a bulk stream for each connection: on that connection, or on one of its own.
pub(super) async fn bulk<T: Async>(load: Load, separate: bool) -> Result<(), Error> {
    let workload = load.workload;
    let clients = connect::<T>(workload.connections, &load.target).await?;
    let streams = if separate {
        connect::<T>(workload.connections, &load.target).await?
    } else {
        clients.clone()
    };
    let run = load.control.begin(&workload, callers(&workload)).await?;
    let (mut tasks, over) = (begin(&workload, &run, &clients), Over::default());
    let mut others = JoinSet::new();
    for client in streams {
        others.spawn(stream(client, run.meter.caller(), over.clone()));
    }
    all(&mut tasks).await?;
    over.say();
    all(&mut others).await?;
    run.end().await
}

/// Calls while other connections come and go.
pub(super) async fn churn<T: Async>(load: Load) -> Result<(), Error> {
    let workload = load.workload;
    let clients = connect::<T>(workload.connections, &load.target).await?;
    let run = load.control.begin(&workload, callers(&workload)).await?;
    let (mut tasks, over) = (begin(&workload, &run, &clients), Over::default());
    let mut others = JoinSet::new();
    for _ in 0..workload.passing() {
        let (target, caller, over) = (load.target.clone(), run.meter.caller(), over.clone());
        others.spawn(async move { come_and_go::<T>(&target, caller, over).await });
    }
    all(&mut tasks).await?;
    over.say();
    all(&mut others).await?;
    run.end().await
}

const fn callers(workload: &Workload) -> usize {
    workload.connections * workload.in_flight
}

/// The calls that are timed.
fn begin<C: Client>(workload: &Workload, run: &Run, clients: &[C]) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for client in clients {
        for _ in 0..workload.in_flight {
            tasks.spawn(calls::echo(client.clone(), run.meter.caller()));
        }
    }
    tasks
}

/// Whether the calls that are timed are over.
#[derive(Clone, Debug, Default)]
struct Over(Arc<AtomicBool>);

impl Over {
    fn say(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn said(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Receives large messages. They are not calls; their bytes count.
async fn stream<C: Client>(client: C, caller: Caller, over: Over) {
    while !over.said() {
        let each = |data: &[u8]| {
            caller.moved(data.len());
            !over.said()
        };
        if let Err(failure) = client.download(BULK, each).await {
            caller.failed(&failure);
            tokio::time::sleep(REST).await;
        }
    }
}

/// Connects, makes a call, leaves, and comes back.
async fn come_and_go<T: Async>(target: &Target, mut caller: Caller, over: Over) {
    while !over.said() {
        let request = caller.request();
        let called = async {
            let client = T::connect(target).await?;
            client.echo(request).await?;
            Ok::<_, Failure>(())
        };
        if let Err(failure) = called.await {
            caller.failed(&failure);
            tokio::time::sleep(REST).await;
        }
    }
}

/// Bytes of a message of a bulk stream.
const BULK: usize = 1 << 20;
