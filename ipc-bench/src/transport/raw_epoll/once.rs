//! A connection for a single call.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use bytes::Bytes;

use crate::error::Error;
use crate::transport::frame::{PREFIX, put};
use crate::transport::{Blocking, Failure};
use crate::workload::Target;

/// Connects, writes, reads, and allocates no more than that needs.
pub(super) struct Once {
    stream: UnixStream,
    out: Vec<u8>,
    reply: Vec<u8>,
}

impl Blocking for Once {
    fn window(wanted: usize) -> Result<usize, Error> {
        match wanted {
            1 => Ok(1),
            _ => Err(Error::Unsupported("several calls on a connection for one")),
        }
    }

    fn connect(target: &Target) -> Result<Self, Error> {
        let failed = Error::io("the raw client cannot connect");
        Ok(Self {
            stream: UnixStream::connect(&target.socket).map_err(failed)?,
            out: Vec::new(),
            reply: Vec::new(),
        })
    }

    fn prepare(&mut self, requests: &[Bytes]) {
        self.out.clear();
        for request in requests {
            put(&mut self.out, request);
        }
        self.reply.resize(self.out.len(), 0);
    }

    fn exchange(&mut self) -> Result<(), Failure> {
        self.stream.write_all(&self.out)?;
        Ok(self.stream.read_exact(&mut self.reply)?)
    }

    fn replies(&self) -> impl Iterator<Item = &[u8]> {
        std::iter::once(self.reply.get(PREFIX..).unwrap_or_default())
    }
}
