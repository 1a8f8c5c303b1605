//! A bare `UnixStream` of tokio: 4 bytes of length, one write, one read.

use std::io;
use std::sync::Arc;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::Mutex;

use super::frame::{PREFIX, frame_len, put};
use super::{Async, Client, Failure, accept};
use crate::error::Error;
use crate::serve::Serving;
use crate::workload::Target;

/// A task per connection, and nothing else.
pub(super) struct TokioRaw;

impl Async for TokioRaw {
    type Client = Line;

    async fn serve(serving: Serving) -> Result<(), Error> {
        accept::each(serving, |stream| async {
            // A client that goes in the middle of a frame ends its connection only.
            answer(Framed::new(stream)).await.ok();
            Ok(())
        })
        .await
    }

    async fn connect(target: &Target) -> Result<Line, Error> {
        let stream = UnixStream::connect(&target.socket)
            .await
            .map_err(Error::io("the raw tokio client cannot connect"))?;
        Ok(Line(Arc::new(Mutex::new(Framed::new(stream)))))
    }
}

/// One connection, which makes one call at a time.
#[derive(Clone)]
pub(super) struct Line(Arc<Mutex<Framed>>);

impl Client for Line {
    async fn echo(&self, data: Bytes) -> Result<Bytes, Failure> {
        let mut framed = self.0.lock().await;
        framed.write(&data).await?;
        let reply = framed.read().await?;
        Ok(reply
            .ok_or(io::ErrorKind::UnexpectedEof)
            .map_err(io::Error::from)?)
    }
}

async fn answer(mut framed: Framed) -> io::Result<()> {
    while let Some(data) = framed.read().await? {
        framed.write(&data).await?;
    }
    Ok(())
}

struct Framed {
    stream: UnixStream,
    inbox: BytesMut,
    outbox: Vec<u8>,
}

impl Framed {
    fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            inbox: BytesMut::new(),
            outbox: Vec::new(),
        }
    }

    async fn write(&mut self, data: &[u8]) -> io::Result<()> {
        self.outbox.clear();
        put(&mut self.outbox, data);
        self.stream.write_all(&self.outbox).await
    }

    /// The next frame; none once the other side has gone.
    async fn read(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let len = frame_len(&self.inbox);
            if let Some(len) = len.filter(|len| *len <= self.inbox.len()) {
                let mut frame = self.inbox.split_to(len);
                frame.advance(PREFIX);
                return Ok(Some(frame.freeze()));
            }
            self.inbox.reserve(len.unwrap_or(ROOM).max(ROOM));
            if self.stream.read_buf(&mut self.inbox).await? == 0 {
                return Ok(None);
            }
        }
    }
}

/// Room for each read, in bytes.
const ROOM: usize = 8_192;
