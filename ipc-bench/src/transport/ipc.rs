//! This crate, asynchronous.

use bytes::Bytes;
use ipc::{Call, Limits, Policy, Server, SocketPath, Status};

use super::{Async, Client, Failure};
use crate::error::Error;
use crate::proto::{Crowd, CrowdClient, CrowdServer, Echo, EchoClient, EchoServer, Payload};
use crate::serve::Serving;
use crate::workload::Target;

/// This crate.
pub(crate) struct Ipc;

impl Async for Ipc {
    type Client = Connection;

    async fn serve(serving: Serving) -> Result<(), Error> {
        let server = Server::builder(SocketPath::at(&serving.socket)?)
            .service(EchoServer::new(Same))
            .service(CrowdServer::new(Same))
            .limits(limits(serving.connections));
        let server = if serving.crowd {
            server.allow(Policy::any_user()).mode(0o666)
        } else {
            server
        };
        let server = server.bind()?;
        let stopped = serving.listens()?;
        server.serve_until(stopped).await?;
        Ok(())
    }

    async fn connect(target: &Target) -> Result<Connection, Error> {
        let mut builder =
            ipc::Client::builder(SocketPath::at(&target.socket)?).limits(Limits::default());
        if let Some(deadline) = target.deadline {
            builder = builder.deadline(deadline);
        }
        let client = builder.connect().await?;
        Ok(if target.crowd {
            Connection::Crowd(CrowdClient::new(client))
        } else {
            Connection::User(EchoClient::new(client))
        })
    }
}

/// One connection, by whom it was made.
#[derive(Clone)]
pub(crate) enum Connection {
    /// The server's own user.
    User(EchoClient),
    /// Anybody.
    Crowd(CrowdClient),
}

impl Client for Connection {
    async fn echo(&self, data: Bytes) -> Result<Bytes, Failure> {
        let payload = Payload { data };
        let reply = match self {
            Self::User(client) => client.echo(payload).await?,
            Self::Crowd(client) => client.echo(payload).await?,
        };
        Ok(reply.data)
    }
}

/// Answers with what it is given.
struct Same;

impl Echo for Same {
    async fn echo(&self, call: Call<Payload>) -> Result<Payload, Status> {
        Ok(call.body)
    }
}

impl Crowd for Same {
    async fn echo(&self, call: Call<Payload>) -> Result<Payload, Status> {
        Ok(call.body)
    }
}

impl From<ipc::Error> for Failure {
    fn from(error: ipc::Error) -> Self {
        let mut status = String::new();
        for (at, letter) in format!("{:?}", error.code()).char_indices() {
            if at > 0 && letter.is_ascii_uppercase() {
                status.push('_');
            }
            status.push(letter.to_ascii_uppercase());
        }
        Self::new(status, format!("{:?}", error.outcome()))
    }
}

/// The default bounds, but for as many connections as will come.
fn limits(connections: u32) -> Limits {
    let mut limits = Limits::default();
    let wanted = connections.saturating_add(SPARE);
    limits.max_connections = limits.max_connections.max(wanted);
    limits.max_connections_per_user = limits.max_connections_per_user.max(wanted);
    limits
}

/// Connections that are on their way out while others come.
const SPARE: u32 = 64;
