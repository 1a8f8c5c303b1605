//! tonic over a Unix socket: generated code, `bytes` fields, large windows.

use std::iter;

use ::tonic::transport::{Channel, Endpoint, Server, Uri};
use ::tonic::{Request, Response, Status};
use bytes::Bytes;
use futures_util::stream;
use hyper_util::rt::TokioIo;
use tokio::net::{UnixListener, UnixStream};
use tokio_stream::wrappers::UnixListenerStream;

use self::proto::echo_client::EchoClient;
use self::proto::echo_server::{Echo, EchoServer};
use self::proto::{Payload, Wanted};
use super::{Async, Client, Failure};
use crate::error::Error;
use crate::serve::Serving;
use crate::workload::{Scenario, Target};

#[expect(
    unreachable_pub,
    unused_qualifications,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::excessive_nesting,
    clippy::too_many_lines,
    reason = "generated for a library, used in a binary"
)]
mod proto {
    include!(concat!(env!("OUT_DIR"), "/ipc.bench.peer.rs"));
}

/// Flow-control window of a stream and of a connection, in bytes. HTTP/2 begins with 64 KiB, which
/// makes a message of 1 MiB wait for the other side 16 times.
const WINDOW: u32 = 16 << 20;
/// Largest HTTP/2 frame, in bytes.
const FRAME: u32 = 1 << 20;
/// Calls in flight on one connection.
const STREAMS: u32 = 4_096;

/// The same one without end.
type Payloads = iter::Repeat<Result<Payload, Status>>;

/// Answers with what it is given.
struct Same;

#[::tonic::async_trait]
impl Echo for Same {
    async fn echo(&self, request: Request<Payload>) -> Result<Response<Payload>, Status> {
        Ok(Response::new(request.into_inner()))
    }

    type DownloadStream = stream::Iter<Payloads>;

    async fn download(
        &self,
        request: Request<Wanted>,
    ) -> Result<Response<Self::DownloadStream>, Status> {
        let len = usize::try_from(request.into_inner().payload);
        let data = Bytes::from(vec![0; len.unwrap_or(usize::MAX)]);
        Ok(Response::new(stream::iter(iter::repeat(Ok(Payload {
            data,
        })))))
    }
}

/// tonic.
pub(super) struct Tonic;

impl Async for Tonic {
    type Client = EchoClient<Channel>;

    fn supports(scenario: Scenario) -> bool {
        !matches!(
            scenario,
            Scenario::OneWay | Scenario::ClientStream | Scenario::BidiStream | Scenario::Reverse
        )
    }

    async fn serve(serving: Serving) -> Result<(), Error> {
        let listener = UnixListener::bind(&serving.socket)
            .map_err(Error::io("the tonic server cannot bind"))?;
        let stopped = serving.listens()?;
        let service = EchoServer::new(Same)
            .max_decoding_message_size(usize::MAX)
            .max_encoding_message_size(usize::MAX);
        Server::builder()
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .max_frame_size(FRAME)
            .max_concurrent_streams(STREAMS)
            .add_service(service)
            .serve_with_incoming_shutdown(UnixListenerStream::new(listener), async {
                stopped.await.ok();
            })
            .await
            .map_err(Error::peer("tonic"))
    }

    async fn connect(target: &Target) -> Result<Self::Client, Error> {
        let path = target.socket.clone();
        let connector = tower::service_fn(move |_: Uri| {
            let path = path.clone();
            async move { UnixStream::connect(path).await.map(TokioIo::new) }
        });
        // The address only names the authority of the requests.
        let channel = Endpoint::from_static("http://localhost")
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .max_frame_size(FRAME)
            .connect_with_connector(connector)
            .await
            .map_err(Error::peer("tonic"))?;
        let client = EchoClient::new(channel)
            .max_decoding_message_size(usize::MAX)
            .max_encoding_message_size(usize::MAX);
        Ok(client)
    }
}

impl Client for EchoClient<Channel> {
    async fn echo(&self, data: Bytes) -> Result<Bytes, Failure> {
        let reply = Self::echo(&mut self.clone(), Payload { data }).await?;
        Ok(reply.into_inner().data)
    }

    async fn download(
        &self,
        payload: usize,
        mut each: impl FnMut(&[u8]) -> bool + Send,
    ) -> Result<(), Failure> {
        let payload = u32::try_from(payload).unwrap_or(u32::MAX);
        let payloads = Self::download(&mut self.clone(), Wanted { payload }).await?;
        let mut payloads = payloads.into_inner();
        while let Some(Payload { data }) = payloads.message().await? {
            if !each(&data) {
                return Ok(());
            }
        }
        Err(Failure::new("ENDED", "MayHaveRun"))
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::of_variant(status.code(), "MayHaveRun")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_written_as_it_is_for_others() {
        let failure = Failure::from(Status::deadline_exceeded("too late"));
        assert_eq!(failure.to_string(), "DEADLINE_EXCEEDED/MayHaveRun");
    }
}
