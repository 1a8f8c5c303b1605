//! One connection that never blocks.

use std::io::{self, Read as _, Write as _};
use std::mem;

use mio::net::UnixStream;
use mio::{Interest, Registry, Token};

/// A connection, what it has brought, and what it has not taken yet.
pub(super) struct Line {
    stream: UnixStream,
    token: Token,
    inbox: Vec<u8>,
    /// Bytes at the front of the inbox that were read.
    filled: usize,
    outbox: Vec<u8>,
    /// Bytes at the front of the outbox that were written.
    written: usize,
}

impl Line {
    /// Waits for reading only: a Unix socket that could be written to all the time wakes who waits
    /// for that each time the other side reads.
    pub(super) fn new(
        mut stream: UnixStream,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        registry.register(&mut stream, token, Interest::READABLE)?;
        Ok(Self {
            stream,
            token,
            inbox: vec![0; ROOM],
            filled: 0,
            outbox: Vec::new(),
            written: 0,
        })
    }

    pub(super) fn inbox(&self) -> &[u8] {
        self.inbox.get(..self.filled).unwrap_or_default()
    }

    pub(super) fn consume(&mut self, len: usize) {
        self.inbox.copy_within(len..self.filled, 0);
        self.filled -= len;
    }

    /// Reads all that is there. A read that does not fill its room has read all, epoll(7).
    pub(super) fn read(&mut self) -> io::Result<()> {
        loop {
            if self.filled == self.inbox.len() {
                self.inbox.resize(2 * self.filled, 0);
            }
            let before = self.filled;
            let room = self.inbox.get_mut(self.filled..).unwrap_or_default();
            let wanted = room.len();
            match self.stream.read(room) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => self.filled += read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            if self.filled < before + wanted {
                return Ok(());
            }
        }
    }

    /// Sends the front of the inbox back.
    pub(super) fn forward(&mut self, len: usize, registry: &Registry) -> io::Result<()> {
        let inbox = mem::take(&mut self.inbox);
        let sent = self.send(inbox.get(..len).unwrap_or_default(), registry);
        self.inbox = inbox;
        self.consume(len);
        sent
    }

    /// Writes what the connection takes, and keeps the rest.
    pub(super) fn send(&mut self, bytes: &[u8], registry: &Registry) -> io::Result<()> {
        if !self.outbox.is_empty() {
            self.outbox.extend_from_slice(bytes);
            return Ok(());
        }
        let written = self.write(bytes)?;
        let rest = bytes.get(written..).unwrap_or_default();
        if !rest.is_empty() {
            self.outbox.extend_from_slice(rest);
            let both = Interest::READABLE | Interest::WRITABLE;
            registry.reregister(&mut self.stream, self.token, both)?;
        }
        Ok(())
    }

    /// Writes what was kept.
    pub(super) fn flush(&mut self, registry: &Registry) -> io::Result<()> {
        if self.outbox.is_empty() {
            return Ok(());
        }
        let outbox = mem::take(&mut self.outbox);
        let written = self.write(outbox.get(self.written..).unwrap_or_default());
        self.outbox = outbox;
        self.written += written?;
        if self.written == self.outbox.len() {
            self.outbox.clear();
            self.written = 0;
            registry.reregister(&mut self.stream, self.token, Interest::READABLE)?;
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut written = 0;
        while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            match self.stream.write(rest) {
                Ok(more) => written += more,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(written)
    }
}

/// Room for the first read, in bytes; grows to what a window needs.
const ROOM: usize = 8_192;

#[cfg(test)]
mod tests {
    use mio::{Events, Poll};

    use super::*;

    #[test]
    fn what_a_full_socket_does_not_take_comes_after_it_was_read() {
        let mut poll = Poll::new().unwrap();
        let (near, far) = UnixStream::pair().unwrap();
        let mut near = Line::new(near, poll.registry(), Token(0)).unwrap();
        let mut far = Line::new(far, poll.registry(), Token(1)).unwrap();
        let bytes = (0..=u8::MAX).cycle().take(4 << 20).collect::<Vec<_>>();
        near.send(&bytes, poll.registry()).unwrap();
        assert!(!near.outbox.is_empty(), "no socket holds 4 MiB");
        let mut events = Events::with_capacity(2);
        while far.inbox().len() < bytes.len() {
            poll.poll(&mut events, None).unwrap();
            for event in &events {
                match event.token() {
                    Token(0) => near.flush(poll.registry()).unwrap(),
                    _ => far.read().unwrap(),
                }
            }
        }
        assert!(far.inbox() == bytes);
        assert!(near.outbox.is_empty());
    }
}
