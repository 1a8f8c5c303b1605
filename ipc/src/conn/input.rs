//! Bytes that were read and not taken up.

use std::io;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::BytesMut;

use super::io::{Read, Reader};
use crate::wire::Target;

/// The buffer that one connection reads into.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) bytes: BytesMut,
    /// The message that the next bytes belong to.
    pub(super) target: Option<Target>,
    /// Bytes to read at once next time; grows with what comes and shrinks again.
    appetite: usize,
    /// The most room that the buffer was seen to have since it was last let go.
    widest: usize,
    /// Set while the buffer is large; moved only when it has passed.
    rest_at: Option<Instant>,
    /// Something has come since `rest_at` was set.
    fed: bool,
}

impl Input {
    pub(super) fn new(bytes: BytesMut) -> Self {
        Self {
            widest: bytes.capacity(),
            bytes,
            target: None,
            appetite: SMALL,
            rest_at: None,
            fed: false,
        }
    }

    /// Reads once, waiting for the first byte.
    pub(super) fn poll_read(
        &mut self,
        reader: &Reader,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Read>> {
        reader.poll_read(cx, |reader| self.try_read(reader))
    }

    /// Reads once, without waiting.
    pub(super) fn try_read(&mut self, reader: &Reader) -> io::Result<Read> {
        if let Some(target) = &mut self.target {
            // The next message may be as large, and is better read to where it belongs.
            self.appetite = SMALL;
            if self.bytes.is_empty() && self.widest > KEEP {
                (self.bytes, self.widest) = (BytesMut::new(), 0);
            }
            self.bytes.reserve(SMALL);
            return reader.try_fill(target, &mut self.bytes, SMALL);
        }
        self.make_room();
        let read = reader.try_read(&mut self.bytes)?;
        if read != Read::Empty {
            self.digest(read);
        }
        Ok(read)
    }

    fn make_room(&mut self) {
        self.bytes.reserve(self.appetite);
        self.widest = self.widest.max(self.bytes.capacity());
    }

    fn digest(&mut self, read: Read) {
        if read == Read::More {
            self.appetite = self.appetite.saturating_mul(4).min(LARGE);
        } else if self.bytes.len() < self.appetite / 8 {
            self.appetite = (self.appetite / 2).max(SMALL);
        }
    }

    /// What was read has been taken up; `wide` says whether the output is large.
    pub(super) fn taken(&mut self, now: Instant, wide: bool) {
        self.fed = true;
        if wide || self.widest.max(self.appetite) > KEEP {
            self.rest_later(now);
        }
    }

    /// Sees after a while whether nothing comes any more.
    pub(super) fn rest_later(&mut self, now: Instant) {
        if self.rest_at.is_none() {
            self.rest_at = now.checked_add(IDLE);
        }
    }

    /// When to see whether nothing comes any more; `None` if the buffer is small.
    pub(super) const fn rest_at(&self) -> Option<Instant> {
        self.rest_at
    }

    /// Lets go of a large buffer if nothing has come for a while, and says whether so.
    pub(super) fn rest(&mut self, now: Instant) -> bool {
        if self.rest_at.is_none_or(|at| at > now) {
            return false;
        }
        self.rest_at = None;
        if std::mem::take(&mut self.fed) {
            self.rest_at = now.checked_add(IDLE);
            return false;
        }
        if self.bytes.is_empty() {
            let target = self.target.take();
            *self = Self::new(BytesMut::new());
            self.target = target;
        }
        true
    }
}

/// Bytes read at once from a quiet connection, so that an idle one holds little.
const SMALL: usize = 4_096;
/// Largest buffer an idle connection keeps, in bytes.
pub(super) const KEEP: usize = 4 * SMALL;
/// Time without input after which a connection counts as idle, at least, and twice that at most.
pub(super) const IDLE: Duration = Duration::from_secs(1);
/// Bytes read at once from a busy one: two chunks.
const LARGE: usize = 262_144;

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use bytes::Buf;

    use super::*;
    use crate::clock::now;
    use crate::conn::memory::{MemoryEnd, Split, stream};
    use crate::sync::Arc;

    fn ends() -> (MemoryEnd, Reader) {
        let (near, far) = stream(Split::Whole);
        (near, Reader::Memory(Arc::new(far)))
    }

    /// Reads and takes up all there is.
    fn drain(input: &mut Input, reader: &Reader, now: Instant) {
        let mut cx = Context::from_waker(Waker::noop());
        while input.poll_read(reader, &mut cx).is_ready() {
            input.bytes.advance(input.bytes.len());
            input.taken(now, false);
        }
    }

    #[test]
    fn an_idle_connection_keeps_a_small_buffer_and_no_large_one() {
        let (peer, reader) = ends();
        let mut input = Input::new(BytesMut::new());
        let mut now = now();
        for (bytes, small) in [(100, true), (60_000, false), (1, true)] {
            peer.send(&vec![0; bytes]).unwrap();
            drain(&mut input, &reader, now);
            assert_eq!(input.rest_at().is_none(), small, "{bytes}");
            for _ in 0..2 {
                assert!(input.bytes.try_reclaim(SMALL), "{bytes}: too early");
                now += IDLE;
                input.rest(now);
            }
            assert_eq!(input.rest_at(), None, "{bytes}");
            assert_eq!(input.bytes.try_reclaim(SMALL), small, "{bytes}");
        }
    }

    #[test]
    fn a_busy_connection_keeps_its_buffer() {
        let (peer, reader) = ends();
        let mut input = Input::new(BytesMut::new());
        let mut now = now();
        for _ in 0..10 {
            peer.send(&[0; 60_000]).unwrap();
            drain(&mut input, &reader, now);
            now += IDLE;
            input.rest(now);
            assert!(input.bytes.try_reclaim(KEEP));
        }
    }

    #[test]
    fn what_is_not_a_whole_frame_stays() {
        let (peer, reader) = ends();
        let mut input = Input::new(BytesMut::new());
        peer.send(&[7; 60_000]).unwrap();
        let mut cx = Context::from_waker(Waker::noop());
        while input.poll_read(&reader, &mut cx).is_ready() {}
        assert_eq!(input.bytes, [7; 60_000][..]);
    }
}
