//! Buffers that large payloads are copied into a piece at a time, or not at all.
//!
//! From 2 KiB on, memmove of glibc before 2.40 is one `rep movsb`, which AMD's Zen 3 to 5 run 15 times
//! slower where the destination lies 1 to 63 bytes beyond the source, modulo a page (glibc bug
//! 30994). A tag in front of a payload makes that the rule for buffers that begin a page.
#![expect(unsafe_code, reason = "`BufMut` is an unsafe trait")]

use bytes::buf::UninitSlice;
use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Appends as the buffer does, but never more than 2 KiB at once.
#[derive(Debug)]
pub(crate) struct Pieces<'a>(pub(crate) &'a mut BytesMut);

// SAFETY: the required methods are those of the buffer.
unsafe impl BufMut for Pieces<'_> {
    #[inline]
    fn remaining_mut(&self) -> usize {
        self.0.remaining_mut()
    }

    #[inline]
    unsafe fn advance_mut(&mut self, count: usize) {
        // SAFETY: the caller has written that many bytes of the chunk it got from the buffer.
        unsafe { self.0.advance_mut(count) };
    }

    #[inline]
    fn chunk_mut(&mut self) -> &mut UninitSlice {
        self.0.chunk_mut()
    }

    #[inline]
    fn put<T: Buf>(&mut self, mut from: T) {
        while from.has_remaining() {
            let chunk = from.chunk();
            let len = chunk.len();
            self.put_slice(chunk);
            from.advance(len);
        }
    }

    #[inline]
    fn put_slice(&mut self, from: &[u8]) {
        if from.len() <= PIECE {
            return self.0.extend_from_slice(from);
        }
        self.0.reserve(from.len());
        for piece in from.chunks(PIECE) {
            self.0.extend_from_slice(piece);
        }
    }
}

/// Appends as [`Pieces`] does, but keeps a large part at the end apart, as it is.
pub(crate) struct Parts<'a> {
    out: &'a mut BytesMut,
    apart: Bytes,
    least: usize,
    grow: &'a mut dyn FnMut(&mut BytesMut),
}

impl<'a> Parts<'a> {
    /// Keeps `Bytes` of at least `least` bytes apart; `grow` is called where `out` is too small for the rest.
    pub(crate) fn new(
        out: &'a mut BytesMut,
        least: usize,
        grow: &'a mut dyn FnMut(&mut BytesMut),
    ) -> Self {
        Self {
            out,
            apart: Bytes::new(),
            least,
            grow,
        }
    }

    /// The part at the end that was kept apart; empty if there is none.
    pub(crate) fn into_apart(self) -> Bytes {
        self.apart
    }

    fn append(&mut self, bytes: &[u8]) {
        if self.out.capacity() - self.out.len() < bytes.len() {
            (self.grow)(self.out);
        }
        Pieces(self.out).put_slice(bytes);
    }

    /// What comes next is no end: copies what was kept apart.
    fn join(&mut self) {
        if !self.apart.is_empty() {
            let apart = std::mem::take(&mut self.apart);
            self.append(&apart);
        }
    }
}

// SAFETY: the required methods are those of the buffer.
unsafe impl BufMut for Parts<'_> {
    #[inline]
    fn remaining_mut(&self) -> usize {
        self.out.remaining_mut()
    }

    #[inline]
    unsafe fn advance_mut(&mut self, count: usize) {
        // SAFETY: the caller has written that many bytes of the chunk it got from the buffer.
        unsafe { self.out.advance_mut(count) };
    }

    fn chunk_mut(&mut self) -> &mut UninitSlice {
        self.join();
        self.out.chunk_mut()
    }

    fn put<T: Buf>(&mut self, mut from: T) {
        self.join();
        let len = from.remaining();
        if len >= self.least && typeid::of::<T>() == typeid::of::<Bytes>() {
            // Of `Bytes` this is no copy.
            self.apart = from.copy_to_bytes(len);
            return;
        }
        while from.has_remaining() {
            let chunk = from.chunk();
            let len = chunk.len();
            self.append(chunk);
            from.advance(len);
        }
    }

    #[inline]
    fn put_slice(&mut self, from: &[u8]) {
        self.join();
        self.append(from);
    }
}

/// Bytes copied at once.
const PIECE: usize = 2_048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_up_the_whole() {
        let bytes: Vec<u8> = (0..10_000_u32).map(|byte| byte.to_le_bytes()[0]).collect();
        let mut out = BytesMut::from(&b"head"[..]);
        let mut pieces = Pieces(&mut out);
        pieces.put_slice(&bytes);
        pieces.put(bytes[..5_000].chain(&bytes[5_000..]));
        pieces.put_u8(1);
        assert_eq!(out, [b"head", &bytes[..], &bytes[..], &[1]].concat());
    }

    #[test]
    fn a_large_end_is_kept_apart_and_nothing_else() {
        let large = Bytes::from(vec![7; 100]);
        let mut grown = 0;
        let mut grow = |out: &mut BytesMut| {
            grown += 1;
            out.reserve(1_000);
        };
        let mut out = BytesMut::with_capacity(8);
        let mut parts = Parts::new(&mut out, 100, &mut grow);
        parts.put_slice(b"head");
        parts.put(large.clone());
        parts.put_u8(1);
        parts.put(&large[..]);
        parts.put(large.slice(1..));
        parts.put(large.clone());
        let apart = parts.into_apart();
        assert_eq!(apart.as_ptr(), large.as_ptr());
        let copied = [b"head", &large[..], &[1], &large[..], &large[1..]].concat();
        assert_eq!(out, copied);
        let mut parts = Parts::new(&mut out, 101, &mut grow);
        parts.put(large.clone());
        assert_eq!(parts.into_apart(), b""[..]);
        let mut out = BytesMut::new();
        let mut parts = Parts::new(&mut out, 100, &mut grow);
        parts.put(large.clone());
        parts.put_bytes(1, 3);
        assert_eq!(parts.into_apart(), b""[..]);
        assert_eq!(out, [&large[..], &[1; 3]].concat());
        assert_eq!(grown, 2);
    }
}
