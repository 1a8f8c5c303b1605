//! The calls that are on their way on one connection.

use std::io;
use std::time::Instant;

use bytes::Bytes;
use mio::Registry;
use mio::event::Event;

use super::line::Line;
use crate::clock::now;
use crate::meter::{Caller, same};
use crate::transport::Failure;
use crate::transport::frame::{PREFIX, put};

/// One write for some requests, which are answered before there are more.
pub(super) struct Window {
    line: Line,
    caller: Caller,
    requests: Vec<Bytes>,
    in_flight: usize,
    out: Vec<u8>,
    begun: Instant,
}

impl Window {
    pub(super) fn new(line: Line, caller: Caller, in_flight: usize) -> Self {
        Self {
            line,
            caller,
            requests: Vec::with_capacity(in_flight),
            in_flight,
            out: Vec::new(),
            begun: now(),
        }
    }

    /// Sends the next requests; whether there are any.
    pub(super) fn begin(&mut self, registry: &Registry) -> bool {
        self.requests.clear();
        self.out.clear();
        for _ in 0..self.in_flight {
            let request = self.caller.request();
            put(&mut self.out, &request);
            self.requests.push(request);
        }
        let Some(begun) = self.caller.begin_now() else {
            return false;
        };
        self.begun = begun;
        let sent = self.line.send(&self.out, registry);
        sent.map_err(|error| self.fail(error)).is_ok()
    }

    /// Takes in what has come; whether there is more to come.
    pub(super) fn goes_on(&mut self, event: &Event, registry: &Registry) -> bool {
        match self.exchange(event, registry) {
            Ok(()) if self.line.inbox().len() < self.out.len() => true,
            Ok(()) => {
                self.end();
                self.begin(registry)
            }
            Err(error) => {
                self.fail(error);
                false
            }
        }
    }

    fn exchange(&mut self, event: &Event, registry: &Registry) -> io::Result<()> {
        if event.is_writable() {
            self.line.flush(registry)?;
        }
        if event.is_readable() {
            self.line.read()?;
        }
        Ok(())
    }

    fn end(&mut self) {
        let ended = now();
        let frame = self.out.len() / self.requests.len().max(1);
        let replies = self.line.inbox().chunks(frame);
        for (request, reply) in self.requests.iter().zip(replies) {
            let reply = reply.get(PREFIX..).unwrap_or_default();
            self.caller.end(self.begun, ended, &same(request, reply));
        }
        self.line.consume(self.out.len());
    }

    fn fail(&self, error: io::Error) {
        let failed = Err(Failure::from(error));
        for _ in &self.requests {
            self.caller.end(self.begun, now(), &failed);
        }
    }
}
