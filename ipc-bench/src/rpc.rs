//! The service that is measured, and the calls to it.

#[expect(unreachable_pub, reason = "generated for a library, used in a binary")]
mod proto {
    include!(concat!(env!("OUT_DIR"), "/ipc.bench.rs"));
}

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use clap::ValueEnum;
use ipc::{Call, Client, Limits, Policy, Server, SocketPath, Status};
use serde::{Deserialize, Serialize};
use tokio::runtime::{Builder, Runtime};

use self::proto::{Echo, EchoClient, EchoServer, Payload};
use crate::error::Error;
use crate::load::Meter;

/// Which of tokio's runtimes both sides use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub(crate) enum Flavor {
    /// One thread does all.
    CurrentThread,
    /// Two workers.
    MultiThread,
}

impl Flavor {
    /// As it is written on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::CurrentThread => "current_thread",
            Self::MultiThread => "multi_thread",
        }
    }

    pub(crate) fn build(self) -> Result<Runtime, Error> {
        let mut builder = match self {
            Self::CurrentThread => Builder::new_current_thread(),
            Self::MultiThread => Builder::new_multi_thread(),
        };
        builder
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(Error::io("the runtime cannot be built"))
    }
}

/// Answers with what it is given.
struct Same;

impl Echo for Same {
    async fn echo(&self, call: Call<Payload>) -> Result<Payload, Status> {
        Ok(call.body)
    }
}

/// Serves until `stop` is done.
pub(crate) async fn serve<F: Future>(
    path: &Path,
    ready: impl FnOnce() -> Result<(), Error>,
    stop: F,
) -> Result<(), Error> {
    let server = Server::builder(SocketPath::at(path)?)
        .service(EchoServer::new(Same))
        .limits(limits())
        .bind()?;
    ready()?;
    server.serve_until(stop).await?;
    Ok(())
}

/// Connects one client.
pub(crate) async fn connect(path: &Path, deadline: Option<Duration>) -> Result<Client, Error> {
    let mut builder = Client::builder(SocketPath::at(path)?)
        .trust(Policy::same_user())
        .limits(limits());
    if let Some(deadline) = deadline {
        builder = builder.deadline(deadline);
    }
    Ok(builder.connect().await?)
}

/// Calls until the meter says that it is enough.
pub(crate) async fn calls(client: Client, mut meter: Meter) -> Result<Meter, Error> {
    let echo = EchoClient::new(client);
    while meter.goes_on() {
        let data = meter.request();
        let payload = Payload { data: data.clone() };
        let begun = meter.begin();
        let reply = echo.echo(payload).await?;
        meter.end(begun.elapsed(), &data, &reply.data)?;
    }
    Ok(meter)
}

/// Makes one call.
pub(crate) async fn once(client: &Client, payload: usize) -> Result<(), Error> {
    let data = Bytes::from(vec![7; payload]);
    let echo = EchoClient::new(client.clone());
    let reply = echo.echo(Payload { data: data.clone() }).await?;
    if reply.data == data {
        Ok(())
    } else {
        Err(Error::Differs)
    }
}

/// The default bounds, but for more connections of one user.
fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_connections = 7_000;
    limits.max_connections_per_user = 7_000;
    limits
}
