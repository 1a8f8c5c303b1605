//! One message each way.

use std::future::Future;
use std::thread;

use tokio::task::JoinSet;

use super::{REST, all, connect};
use crate::clock::now;
use crate::error::Error;
use crate::load::Load;
use crate::meter::{Caller, same};
use crate::transport::{Async, Blocking, Client};

/// A task for each call that may be in flight.
pub(super) async fn tasks<T, F, Fut>(load: Load, each: F) -> Result<(), Error>
where
    T: Async,
    F: Fn(T::Client, Caller) -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    let workload = load.workload;
    let clients = connect::<T>(workload.connections, &load.target).await?;
    let callers = workload.connections * workload.in_flight;
    let run = load.control.begin(&workload, callers).await?;
    let mut tasks = JoinSet::new();
    for client in &clients {
        for _ in 0..workload.in_flight {
            tasks.spawn(each(client.clone(), run.meter.caller()));
        }
    }
    all(&mut tasks).await?;
    run.end().await
}

/// Calls until it is enough.
pub(super) async fn echo<C: Client>(client: C, mut caller: Caller) {
    loop {
        let request = caller.request();
        let sent = request.clone();
        let Some(begun) = caller.begin().await else {
            return;
        };
        let reply = client.echo(sent).await;
        let ended = now();
        let outcome = reply.and_then(|reply| same(&request, &reply));
        caller.end(begun, ended, &outcome);
        if outcome.is_err() {
            tokio::time::sleep(REST).await;
        }
    }
}

/// Calls that are not answered, until it is enough.
pub(super) async fn note<C: Client>(client: C, mut caller: Caller) {
    loop {
        let request = caller.request();
        let Some(begun) = caller.begin().await else {
            return;
        };
        let len = request.len();
        let outcome = client.note(request).await.map(|()| len);
        caller.end(begun, now(), &outcome);
        if outcome.is_err() {
            tokio::time::sleep(REST).await;
        }
    }
}

/// A thread for each connection.
pub(super) fn threads<T: Blocking>(load: Load) -> Result<(), Error> {
    let workload = load.workload;
    let window = T::window(workload.in_flight)?;
    if window > 1 && workload.rate.is_some() {
        return Err(Error::Unsupported("a rate with a window of calls"));
    }
    let connections = (0..workload.connections).map(|_| T::connect(&load.target));
    let mut connections = connections.collect::<Result<Vec<_>, _>>()?;
    let run = load
        .control
        .begin_blocking(&workload, connections.len() * window)?;
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
