//! Copies of large payloads.

use bytes::BytesMut;

/// Appends bytes, a piece at a time, as `sys::Pieces` does and for its reason: one long
/// memmove may take the slow path of some machines.
pub(crate) fn append(out: &mut BytesMut, bytes: &[u8]) {
    out.reserve(bytes.len());
    for piece in bytes.chunks(PIECE) {
        out.extend_from_slice(piece);
    }
}

/// Bytes copied at once.
const PIECE: usize = 2_048;
