//! What to write next: control before data, and one chunk of each large message in turn.

use std::collections::VecDeque;
use std::fmt;

use bytes::{Bytes, BytesMut};
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};

use super::call::Key;

/// A message on its way out.
pub enum Body<'a> {
    /// To be written in place: its length, and the writer.
    Write(usize, &'a mut dyn FnMut(&mut BytesMut)),
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
    pub(crate) fn put(&mut self, out: &mut BytesMut) {
        match self {
            Self::Write(_, write) => write(out),
            Self::Bytes(bytes) => out.extend_from_slice(bytes),
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
    pub(crate) fn put_inline(&mut self, out: &mut BytesMut) {
        encode_key(BODY_TAG, WireType::LengthDelimited, out);
        encode_varint(u64::try_from(self.len()).unwrap_or(u64::MAX), out);
        self.put(out);
    }

    /// The message as bytes of its own.
    pub(crate) fn into_bytes(self) -> Bytes {
        match self {
            Self::Write(len, write) => {
                let mut out = BytesMut::with_capacity(len);
                write(&mut out);
                out.freeze()
            }
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// Frames that wait for the socket, in three ranks.
#[derive(Debug)]
pub(crate) struct Outbox {
    /// Frames that pass all others; never one that must follow its own CALL.
    pub(crate) control: BytesMut,
    /// Whole frames in the order they were made.
    pub(crate) data: BytesMut,
    /// Calls with chunks to send and credit for them, each getting one turn.
    pub(crate) ring: VecDeque<Key>,
    /// Calls of the peer that are over but have frames in `data`: they count as open
    /// until those are handed over, so that unread answers are bounded.
    pub(crate) finals: u32,
    /// How often `data` was handed over; starts at 1, so that 0 is never.
    pub(crate) handed: u64,
}

impl Outbox {
    pub(crate) fn new() -> Self {
        Self {
            control: BytesMut::new(),
            data: BytesMut::new(),
            ring: VecDeque::new(),
            finals: 0,
            handed: 1,
        }
    }

    /// Moves control and data frames to `out`; without a copy where `out` is empty.
    pub(crate) fn drain_whole(&mut self, out: &mut BytesMut) {
        if out.is_empty() && self.control.is_empty() {
            std::mem::swap(out, &mut self.data);
        } else {
            out.extend_from_slice(&self.control);
            self.control.clear();
            out.extend_from_slice(&self.data);
            self.data.clear();
        }
        self.finals = 0;
        self.handed = self.handed.wrapping_add(1);
    }

    /// Bytes that wait, without the large messages.
    pub(crate) fn backlog(&self) -> usize {
        self.control.len().saturating_add(self.data.len())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.control.is_empty() && self.data.is_empty() && self.ring.is_empty()
    }
}

/// The tag of `CallHead::body` in wire.proto.
const BODY_TAG: u32 = 4;
