//! The protobuf payloads of our own frames: hand-written derives, tags in sight, no protoc.
//!
//! `proto/ipc/v1/wire.proto` says the same for other languages; a test holds the two together.

use std::borrow::Cow;

use bytes::{Buf, Bytes};
use prost::encoding::decode_varint;
use prost::{DecodeError, Message};

use crate::limits::Limits;

/// First frame of the connecting side.
#[derive(Clone, PartialEq, Message)]
pub struct Hello {
    /// Highest minor version the sender speaks.
    #[prost(uint32, tag = "1")]
    pub minor: u32,
    /// What the sender accepts.
    #[prost(message, optional, tag = "2")]
    pub limits: Option<PeerLimits>,
    /// Services the connecting side offers for calls the other way.
    #[prost(message, repeated, tag = "3")]
    pub services: Vec<ServiceInfo>,
    /// Name and version of the program, for logs only.
    #[prost(string, tag = "4")]
    pub software: String,
}

/// First frame of the accepting side.
#[derive(Clone, PartialEq, Message)]
pub struct Welcome {
    /// Minor version in force: the lower of both.
    #[prost(uint32, tag = "1")]
    pub minor: u32,
    /// What the sender accepts.
    #[prost(message, optional, tag = "2")]
    pub limits: Option<PeerLimits>,
    /// Services the accepting side offers.
    #[prost(message, repeated, tag = "3")]
    pub services: Vec<ServiceInfo>,
    /// Name and version of the program, for logs only.
    #[prost(string, tag = "4")]
    pub software: String,
    /// Names this run of the accepting process; 16 bytes.
    #[prost(bytes = "bytes", tag = "5")]
    pub session: Bytes,
    /// Random and fresh for this connection; 16 bytes.
    #[prost(bytes = "bytes", tag = "6")]
    pub nonce: Bytes,
}

/// Second frame of the connecting side.
#[derive(Clone, PartialEq, Message)]
pub struct Confirm {
    /// The nonce of WELCOME.
    #[prost(bytes = "bytes", tag = "1")]
    pub nonce: Bytes,
}

/// What one side accepts.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct PeerLimits {
    /// Largest frame payload in bytes.
    #[prost(uint32, tag = "1")]
    pub max_frame: u32,
    /// Largest message in bytes.
    #[prost(uint32, tag = "2")]
    pub max_message: u32,
    /// Calls open at once.
    #[prost(uint32, tag = "3")]
    pub max_calls: u32,
    /// Credit of each direction of each call at its start, in bytes.
    #[prost(uint32, tag = "4")]
    pub initial_credit: u32,
    /// Metadata of one call or answer, in bytes: each entry is its key, its value and 32 more.
    #[prost(uint32, tag = "5")]
    pub max_metadata: u32,
}

/// What is announced of the limits of a side.
impl From<&Limits> for PeerLimits {
    fn from(limits: &Limits) -> Self {
        Self {
            max_frame: limits.max_frame,
            max_message: limits.max_message,
            max_calls: limits.max_calls,
            initial_credit: limits.initial_credit,
            max_metadata: limits.max_metadata,
        }
    }
}

/// One service that a side offers.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ServiceInfo {
    /// `package.Service`.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Hash of its schema; differs when the two sides were built from different files.
    #[prost(fixed64, tag = "2")]
    pub schema: u64,
}

/// Payload of CALL.
#[derive(Clone, PartialEq, Message)]
pub struct CallHead {
    /// FNV-1a of `package.Service/Method`.
    #[prost(fixed32, tag = "1")]
    pub method: u32,
    /// Microseconds until the caller gives up; absent means no deadline.
    #[prost(uint64, optional, tag = "2")]
    pub time_left: Option<u64>,
    /// Metadata of the request.
    #[prost(message, repeated, tag = "3")]
    pub metadata: Vec<Entry>,
    /// The first message of the caller, if it fits; absent is not the same as empty.
    #[prost(bytes = "bytes", optional, tag = "4")]
    pub body: Option<Bytes>,
}

impl CallHead {
    /// As [`Message::decode`], but sooner where the fields stand as we write them.
    pub(crate) fn parse(mut payload: Bytes) -> Result<Self, DecodeError> {
        let Some((method, time_left, body)) = plain(&payload) else {
            return Self::decode(payload);
        };
        payload.advance(payload.len().saturating_sub(body));
        Ok(Self {
            method,
            time_left,
            metadata: Vec::new(),
            body: Some(payload),
        })
    }
}

/// Method, time left and the length of the body, if they stand in this order and the body ends it.
fn plain(head: &[u8]) -> Option<(u32, Option<u64>, usize)> {
    let (&[METHOD, a, b, c, d], mut rest) = head.split_first_chunk()? else {
        return None;
    };
    let mut time_left = None;
    if let Some((&TIME_LEFT, tail)) = rest.split_first() {
        rest = tail;
        time_left = Some(decode_varint(&mut rest).ok()?);
    }
    let (&BODY, mut rest) = rest.split_first()? else {
        return None;
    };
    let len = decode_varint(&mut rest).ok()?;
    let whole = u64::try_from(rest.len()) == Ok(len);
    whole.then(|| (u32::from_le_bytes([a, b, c, d]), time_left, rest.len()))
}

/// One metadata entry.
#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub struct Entry {
    /// Lower-case ASCII name.
    #[prost(string, tag = "1")]
    pub key: String,
    /// Any bytes.
    #[prost(bytes = "bytes", tag = "2")]
    pub value: Bytes,
}

/// What is wrong with metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// There is more than the receiver accepts; each entry takes 32 bytes beyond its own.
    #[error("metadata exceeds the limit of {limit} bytes")]
    TooLarge {
        /// What the receiver accepts.
        limit: u32,
    },
    /// A key is not 1 to 128 of `a`-`z`, `0`-`9`, `-`, `_` and `.`.
    #[error("metadata key is not 1 to 128 of a-z, 0-9, -, _ and .")]
    Key,
}

/// Payload of END from the called side. The calling side sends END with an empty payload.
#[derive(Clone, PartialEq, Message)]
pub struct End {
    /// gRPC status code; 0 is success.
    #[prost(uint32, tag = "1")]
    pub code: u32,
    /// Text for a developer.
    #[prost(string, tag = "2")]
    pub message: String,
    /// Machine-readable details, by convention of the service.
    #[prost(bytes = "bytes", tag = "3")]
    pub details: Bytes,
    /// Metadata of the answer.
    #[prost(message, repeated, tag = "4")]
    pub metadata: Vec<Entry>,
    /// The sender guarantees that no handler saw the call.
    #[prost(bool, tag = "5")]
    pub unseen: bool,
}

/// Payload of CANCEL.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Cancel {
    /// Why, as a gRPC status code: CANCELLED or DEADLINE_EXCEEDED.
    #[prost(uint32, tag = "1")]
    pub code: u32,
}

/// Payload of CREDIT.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Credit {
    /// Bytes that may be sent in addition.
    #[prost(uint32, tag = "1")]
    pub bytes: u32,
}

/// Payload of PING and PONG.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Ping {
    /// Returned unchanged.
    #[prost(fixed64, tag = "1")]
    pub opaque: u64,
}

/// Payload of GOAWAY.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct GoAway {
    /// Error code registry of PROTOCOL.md; 0 is a graceful stop.
    #[prost(uint32, tag = "1")]
    pub code: u32,
    /// Text for a developer.
    #[prost(string, tag = "2")]
    pub message: String,
    /// Highest call id of the receiver that the sender has taken up; higher ones were not seen.
    #[prost(uint32, tag = "3")]
    pub last_call: u32,
}

impl Entry {
    /// An entry whose key is made lower-case.
    pub(crate) fn new(key: &str, value: impl Into<Bytes>) -> Self {
        Self {
            key: key.to_ascii_lowercase(),
            value: value.into(),
        }
    }

    /// Whether the key is 1 to 128 of the characters `a`-`z`, `0`-`9`, `-`, `_` and `.`.
    #[must_use]
    pub fn has_valid_key(&self) -> bool {
        let valid =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
        (1..=128).contains(&self.key.len()) && self.key.bytes().all(valid)
    }
}

/// Checks metadata of a call or an answer against the `max_metadata` of its receiver.
pub(crate) fn check_metadata<'a>(
    metadata: impl IntoIterator<Item = &'a Entry>,
    limit: u32,
) -> Result<(), MetadataError> {
    let (mut len, mut valid) = (0_usize, true);
    for entry in metadata {
        let parts = [entry.key.len(), entry.value.len(), ENTRY];
        len = parts.into_iter().fold(len, usize::saturating_add);
        valid &= entry.has_valid_key();
    }
    if len > usize::try_from(limit).unwrap_or(usize::MAX) {
        Err(MetadataError::TooLarge { limit })
    } else if valid {
        Ok(())
    } else {
        Err(MetadataError::Key)
    }
}

/// What a call ends with for its metadata, or for that of its answer.
impl From<MetadataError> for End {
    fn from(error: MetadataError) -> Self {
        let code = match error {
            MetadataError::TooLarge { .. } => RESOURCE_EXHAUSTED,
            MetadataError::Key => INTERNAL,
        };
        Self::failed(code, &error.to_string())
    }
}

impl End {
    /// A status with a text.
    pub(crate) fn failed(code: u32, message: &str) -> Self {
        Self {
            code,
            message: message.into(),
            ..Self::default()
        }
    }

    /// This status, or what is left of it if it does not fit a frame of `chunk` bytes or its
    /// metadata cannot travel: a success becomes a failure, a failure keeps its code.
    pub(crate) fn within(&self, chunk: usize, max_metadata: u32) -> Cow<'_, Self> {
        let fault = check_metadata(&self.metadata, max_metadata).err();
        if fault.is_none() && self.encoded_len() <= chunk {
            return Cow::Borrowed(self);
        }
        let cut = match (self.code, fault) {
            (0, Some(fault)) => Self {
                message: format!("of the answer: {fault}"),
                ..fault.into()
            },
            (0, None) => Self::failed(RESOURCE_EXHAUSTED, "the answer's end exceeds a frame"),
            (code, _) => Self::failed(code, cut(&self.message)),
        };
        Cow::Owned(Self {
            unseen: self.unseen,
            ..cut
        })
    }
}

/// The start of a text, short enough for the smallest frame that a peer may ask for.
pub(crate) fn cut(text: &str) -> &str {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or_default()
}

/// Charged for an entry beyond its bytes, because an empty one takes memory too
/// (RFC 9113, section 6.5.2).
const ENTRY: usize = 32;
/// Bytes of a text that fits any peer's frames.
const MAX_TEXT: usize = 512;

/// The keys of the fields of `CallHead` that most calls have.
const METHOD: u8 = (1 << 3) | 5;
const TIME_LEFT: u8 = 2 << 3;
const BODY: u8 = (4 << 3) | 2;

/// gRPC status codes that this layer generates (PROTOCOL.md#status-codes).
pub(crate) const DEADLINE_EXCEEDED: u32 = 4;
/// A limit was exceeded.
pub(crate) const RESOURCE_EXHAUSTED: u32 = 8;
/// The other side broke a rule that costs only the call.
pub(crate) const INTERNAL: u32 = 13;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry() -> impl Strategy<Value = Entry> {
        (".{0,3}", any::<Vec<u8>>()).prop_map(|(key, value)| Entry {
            key,
            value: value.into(),
        })
    }

    fn head() -> impl Strategy<Value = CallHead> {
        let metadata = prop::collection::vec(entry(), 0..2);
        let body = any::<Option<Vec<u8>>>();
        let parts = (any::<u32>(), any::<Option<u64>>(), metadata, body);
        parts.prop_map(|(method, time_left, metadata, body)| CallHead {
            method,
            time_left,
            metadata,
            body: body.map(Bytes::from),
        })
    }

    proptest! {
        #[test]
        fn a_call_head_is_what_prost_says_it_is(
            head in head(),
            change in any::<Option<(prop::sample::Index, u8)>>(),
            tail in prop::collection::vec(any::<u8>(), 0..4),
        ) {
            let mut bytes = head.encode_to_vec();
            if let Some((at, byte)) = change && !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes.extend(tail);
            let bytes = Bytes::from(bytes);
            prop_assert_eq!(CallHead::parse(bytes.clone()), CallHead::decode(bytes));
        }
    }
}
