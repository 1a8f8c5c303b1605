//! A message on its way out.

use std::fmt;

use bytes::{Bytes, BytesMut};
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};

/// A message that is encoded where it goes.
pub trait Encode: Send + Sync {
    /// Bytes it takes.
    fn size(&self) -> usize;
    /// Appends it.
    fn write(&self, out: &mut BytesMut);
    /// Appends it, but gives a large part at its end instead, if that need not be copied. Where
    /// `out` is too small, `grow` makes room for all of it.
    fn write_parts(&self, out: &mut BytesMut, grow: &mut dyn FnMut(&mut BytesMut)) -> Bytes;
}

/// A message on its way out.
pub enum Body<'a> {
    /// To be written in place, and its length.
    Write(usize, &'a dyn Encode),
    /// Encoded already; large messages come this way.
    Bytes(Bytes),
    /// The same in two parts, one behind the other, of which the first is small. Boxed, because
    /// every message is moved about like this.
    Parts(Box<[Bytes; 2]>),
}

impl fmt::Debug for Body<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes)", self.len())
    }
}

impl Body<'_> {
    /// Bytes of the message.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Write(len, _) => *len,
            Self::Bytes(bytes) => bytes.len(),
            Self::Parts(parts) => parts.iter().map(Bytes::len).fold(0, usize::saturating_add),
        }
    }

    /// Whether the message is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of this message as `CallHead::body`.
    pub(crate) fn inline_len(&self) -> usize {
        let prefix = u64::try_from(self.len()).unwrap_or(u64::MAX);
        key_len(BODY_TAG)
            .saturating_add(encoded_len_varint(prefix))
            .saturating_add(self.len())
    }

    /// The message as bytes of its own, in two parts.
    pub(crate) fn into_parts(self) -> (Bytes, Bytes) {
        match self {
            Self::Write(len, message) => {
                let mut out = BytesMut::with_capacity(len);
                message.write(&mut out);
                (Bytes::new(), out.freeze())
            }
            Self::Bytes(bytes) => (Bytes::new(), bytes),
            Self::Parts(parts) => (*parts).into(),
        }
    }
}

/// Appends what stands in front of a message of `len` bytes that is a `CallHead::body`.
pub(crate) fn put_inline_prefix(out: &mut BytesMut, len: usize) {
    encode_key(BODY_TAG, WireType::LengthDelimited, out);
    encode_varint(u64::try_from(len).unwrap_or(u64::MAX), out);
}

/// A part up to this size is copied behind its header: a second part of a write costs more.
/// Tests and fuzzers, whose messages are short, have most of them in two parts.
pub(crate) const COPIED: usize = if cfg!(any(test, fuzzing)) { 64 } else { 8_192 };
/// The tag of `CallHead::body` in wire.proto.
const BODY_TAG: u32 = 4;
