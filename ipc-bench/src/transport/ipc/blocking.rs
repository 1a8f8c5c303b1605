//! This crate's client without a runtime.

use bytes::Bytes;
use ipc::{SocketPath, blocking};

use crate::error::Error;
use crate::proto::{EchoBlockingClient, Payload};
use crate::transport::{Blocking, Failure};
use crate::workload::Target;

/// One connection, which makes one call at a time.
pub(in crate::transport) struct IpcBlocking {
    client: EchoBlockingClient,
    request: Payload,
    reply: Bytes,
}

impl Blocking for IpcBlocking {
    fn window(wanted: usize) -> Result<usize, Error> {
        match wanted {
            1 => Ok(1),
            _ => Err(Error::Unsupported(
                "a blocking client with several calls in flight",
            )),
        }
    }

    fn connect(target: &Target) -> Result<Self, Error> {
        let mut builder = blocking::Client::builder(SocketPath::at(&target.socket)?);
        if let Some(deadline) = target.deadline {
            builder = builder.deadline(deadline);
        }
        if target.crowd {
            return Err(Error::Unsupported("a blocking client under another user"));
        }
        Ok(Self {
            client: EchoBlockingClient::new(builder.connect()?),
            request: Payload::default(),
            reply: Bytes::new(),
        })
    }

    fn prepare(&mut self, requests: &[Bytes]) {
        self.request.data = requests.first().cloned().unwrap_or_default();
    }

    fn exchange(&mut self) -> Result<(), Failure> {
        let request = std::mem::take(&mut self.request);
        self.reply = self.client.echo(request).send()?.data;
        Ok(())
    }

    fn replies(&self) -> impl Iterator<Item = &[u8]> {
        std::iter::once(&*self.reply)
    }
}
