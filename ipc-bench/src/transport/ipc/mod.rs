//! This crate.

mod blocking;
mod handlers;

pub(super) use self::blocking::IpcBlocking;

use std::time::Duration;

use bytes::Bytes;
use ipc::{Limits, Policy, Server, SocketPath};

use self::handlers::Same;
use super::{Async, Client, Failure};
use crate::error::Error;
use crate::meter::{Counts, Part};
use crate::proto::{
    CrowdClient, CrowdServer, EchoClient, EchoServer, Order, Payload, ShapesClient, ShapesServer,
    Wanted,
};
use crate::serve::Serving;
use crate::workload::{Scenario, Target, Workload};

/// This crate, asynchronous; on both sides either with busy polling or without.
pub(crate) struct Tasks<const BUSY_POLL: bool>;

pub(crate) type Ipc = Tasks<false>;
pub(crate) type IpcBusyPoll = Tasks<true>;

impl<const BUSY_POLL: bool> Async for Tasks<BUSY_POLL> {
    type Client = Connection;

    fn supports(_: Scenario) -> bool {
        true
    }

    async fn serve(serving: Serving) -> Result<(), Error> {
        let mut server = Server::builder(SocketPath::at(&serving.socket)?)
            .service(EchoServer::new(Same))
            .service(CrowdServer::new(Same))
            .service(ShapesServer::new(Same))
            .limits(limits(serving.connections, BUSY_POLL));
        if serving.crowd {
            server = server.allow(Policy::any_user()).mode(0o666);
        }
        let server = server.bind()?;
        let stopped = serving.listens()?;
        server.serve_until(stopped).await?;
        Ok(())
    }

    async fn connect(target: &Target) -> Result<Connection, Error> {
        let mut builder =
            ipc::Client::builder(SocketPath::at(&target.socket)?).limits(limits(1, BUSY_POLL));
        if let Some(deadline) = target.deadline {
            builder = builder.deadline(deadline);
        }
        if target.serves {
            builder = builder.service(EchoServer::new(Same));
        }
        Ok(Connection::new(builder.connect().await?, target.crowd))
    }
}

/// One connection.
#[derive(Clone)]
pub(crate) struct Connection {
    echo: Echoing,
    shapes: ShapesClient,
}

/// Which echo to call.
#[derive(Clone)]
enum Echoing {
    /// That for the server's own user, access checked.
    User(EchoClient),
    /// That for anybody.
    Crowd(CrowdClient),
}

impl Connection {
    fn new(client: ipc::Client, crowd: bool) -> Self {
        Self {
            shapes: ShapesClient::new(client.clone()),
            echo: if crowd {
                Echoing::Crowd(CrowdClient::new(client))
            } else {
                Echoing::User(EchoClient::new(client))
            },
        }
    }
}

impl Client for Connection {
    async fn echo(&self, data: Bytes) -> Result<Bytes, Failure> {
        let payload = Payload { data };
        let reply = match &self.echo {
            Echoing::User(client) => client.echo(payload).await?,
            Echoing::Crowd(client) => client.echo(payload).await?,
        };
        Ok(reply.data)
    }

    async fn note(&self, data: Bytes) -> Result<(), Failure> {
        Ok(self.shapes.note(Payload { data }).await?)
    }

    async fn download(
        &self,
        payload: usize,
        mut each: impl FnMut(&[u8]) -> bool + Send,
    ) -> Result<(), Failure> {
        let payload = u32::try_from(payload).unwrap_or(u32::MAX);
        let mut payloads = self.shapes.download(Wanted { payload }).await?;
        while let Some(Payload { data }) = payloads.recv().await? {
            if !each(&data) {
                return Ok(());
            }
        }
        Err(Failure::new("ENDED", "MayHaveRun"))
    }

    async fn upload(&self, mut next: impl FnMut() -> Option<Bytes> + Send) -> Result<u64, Failure> {
        // The deadline is one for each call; this is one call for as long as it is measured.
        let upload = self.shapes.upload().deadline(LONG).await?;
        while let Some(data) = next() {
            upload.send(Payload { data }).await?;
        }
        Ok(upload.finish().await?.bytes)
    }

    async fn chat(
        &self,
        mut step: impl FnMut(Option<Bytes>) -> Option<Bytes> + Send,
    ) -> Result<(), Failure> {
        let (out, mut back) = self.shapes.chat().await?;
        let mut next = step(None);
        while let Some(data) = next {
            out.send(Payload { data }).await?;
            let Some(reply) = back.recv().await? else {
                return Err(Failure::new("ENDED", "MayHaveRun"));
            };
            next = step(Some(reply.data));
        }
        Ok(())
    }

    async fn reverse(
        &self,
        workload: &Workload,
        mut counted: impl FnMut(&Part) + Send,
    ) -> Result<(), Failure> {
        let unreadable = |_| Failure::new("UNREADABLE", "MayHaveRun");
        let workload = serde_json::to_string(workload).map_err(unreadable)?;
        let mut told = self.shapes.reverse(Order { workload }).await?;
        while let Some(one) = told.recv().await? {
            let counts = serde_json::from_str::<Counts>(&one.counts).map_err(unreadable)?;
            counted(&counts.into());
        }
        Ok(())
    }
}

impl From<ipc::Error> for Failure {
    fn from(error: ipc::Error) -> Self {
        Self::of_variant(error.code(), format!("{:?}", error.outcome()))
    }
}

/// The default bounds, but for as many connections as will come.
fn limits(connections: u32, busy_poll: bool) -> Limits {
    let mut limits = Limits::default();
    limits.busy_poll = busy_poll.then_some(BUSY_POLL);
    let wanted = connections.saturating_add(SPARE);
    limits.max_connections = limits.max_connections.max(wanted);
    limits.max_connections_per_user = limits.max_connections_per_user.max(wanted);
    limits
}

/// How long to look at a socket before sleeping, where that is asked for.
const BUSY_POLL: Duration = Duration::from_micros(20);
/// Connections that are on their way out while others come.
const SPARE: u32 = 64;
/// The deadline of a stream that ends with the measurement.
const LONG: Duration = Duration::from_secs(86_400);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failure_has_the_name_of_its_status_and_its_outcome() {
        let folder = tempfile::tempdir().unwrap();
        let nobody = ipc::Client::builder(SocketPath::at(folder.path().join("s")).unwrap())
            .connect_within(Duration::ZERO);
        let failure = Failure::from(nobody.connect().await.unwrap_err());
        assert_eq!(failure.to_string(), "UNAVAILABLE/NotSent");
    }
}
