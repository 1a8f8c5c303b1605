//! Large buffers, kept for reuse: fresh pages are what makes large messages slow.

use bytes::{Bytes, BytesMut};

use crate::sync::{Arc, Mutex, PoisonError};

/// Buffers above this size come from a pool and return to it, in bytes.
pub(crate) const LARGE: usize = 131_072;

/// Large buffers shared by all connections of a server or client.
#[derive(Debug)]
pub(crate) struct Pool {
    limit: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    buffers: Vec<BytesMut>,
    bytes: usize,
}

impl Pool {
    pub(crate) fn new(limit: u32) -> Arc<Self> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Arc::new(Self {
            limit,
            kept: Mutex::new(Kept::default()),
        })
    }

    /// An empty buffer; one that was used before, if there is one.
    pub(crate) fn take(&self) -> BytesMut {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let buffer = kept.buffers.pop().unwrap_or_default();
        kept.bytes -= buffer.capacity();
        buffer
    }

    /// An empty buffer for `len` bytes; one that was used before only if it is not much larger,
    /// because what is written may wait for long.
    pub(crate) fn take_for(&self, len: usize) -> BytesMut {
        let fits =
            |buffer: &BytesMut| (len..=len.saturating_mul(ROOMY)).contains(&buffer.capacity());
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(at) = kept.buffers.iter().position(fits) else {
            return BytesMut::with_capacity(len);
        };
        let buffer = kept.buffers.swap_remove(at);
        kept.bytes -= buffer.capacity();
        buffer
    }

    /// Makes bytes that bring their buffer back when the last of them is dropped.
    pub(crate) fn freeze(self: &Arc<Self>, buffer: BytesMut) -> Bytes {
        if buffer.capacity() <= LARGE {
            return buffer.freeze();
        }
        Bytes::from_owner(Pooled {
            buffer,
            pool: Arc::clone(self),
        })
    }

    /// The same for bytes that are frozen already, if nothing else refers to them.
    pub(crate) fn adopt(self: &Arc<Self>, bytes: Bytes) -> Bytes {
        if bytes.len() <= LARGE / ROOMY {
            return bytes;
        }
        match bytes.try_into_mut() {
            Ok(buffer) => self.freeze(buffer),
            Err(shared) => shared,
        }
    }

    /// Takes a buffer back; a small one is not worth keeping.
    pub(crate) fn give(&self, mut buffer: BytesMut) {
        if buffer.capacity() <= LARGE {
            return;
        }
        buffer.clear();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.bytes.saturating_add(buffer.capacity()) <= self.limit {
            kept.bytes += buffer.capacity();
            kept.buffers.push(buffer);
        }
    }
}

/// How many times larger than what is written into it a reused buffer may be.
const ROOMY: usize = 4;

struct Pooled {
    buffer: BytesMut,
    pool: Arc<Pool>,
}

impl AsRef<[u8]> for Pooled {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        self.pool.give(std::mem::take(&mut self.buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_buffer_comes_back_and_the_bound_holds() {
        let pool = Pool::new(1 << 20);
        let bytes = pool.freeze(BytesMut::zeroed(LARGE + 1));
        let place = bytes.as_ptr();
        drop(bytes);
        let again = pool.take();
        assert_eq!(again.as_ptr(), place);
        drop(pool.freeze(BytesMut::zeroed(2 << 20)));
        assert_eq!(pool.take().capacity(), 0);
    }

    #[test]
    fn a_large_buffer_comes_back_from_a_small_message() {
        let pool = Pool::new(1 << 20);
        drop(pool.freeze(BytesMut::zeroed(400_000)));
        let mut buffer = pool.take_for(100_000);
        buffer.resize(100_000, 0);
        drop(pool.freeze(buffer));
        assert_eq!(pool.take().capacity(), 400_000);
    }

    #[test]
    fn a_large_buffer_comes_back_from_a_small_message_that_was_received() {
        let pool = Pool::new(1 << 20);
        let mut buffer = BytesMut::with_capacity(400_000);
        buffer.resize(100_000, 0);
        drop(pool.adopt(buffer.freeze()));
        assert_eq!(pool.take().capacity(), 400_000);
    }

    #[test]
    fn a_buffer_is_reused_for_what_fills_a_part_of_it() {
        let pool = Pool::new(1 << 20);
        drop(pool.freeze(BytesMut::zeroed(400_000)));
        for len in [99_000, 400_001] {
            let capacity = pool.take_for(len).capacity();
            assert_eq!(capacity, len, "a new one");
        }
        assert_eq!(pool.take_for(100_000).capacity(), 400_000);
        assert_eq!(pool.take_for(100_000).capacity(), 100_000, "taken once");
    }
}
