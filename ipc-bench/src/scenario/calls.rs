//! One message each way.

use std::thread;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::clock::now;
use crate::error::Error;
use crate::load::Load;
use crate::meter::{Caller, same};
use crate::transport::{Async, Blocking, Client};
use crate::workload::{Target, Workload};

/// A task for each call that may be in flight.
pub(super) async fn tasks<T: Async>(load: Load) -> Result<(), Error> {
    let Load {
        workload,
        target,
        control,
    } = load;
    let clients = connect::<T>(&workload, &target).await?;
    let callers = workload.connections * workload.in_flight;
    let run = control.begin(&workload, callers).await?;
    let mut tasks = JoinSet::new();
    for client in &clients {
        for _ in 0..workload.in_flight {
            tasks.spawn(echo(client.clone(), run.meter.caller()));
        }
    }
    all(tasks).await?;
    run.end().await
}

/// Calls until it is enough.
pub(super) async fn echo<C: Client>(client: C, mut caller: Caller) {
    loop {
        let request = caller.request();
        let Some(begun) = caller.begin().await else {
            return;
        };
        let reply = client.echo(request.clone()).await;
        let ended = now();
        let outcome = reply.and_then(|reply| same(&request, &reply));
        caller.end(begun, ended, &outcome);
        if outcome.is_err() {
            tokio::time::sleep(REST).await;
        }
    }
}

/// A thread for each connection.
pub(super) fn threads<T: Blocking>(load: Load) -> Result<(), Error> {
    let Load {
        workload,
        target,
        control,
    } = load;
    let window = T::window(workload.in_flight)?;
    let connections = (0..workload.connections).map(|_| T::connect(&target));
    let mut connections = connections.collect::<Result<Vec<_>, _>>()?;
    let run = control.begin_blocking(&workload, connections.len() * window)?;
    thread::scope(|scope| {
        for connection in &mut connections {
            let caller = run.meter.caller();
            scope.spawn(move || exchange(connection, caller, window));
        }
    });
    run.end_blocking()
}

/// Exchanges windows until it is enough.
fn exchange<T: Blocking>(connection: &mut T, mut caller: Caller, window: usize) {
    loop {
        let requests = (0..window).map(|_| caller.request()).collect::<Vec<_>>();
        connection.prepare(&requests);
        let Some(begun) = caller.begin_blocking() else {
            return;
        };
        let exchanged = connection.exchange();
        let ended = now();
        if let Err(failure) = exchanged {
            for _ in requests {
                caller.end(begun, ended, &Err(failure.clone()));
            }
            thread::sleep(REST);
            continue;
        }
        for (request, reply) in requests.iter().zip(connection.replies()) {
            caller.end(begun, ended, &same(request, reply));
        }
    }
}

/// All connections of this process.
pub(super) async fn connect<T: Async>(
    workload: &Workload,
    target: &Target,
) -> Result<Vec<T::Client>, Error> {
    let mut clients = Vec::with_capacity(workload.connections);
    for _ in 0..workload.connections {
        clients.push(T::connect(target).await?);
    }
    Ok(clients)
}

/// Waits for all tasks.
pub(super) async fn all(mut tasks: JoinSet<()>) -> Result<(), Error> {
    while let Some(done) = tasks.join_next().await {
        done.map_err(Error::Task)?;
    }
    Ok(())
}

/// After a failure: a lost connection would otherwise fail as fast as the processor can.
const REST: Duration = Duration::from_millis(1);
