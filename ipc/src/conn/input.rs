//! Bytes that were read and not taken up.

use std::io;
use std::task::{Context, Poll};

use bytes::BytesMut;

use super::io::{Read, Reader};

/// The buffer that one connection reads into.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) bytes: BytesMut,
    /// Bytes to read at once next time; grows with what comes and shrinks again.
    appetite: usize,
}

impl Input {
    pub(super) const fn new(bytes: BytesMut) -> Self {
        Self {
            bytes,
            appetite: SMALL,
        }
    }

    /// Reads once, waiting for the first byte.
    pub(super) fn poll_read(
        &mut self,
        reader: &Reader,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Read>> {
        if self.bytes.capacity() - self.bytes.len() < self.appetite {
            if self.bytes.is_empty() && self.bytes.capacity() > self.appetite.saturating_mul(4) {
                self.bytes = BytesMut::new();
            }
            self.bytes.reserve(self.appetite);
        }
        let read = reader.poll_read(cx, &mut self.bytes);
        if let Poll::Ready(Ok(read)) = &read {
            self.digest(*read);
        }
        read
    }

    fn digest(&mut self, read: Read) {
        if read == Read::More {
            self.appetite = self.appetite.saturating_mul(4).min(LARGE);
        } else if self.bytes.len() < self.appetite / 8 {
            self.appetite = (self.appetite / 2).max(SMALL);
        }
    }
}

/// Bytes read at once from a quiet connection, so that an idle one holds little.
const SMALL: usize = 4_096;
/// Bytes read at once from a busy one: two chunks.
const LARGE: usize = 131_072;
