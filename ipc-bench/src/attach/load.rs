//! The calls of one client process to somebody's daemon.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ipc::{Client, Method};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::Place;
use super::encoded::Encoded;
use super::prepare::{method, open};
use crate::clock::now;
use crate::error::Error;
use crate::load::Load;
use crate::meter::{Caller, same};
use crate::transport::Failure;
use crate::workload::Flavor;

/// What each call to somebody's daemon is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Attached {
    pub(crate) place: Place,
    /// `package.Service/Method`.
    pub(crate) method: String,
    /// The file with the encoded request; a command line would not hold a large one.
    pub(crate) body: PathBuf,
    /// Whether the answer is the request.
    pub(crate) is_echo: bool,
    /// The process of the daemon, if this user may watch it.
    pub(crate) pid: Option<u32>,
    /// Calls after which a connection makes room for a new one; for one call in flight.
    pub(crate) stays: Option<u64>,
}

/// Makes the calls of one client process.
pub(crate) fn load(load: Load) -> Result<(), Error> {
    if load.workload.runtime == Flavor::Blocking {
        return Err(Error::Unsupported("attaching with the blocking client"));
    }
    load.workload.runtime.build()?.block_on(calls(load))
}

async fn calls(load: Load) -> Result<(), Error> {
    let Load {
        workload,
        target,
        control,
    } = load;
    let attached = workload.attached.as_ref();
    let attached = attached.ok_or(Error::Unsupported("attaching to nothing"))?;
    let call = Arc::new(Call::new(attached, target.deadline)?);
    let mut clients = Vec::with_capacity(workload.connections);
    for _ in 0..workload.connections {
        clients.push(call.connect().await?);
    }
    let callers = workload.connections * workload.in_flight;
    let run = control.begin(&workload, callers).await?;
    let mut tasks = JoinSet::new();
    for client in clients {
        for _ in 0..workload.in_flight {
            let agent = Agent {
                call: Arc::clone(&call),
                client: Some(client.clone()),
                // Not all connections make room at the same time.
                left: attached.stays.map(|stays| fastrand::u64(1..=stays)),
            };
            tasks.spawn(agent.run(run.meter.caller()));
        }
    }
    // Connections stay until memory has been weighed.
    let mut agents = Vec::with_capacity(callers);
    while let Some(done) = tasks.join_next().await {
        agents.push(done.map_err(Error::Task)?);
    }
    run.end().await?;
    drop(agents);
    Ok(())
}

/// A call that is made again and again.
struct Call {
    place: Place,
    deadline: Option<Duration>,
    method: &'static Method,
    body: Bytes,
    is_echo: bool,
    stays: Option<u64>,
}

impl Call {
    fn new(attached: &Attached, deadline: Option<Duration>) -> Result<Self, Error> {
        let body = fs::read(&attached.body).map_err(Error::io("the request cannot be read"))?;
        Ok(Self {
            place: attached.place.clone(),
            deadline,
            method: method(&attached.method),
            body: body.into(),
            is_echo: attached.is_echo,
            stays: attached.stays,
        })
    }

    async fn connect(&self) -> Result<Client, ipc::Error> {
        open(&self.place, self.deadline).await
    }

    /// The bytes that moved.
    async fn once(&self, client: &Client) -> Result<usize, Failure> {
        let request = Encoded(self.body.clone());
        let Encoded(reply) = client.unary(self.method, request).await?;
        if self.is_echo {
            return same(&self.body, &reply);
        }
        Ok(self.body.len() + reply.len())
    }
}

/// One of those who call.
struct Agent {
    call: Arc<Call>,
    /// None after it has left and could not come again.
    client: Option<Client>,
    /// Calls until it leaves.
    left: Option<u64>,
}

impl Agent {
    async fn run(mut self, mut caller: Caller) -> Self {
        while let Some(begun) = caller.begin().await {
            let outcome = self.once().await;
            caller.end(begun, now(), &outcome);
            if outcome.is_err() {
                tokio::time::sleep(REST).await;
            }
            self.leave_in_time().await;
        }
        self
    }

    async fn once(&mut self) -> Result<usize, Failure> {
        let client = match &mut self.client {
            Some(client) => client,
            none => none.insert(self.call.connect().await?),
        };
        self.call.once(client).await
    }

    /// Leaves after so many calls, and comes again at once; a failure to is that of its next call.
    async fn leave_in_time(&mut self) {
        let Some(left) = &mut self.left else { return };
        *left -= 1;
        if *left == 0 {
            self.left = self.call.stays;
            self.client = None;
            self.client = self.call.connect().await.ok();
        }
    }
}

/// After a failure: a lost connection would otherwise fail as fast as the processor can.
const REST: Duration = Duration::from_millis(1);
