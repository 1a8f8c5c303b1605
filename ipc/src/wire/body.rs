//! A message on its way out.

use std::fmt;

use bytes::{Bytes, BytesMut};
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};

use super::copy::append;

/// A message that is encoded where it goes.
pub trait Encode: Send + Sync {
    /// Bytes it takes.
    fn size(&self) -> usize;
    /// Appends it.
    fn write(&self, out: &mut BytesMut);
}

/// A message on its way out.
pub enum Body<'a> {
    /// To be written in place, and its length.
    Write(usize, &'a dyn Encode),
    /// Encoded already; large messages come this way.
    Bytes(Bytes),
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
        }
    }

    /// Whether the message is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends the message.
    pub(crate) fn put(&self, out: &mut BytesMut) {
        match self {
            Self::Write(_, message) => message.write(out),
            Self::Bytes(bytes) => append(out, bytes),
        }
    }

    /// Bytes of this message as `CallHead::body`.
    pub(crate) fn inline_len(&self) -> usize {
        let prefix = u64::try_from(self.len()).unwrap_or(u64::MAX);
        key_len(BODY_TAG)
            .saturating_add(encoded_len_varint(prefix))
            .saturating_add(self.len())
    }

    /// Appends the message as `CallHead::body`, without a copy on the way.
    pub(crate) fn put_inline(&self, out: &mut BytesMut) {
        encode_key(BODY_TAG, WireType::LengthDelimited, out);
        encode_varint(u64::try_from(self.len()).unwrap_or(u64::MAX), out);
        self.put(out);
    }

    /// The message as bytes of its own.
    pub(crate) fn into_bytes(self) -> Bytes {
        match self {
            Self::Write(len, message) => {
                let mut out = BytesMut::with_capacity(len);
                message.write(&mut out);
                out.freeze()
            }
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// The tag of `CallHead::body` in wire.proto.
const BODY_TAG: u32 = 4;
