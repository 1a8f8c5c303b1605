//! A connection for each call.

use std::thread;

use tokio::task::JoinSet;

use super::{REST, all};
use crate::clock::now;
use crate::error::Error;
use crate::load::Load;
use crate::meter::{Caller, same};
use crate::transport::{Async, Blocking, Client, Failure};
use crate::workload::Target;

/// A task for each connection that may be there at the same time.
pub(super) async fn tasks<T: Async>(load: Load) -> Result<(), Error> {
    let workload = load.workload;
    let callers = workload.connections * workload.in_flight;
    let run = load.control.begin(&workload, callers).await?;
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        let (caller, target) = (run.meter.caller(), load.target.clone());
        tasks.spawn(async move { connect::<T>(&target, caller).await });
    }
    all(&mut tasks).await?;
    run.end().await
}

async fn connect<T: Async>(target: &Target, mut caller: Caller) {
    loop {
        let request = caller.request();
        let Some(begun) = caller.begin().await else {
            return;
        };
        let reply = async {
            let client = T::connect(target).await?;
            let reply = client.echo(request.clone()).await?;
            Ok::<_, Failure>((now(), reply, client))
        };
        let (ended, outcome) = match reply.await {
            Ok((ended, reply, _client)) => (ended, same(&request, &reply)),
            Err(failure) => (now(), Err(failure)),
        };
        caller.end(begun, ended, &outcome);
        if outcome.is_err() {
            tokio::time::sleep(REST).await;
        }
    }
}

/// A thread for each connection that may be there at the same time.
pub(super) fn threads<T: Blocking>(load: Load) -> Result<(), Error> {
    let workload = load.workload;
    let callers = workload.connections * workload.in_flight;
    let run = load.control.begin_blocking(&workload, callers)?;
    thread::scope(|scope| {
        for _ in 0..callers {
            let caller = run.meter.caller();
            scope.spawn(|| connect_blocking::<T>(&load.target, caller));
        }
    });
    run.end_blocking()
}

fn connect_blocking<T: Blocking>(target: &Target, mut caller: Caller) {
    loop {
        let requests = [caller.request()];
        let Some(begun) = caller.begin_blocking() else {
            return;
        };
        let exchanged = || {
            let mut connection = T::connect(target)?;
            connection.prepare(&requests);
            connection.exchange()?;
            Ok::<_, Failure>(connection)
        };
        let exchanged = exchanged();
        let ended = now();
        let [request] = &requests;
        let outcome = exchanged.and_then(|connection| {
            let reply = connection.replies().next().unwrap_or_default();
            same(request, reply)
        });
        caller.end(begun, ended, &outcome);
        if outcome.is_err() {
            thread::sleep(REST);
        }
    }
}
