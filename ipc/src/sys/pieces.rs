//! A buffer that large payloads are copied into a piece at a time.
//!
//! From 2 KiB on, memmove of glibc before 2.40 is one `rep movsb`, which AMD's Zen 3 to 5 run 15 times
//! slower where the destination lies 1 to 63 bytes beyond the source, modulo a page (glibc bug
//! 30994). A tag in front of a payload makes that the rule for buffers that begin a page.
#![expect(unsafe_code, reason = "`BufMut` is an unsafe trait")]

use bytes::buf::UninitSlice;
use bytes::{Buf, BufMut, BytesMut};

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
}
