//! This crate.

mod blocking;
mod handlers;

pub(super) use self::blocking::IpcBlocking;

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use ipc::{Limits, Policy, Server, SocketPath};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use self::handlers::Same;
use super::{Async, Client, Failure};
use crate::error::Error;
use crate::machine::most_seats;
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
        let bind = |socket: &PathBuf| Self::bind(&serving, socket);
        let server = bind(&serving.socket)?;
        let further = serving.further.iter().map(bind);
        let further = further.collect::<Result<Vec<_>, Error>>()?;
        let stopped = serving.listens()?;
        let (mut tasks, mut stops) = (JoinSet::new(), Vec::new());
        for server in further {
            let (stop, stopped) = oneshot::channel::<()>();
            stops.push(stop);
            tasks.spawn(server.serve_until(stopped));
        }
        server.serve_until(stopped).await?;
        drop(stops);
        while let Some(served) = tasks.join_next().await {
            served.map_err(Error::Task)??;
        }
        Ok(())
    }

    async fn connect(target: &Target) -> Result<Connection, Error> {
        let mut builder =
            ipc::Client::builder(SocketPath::at(&target.socket)?).limits(limits(BUSY_POLL));
        if let Some(deadline) = target.deadline {
            builder = builder.deadline(deadline);
        }
        if target.serves {
            builder = builder.service(EchoServer::new(Same));
        }
        Ok(Connection::new(builder.connect().await?, target.crowd))
    }
}

impl<const BUSY_POLL: bool> Tasks<BUSY_POLL> {
    fn bind(serving: &Serving, socket: &Path) -> Result<Server, Error> {
        let limits = with_seats(limits(BUSY_POLL), serving.connections, serving.descriptors);
        let mut server = Server::builder(SocketPath::at(socket)?)
            .service(EchoServer::new(Same))
            .service(CrowdServer::new(Same))
            .service(ShapesServer::new(Same))
            .limits(limits);
        if serving.crowd {
            server = server.allow(Policy::any_user()).mode(0o666);
        }
        Ok(server.bind()?)
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
        mut counted: impl FnMut(Option<usize>, &Part) + Send,
    ) -> Result<(), Failure> {
        let unreadable = |_| Failure::new("UNREADABLE", "MayHaveRun");
        let workload = serde_json::to_string(workload).map_err(unreadable)?;
        let mut told = self.shapes.reverse(Order { workload }).await?;
        while let Some(one) = told.recv().await? {
            let told = serde_json::from_str::<(Option<usize>, Counts)>(&one.counts);
            let (tick, counts) = told.map_err(unreadable)?;
            counted(tick, &counts.into());
        }
        Ok(())
    }
}

impl From<ipc::Error> for Failure {
    fn from(error: ipc::Error) -> Self {
        Self::of_variant(error.code(), format!("{:?}", error.outcome()))
    }
}

/// The default bounds, with busy polling or without.
fn limits(busy_poll: bool) -> Limits {
    let mut limits = Limits::default();
    limits.busy_poll = busy_poll.then_some(BUSY_POLL);
    limits
}

/// The same for as many connections as will come. The bound is lowered to what the descriptors
/// allow: a server that has to do that itself leaves a part of it to other users, and here all
/// connections may be of one, who gets three quarters of them.
fn with_seats(mut limits: Limits, connections: u32, descriptors: u64) -> Limits {
    let most = u32::try_from(most_seats(descriptors)).unwrap_or(u32::MAX);
    let wanted = connections.saturating_add(SPARE).min(most);
    let in_all = wanted.saturating_add(wanted / 3 + 1).min(most);
    limits.max_connections = limits.max_connections.min(most).max(in_all);
    limits.max_connections_per_user = limits.max_connections_per_user.max(wanted);
    limits
}

/// How long to look at a socket before sleeping, where that is asked for: longer than this kind of machine
/// takes to wake the peer, and what Linux recommends for its `net.core.busy_read`.
const BUSY_POLL: Duration = Duration::from_micros(50);
/// Connections that are on their way out while others come.
const SPARE: u32 = 64;
/// The deadline of a stream that ends with the measurement.
const LONG: Duration = Duration::from_secs(86_400);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_descriptors_are_few_one_user_has_all_seats() {
        let seats = |connections, descriptors| {
            let limits = with_seats(Limits::default(), connections, descriptors);
            (limits.max_connections, limits.max_connections_per_user)
        };
        assert_eq!(seats(1, 65_536), (4_096, 1_024));
        assert_eq!(seats(3_000, 65_536), (4_096, 3_064));
        assert_eq!(seats(4_000, 65_536), (5_419, 4_064));
        assert_eq!(seats(4_872, 20_000), (5_000, 4_936));
        // A server lowers nothing by itself that is within a quarter of the descriptors.
        assert_eq!(seats(2_432, 10_240), (2_560, 2_496));
        assert_eq!(seats(47, 700), (175, 1_024));
        assert_eq!(seats(6_000, 20_000), (5_000, 5_000));
    }

    #[tokio::test]
    async fn a_failure_has_the_name_of_its_status_and_its_outcome() {
        let folder = tempfile::tempdir().unwrap();
        let nobody = ipc::Client::builder(SocketPath::at(folder.path().join("s")).unwrap())
            .connect_within(Duration::ZERO);
        let failure = Failure::from(nobody.connect().await.unwrap_err());
        assert_eq!(failure.to_string(), "UNAVAILABLE/NotSent");
    }
}
