//! tarpc over its Unix transport, with bincode.

use ::tarpc::client::{self, RpcError};
use ::tarpc::server::{Channel, Config};
use ::tarpc::{context, serde_transport};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use tokio::task::JoinSet;
use tokio_serde::formats::Bincode;

use self::service::{Echo as _, EchoClient};
use super::{Async, Client, Failure};
use crate::error::Error;
use crate::serve::Serving;
use crate::workload::Target;

mod service {
    use bytes::Bytes;

    #[::tarpc::service]
    pub(crate) trait Echo {
        /// Answers with what it is given.
        async fn echo(data: Bytes) -> Bytes;
    }
}

/// Calls that may wait in a queue of either side; the default of 100 is below what is measured.
const QUEUED: usize = 1_024;
/// Largest message, in bytes; the default is 8 MiB.
const LARGEST: usize = 64 << 20;

/// Answers with what it is given.
#[derive(Clone)]
struct Same;

impl service::Echo for Same {
    async fn echo(self, _: context::Context, data: Bytes) -> Bytes {
        data
    }
}

/// tarpc.
pub(super) struct Tarpc;

impl Async for Tarpc {
    type Client = EchoClient;

    async fn serve(serving: Serving) -> Result<(), Error> {
        let mut listener = serde_transport::unix::listen(&serving.socket, Bincode::default)
            .await
            .map_err(Error::io("the tarpc server cannot bind"))?;
        listener.config_mut().max_frame_length(LARGEST);
        let mut stopped = serving.listens()?;
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                _ = &mut stopped => return Ok(()),
                Some(accepted) = listener.next() => {
                    let transport = accepted.map_err(Error::io("the tarpc server cannot accept"))?;
                    let config = Config { pending_response_buffer: QUEUED };
                    connections.spawn(answer(config.channel(transport).execute(Same.serve())));
                }
                Some(done) = connections.join_next() => done.map_err(Error::peer("tarpc"))?,
            }
        }
    }

    async fn connect(target: &Target) -> Result<EchoClient, Error> {
        let mut connecting = serde_transport::unix::connect(&target.socket, Bincode::default);
        connecting.config_mut().max_frame_length(LARGEST);
        let transport = connecting.await.map_err(Error::peer("tarpc"))?;
        let mut config = client::Config::default();
        config.pending_request_buffer = QUEUED;
        config.max_in_flight_requests = QUEUED;
        Ok(EchoClient::new(config, transport).spawn())
    }
}

impl Client for EchoClient {
    async fn echo(&self, data: Bytes) -> Result<Bytes, Failure> {
        Ok(Self::echo(self, context::current(), data).await?)
    }
}

impl From<RpcError> for Failure {
    fn from(error: RpcError) -> Self {
        let status = match error {
            RpcError::Shutdown | RpcError::Channel(_) => "UNAVAILABLE",
            RpcError::DeadlineExceeded => "DEADLINE_EXCEEDED",
            RpcError::Send(_) | RpcError::Server(_) => "INTERNAL",
        };
        Self::new(status, "MayHaveRun")
    }
}

/// Each request in a task of its own, as tarpc's documentation has it.
#[expect(
    clippy::disallowed_methods,
    reason = "tarpc's users spawn so; its tasks end with their connection"
)]
async fn answer<R>(requests: impl Stream<Item = R>)
where
    R: Future<Output = ()> + Send + 'static,
{
    let each = requests.for_each(|request| async {
        drop(tokio::spawn(request));
    });
    each.await;
}
