//! zbus without a bus: a D-Bus connection from process to process.

use ::zbus::connection::{Builder, Connection};
use ::zbus::{Guid, interface};
use bytes::Bytes;
use serde_bytes::ByteBuf;
use tokio::net::UnixStream;

use super::{Async, Client, Failure, accept};
use crate::error::Error;
use crate::serve::Serving;
use crate::workload::Target;

const OBJECT: &str = "/ipc/bench/peer";
const INTERFACE: &str = "ipc.bench.peer.Echo";

/// Answers with what it is given.
struct Same;

#[interface(name = "ipc.bench.peer.Echo")]
impl Same {
    async fn echo(&self, data: ByteBuf) -> ByteBuf {
        data
    }
}

/// zbus.
pub(super) struct Zbus;

impl Async for Zbus {
    type Client = Connection;

    async fn serve(serving: Serving) -> Result<(), Error> {
        accept::each(serving, answer).await
    }

    async fn connect(target: &Target) -> Result<Connection, Error> {
        let failed = || Error::io("the zbus connection failed");
        let stream = UnixStream::connect(&target.socket)
            .await
            .map_err(failed())?;
        let stream = stream.into_std().map_err(failed())?;
        let built = Builder::unix_stream(stream).p2p().build().await;
        built.map_err(Error::peer("zbus"))
    }
}

impl Client for Connection {
    async fn echo(&self, data: Bytes) -> Result<Bytes, Failure> {
        let body = &(serde_bytes::Bytes::new(&data),);
        let reply = self
            .call_method(None::<()>, OBJECT, Some(INTERFACE), "Echo", body)
            .await?;
        let data = reply.body().deserialize::<ByteBuf>()?;
        Ok(data.into_vec().into())
    }
}

impl From<::zbus::Error> for Failure {
    fn from(error: ::zbus::Error) -> Self {
        let status = match &error {
            ::zbus::Error::MethodError(name, ..) => name.as_str(),
            ::zbus::Error::InputOutput(_) => "UNAVAILABLE",
            _ => "INTERNAL",
        };
        Self::new(status, "MayHaveRun")
    }
}

/// Serves one connection until its client has gone.
async fn answer(stream: UnixStream) -> Result<(), Error> {
    let stream = stream
        .into_std()
        .map_err(Error::io("the zbus connection failed"))?;
    let builder = Builder::unix_stream(stream).server(Guid::generate()).p2p();
    let built = builder.serve_at(OBJECT, Same).build().await;
    let connection = built.map_err(Error::peer("zbus"))?;
    connection.closed().await;
    Ok(())
}
