//! Copies of large payloads.

use bytes::BytesMut;

/// Appends bytes, a piece at a time.
///
/// From 2 KiB on, memmove of glibc before 2.40 is one `rep movsb`, which AMD's Zen 3 to 5 run 15 times
/// slower where the destination lies 1 to 63 bytes beyond the source, modulo a page (glibc bug
/// 30994). A frame's header in front of a payload makes that the rule for buffers that begin a page.
pub(crate) fn append(out: &mut BytesMut, bytes: &[u8]) {
    out.reserve(bytes.len());
    for piece in bytes.chunks(PIECE) {
        out.extend_from_slice(piece);
    }
}

/// Bytes copied at once.
const PIECE: usize = 2_048;
