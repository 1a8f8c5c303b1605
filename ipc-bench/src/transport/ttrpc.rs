//! ttrpc, asynchronous, with rust-protobuf: what its generator writes, for one method.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use ::ttrpc::asynchronous::{
    Client as Connection, ClientStreamReceiver, MethodHandler, Server, ServerStreamSender, Service,
    StreamHandler, StreamInner, TtrpcContext,
};
use ::ttrpc::{Request, Response, context};
use async_trait::async_trait;
use bytes::Bytes;
use protobuf::well_known_types::wrappers::{BytesValue, UInt32Value};

use super::{Async, Client, Failure};
use crate::error::Error;
use crate::serve::Serving;
use crate::workload::{Scenario, Target};

const SERVICE: &str = "ipc.bench.peer.Echo";

/// Answers with what it is given.
struct Same;

impl Same {
    async fn echo(&self, _: &TtrpcContext, request: BytesValue) -> ::ttrpc::Result<BytesValue> {
        Ok(request)
    }

    async fn download(
        &self,
        _: &TtrpcContext,
        wanted: UInt32Value,
        out: ServerStreamSender<BytesValue>,
    ) -> ::ttrpc::Result<()> {
        let mut payload = BytesValue::new();
        payload.value = vec![0; usize::try_from(wanted.value).unwrap_or(usize::MAX)];
        loop {
            out.send(&payload).await?;
        }
    }
}

struct EchoMethod {
    service: Same,
}

#[async_trait]
impl MethodHandler for EchoMethod {
    async fn handler(&self, ctx: TtrpcContext, request: Request) -> ::ttrpc::Result<Response> {
        ::ttrpc::async_request_handler!(self, ctx, request, BytesValue, echo);
    }
}

struct DownloadMethod {
    service: Same,
}

#[async_trait]
impl StreamHandler for DownloadMethod {
    async fn handler(
        &self,
        ctx: TtrpcContext,
        mut inner: StreamInner,
    ) -> ::ttrpc::Result<Option<Response>> {
        ::ttrpc::async_server_streamimg_handler!(self, ctx, inner, UInt32Value, download);
    }
}

/// ttrpc.
pub(super) struct Ttrpc;

impl Async for Ttrpc {
    type Client = EchoClient;

    fn supports(scenario: Scenario) -> bool {
        !matches!(
            scenario,
            Scenario::OneWay | Scenario::ClientStream | Scenario::BidiStream | Scenario::Reverse
        )
    }

    async fn serve(serving: Serving) -> Result<(), Error> {
        let method: Box<dyn MethodHandler + Send + Sync> = Box::new(EchoMethod { service: Same });
        let stream: Arc<dyn StreamHandler + Send + Sync> =
            Arc::new(DownloadMethod { service: Same });
        let service = Service {
            methods: HashMap::from([("Echo".to_owned(), method)]),
            streams: HashMap::from([("Download".to_owned(), stream)]),
        };
        let mut server = Server::new()
            .bind(&address(&serving.socket))
            .map_err(Error::peer("ttrpc"))?
            .register_service(HashMap::from([(SERVICE.to_owned(), service)]));
        server.start().await.map_err(Error::peer("ttrpc"))?;
        serving.listens()?.await.ok();
        server.shutdown().await.map_err(Error::peer("ttrpc"))
    }

    async fn connect(target: &Target) -> Result<EchoClient, Error> {
        let client = Connection::connect(&address(&target.socket)).await;
        Ok(EchoClient {
            client: client.map_err(Error::peer("ttrpc"))?,
        })
    }
}

/// One connection, shared by its clones.
#[derive(Clone)]
pub(super) struct EchoClient {
    client: Connection,
}

impl EchoClient {
    async fn call(
        &self,
        ctx: context::Context,
        request: &BytesValue,
    ) -> ::ttrpc::Result<BytesValue> {
        let mut reply = BytesValue::new();
        ::ttrpc::async_client_request!(self, ctx, request, SERVICE, "Echo", reply);
    }

    async fn receive(
        &self,
        ctx: context::Context,
        request: &UInt32Value,
    ) -> ::ttrpc::Result<ClientStreamReceiver<BytesValue>> {
        ::ttrpc::async_client_stream_receive!(self, ctx, request, SERVICE, "Download");
    }
}

impl Client for EchoClient {
    async fn echo(&self, data: Bytes) -> Result<Bytes, Failure> {
        let mut request = BytesValue::new();
        request.value = data.into();
        let reply = self.call(context::with_timeout(0), &request).await?;
        Ok(reply.value.into())
    }

    async fn download(
        &self,
        payload: usize,
        mut each: impl FnMut(&[u8]) -> bool + Send,
    ) -> Result<(), Failure> {
        let mut wanted = UInt32Value::new();
        wanted.value = u32::try_from(payload).unwrap_or(u32::MAX);
        let mut payloads = self.receive(context::with_timeout(0), &wanted).await?;
        while let Some(payload) = payloads.recv().await? {
            if !each(&payload.value) {
                return Ok(());
            }
        }
        Err(Failure::new("ENDED", "MayHaveRun"))
    }
}

impl From<::ttrpc::Error> for Failure {
    fn from(error: ::ttrpc::Error) -> Self {
        let status = match error {
            ::ttrpc::Error::RpcStatus(status) => format!("{:?}", status.code()),
            _ => "UNAVAILABLE".to_owned(),
        };
        Self::new(status, "MayHaveRun")
    }
}

fn address(path: &Path) -> String {
    format!("unix://{}", path.display())
}
