//! A byte stream in memory, for tests: it splits and dribbles.

use std::collections::VecDeque;
use std::io;
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;

use super::io::Read;
use crate::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How a stream in memory passes bytes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// As they come.
    Whole,
    /// At most so many with each read and each write, and at least one.
    Bytes(usize),
    /// Between 1 and 64 with each read and each write, by a fixed sequence from this seed.
    Random(u64),
}

/// One end of a stream in memory.
#[derive(Debug)]
pub(crate) struct MemoryEnd {
    incoming: Arc<Mutex<Pipe>>,
    outgoing: Arc<Mutex<Pipe>>,
}

/// One direction.
#[derive(Debug)]
struct Pipe {
    bytes: VecDeque<u8>,
    closed: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
    split: Split,
}

/// A stream in memory, as two ends.
pub(crate) fn stream(split: Split) -> (MemoryEnd, MemoryEnd) {
    let one = Arc::new(Mutex::new(Pipe::new(split)));
    let two = Arc::new(Mutex::new(Pipe::new(split)));
    let near = MemoryEnd {
        incoming: Arc::clone(&one),
        outgoing: Arc::clone(&two),
    };
    (
        near,
        MemoryEnd {
            incoming: two,
            outgoing: one,
        },
    )
}

impl MemoryEnd {
    pub(crate) fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut pipe = lock(&self.outgoing);
        if pipe.closed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let room = CAPACITY - pipe.bytes.len();
        let len = pipe.step().min(room).min(bytes.len());
        if len == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        pipe.bytes.extend(bytes.iter().take(len));
        let waker = pipe.reader.take();
        drop(pipe);
        waker.into_iter().for_each(Waker::wake);
        Ok(len)
    }

    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut pipe = lock(&self.incoming);
        if pipe.bytes.is_empty() && !pipe.closed {
            pipe.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// Reads what is there, and `most` bytes at most; who waits to read goes on waiting if that is
    /// nothing.
    pub(crate) fn try_read(&self, buffer: &mut BytesMut, most: usize) -> Read {
        let mut pipe = lock(&self.incoming);
        if pipe.bytes.is_empty() {
            return if pipe.closed { Read::Eof } else { Read::Empty };
        }
        let room = buffer.capacity() - buffer.len();
        let len = pipe.step().min(room).min(most).min(pipe.bytes.len());
        buffer.extend(pipe.bytes.drain(..len));
        let waker = pipe.writer.take();
        let drained = pipe.bytes.is_empty();
        drop(pipe);
        waker.into_iter().for_each(Waker::wake);
        if drained { Read::Drained } else { Read::More }
    }

    pub(crate) fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut pipe = lock(&self.outgoing);
        if pipe.closed || pipe.bytes.len() < CAPACITY {
            return Poll::Ready(Ok(()));
        }
        pipe.writer = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl MemoryEnd {
    /// Ends both directions.
    pub(crate) fn close(&self) {
        for pipe in [&self.incoming, &self.outgoing] {
            let mut pipe = lock(pipe);
            pipe.closed = true;
            let wakers = [pipe.reader.take(), pipe.writer.take()];
            drop(pipe);
            wakers.into_iter().flatten().for_each(Waker::wake);
        }
    }
}

impl Drop for MemoryEnd {
    fn drop(&mut self) {
        self.close();
    }
}

impl Pipe {
    fn new(split: Split) -> Self {
        Self {
            bytes: VecDeque::new(),
            closed: false,
            reader: None,
            writer: None,
            split,
        }
    }

    /// How many bytes the next step passes on at most.
    fn step(&mut self) -> usize {
        match &mut self.split {
            Split::Whole => usize::MAX,
            Split::Bytes(bytes) => (*bytes).max(1),
            Split::Random(state) => {
                // xorshift64 (Marsaglia 2003); any fixed sequence does.
                *state |= 1;
                *state ^= *state << 13;
                *state ^= *state >> 7;
                *state ^= *state << 17;
                usize::try_from(*state % 64).unwrap_or(0) + 1
            }
        }
    }
}

fn lock(pipe: &Mutex<Pipe>) -> MutexGuard<'_, Pipe> {
    pipe.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes one direction holds before a writer must wait; few for loom, so that one who waits for
/// room has no large buffers, which would have a timer.
pub(super) const CAPACITY: usize = if cfg!(ipc_loom) { 256 } else { 65_536 };
