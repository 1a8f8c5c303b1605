//! What is on its way to the socket.

use std::collections::BTreeSet;

use bytes::{Bytes, BytesMut};

use crate::wire::{CallId, Engine};

/// Frames, and behind them the end of the last one, if it is large.
#[derive(Debug, Default)]
pub(super) struct Writing {
    frames: BytesMut,
    payload: Bytes,
    written: usize,
}

impl Writing {
    /// Whether all of it has left.
    #[inline]
    pub(super) fn is_done(&self) -> bool {
        self.written == self.frames.len() + self.payload.len()
    }

    /// What has not left yet.
    #[inline]
    pub(super) fn rest(&self) -> [&[u8]; 2] {
        let frames = self.frames.get(self.written..).unwrap_or_default();
        let behind = self.written.saturating_sub(self.frames.len());
        [frames, self.payload.get(behind..).unwrap_or_default()]
    }

    /// Counts bytes that have left.
    #[inline]
    pub(super) fn sent(&mut self, bytes: usize) {
        self.written += bytes;
    }

    /// Drops what has not left.
    pub(super) fn give_up(&mut self) {
        self.written = self.frames.len() + self.payload.len();
    }

    /// Takes what the engine wants to write next; `false` if that is nothing.
    pub(super) fn refill<T: Default>(&mut self, engine: &mut Engine<T>) -> bool {
        self.recycle();
        engine.poll_parts(&mut self.frames, &mut self.payload)
    }

    /// Takes back those calls of ours of which nothing has left.
    pub(super) fn withdraw<T: Default>(&mut self, ids: &BTreeSet<CallId>, engine: &mut Engine<T>) {
        engine.withdraw(ids, (&mut self.frames, &mut self.payload), self.written);
    }

    /// Memory that is kept for frames, in bytes.
    pub(super) fn capacity(&self) -> usize {
        self.frames.capacity()
    }

    /// Empties what was written, ready for more; a very large buffer is not kept.
    pub(super) fn recycle(&mut self) {
        self.written = 0;
        if !self.payload.is_empty() {
            self.payload = Bytes::new();
        }
        if self.frames.capacity() > LARGEST {
            self.frames = BytesMut::new();
        } else {
            self.frames.clear();
        }
    }
}

/// Largest buffer that is used again, in bytes: the largest frame and as much again fit in it.
const LARGEST: usize = 524_288;
