//! One variant per kind of frame.

use bytes::{Bytes, BytesMut};
use prost::Message;

use super::call::CallId;
use super::copy::append;
use super::decoder::RawFrame;
use super::header::{Flags, HEADER_LEN, Header, Kind};
use super::messages::{CallHead, Cancel, Confirm, Credit, End, GoAway, Hello, Ping, Welcome};
use super::violation::Violation;

/// A frame with its payload decoded, except the user's message.
#[derive(Clone, Debug, PartialEq)]
pub enum Frame {
    /// The connecting side introduces itself.
    Hello(Hello),
    /// The accepting side answers.
    Welcome(Welcome),
    /// The connecting side returns the nonce.
    Confirm(Confirm),
    /// Opens a call.
    Call {
        /// The new call.
        id: CallId,
        /// Method, time left, metadata, and the body if it fits.
        head: CallHead,
        /// The caller sends nothing further.
        end: bool,
        /// No answer is wanted.
        one_way: bool,
    },
    /// A message or a chunk of one.
    Message {
        /// The call it belongs to.
        id: CallId,
        /// The bytes.
        payload: Bytes,
        /// Last frame of this direction.
        end: bool,
        /// The message goes on in the next frame of this call.
        more: bool,
    },
    /// End of a direction, or of the call with its status.
    End(CallId, End),
    /// The caller gives up.
    Cancel(CallId, Cancel),
    /// More may be sent.
    Credit(CallId, Credit),
    /// Asks for a PONG.
    Ping(Ping),
    /// Answers a PING.
    Pong(Ping),
    /// No more calls.
    GoAway(GoAway),
    /// A kind of a later version; ignored by rule.
    Unknown,
}

impl Frame {
    /// Decodes the payload of a raw frame.
    ///
    /// # Errors
    ///
    /// [`Violation::UnexpectedFrame`] if a call frame has no call id or a connection frame
    /// has one, [`Violation::Descriptors`], and [`Violation::Malformed`].
    pub fn parse(raw: RawFrame) -> Result<Self, Violation> {
        let RawFrame { header, payload } = raw;
        if header.descriptors != 0 {
            return Err(Violation::Descriptors);
        }
        let flags = header.flags;
        let id = CallId::parse(header.call);
        Ok(match (header.kind, id) {
            (Kind::Call, Some(id)) => Self::Call {
                id,
                head: CallHead::parse(payload).map_err(|_| Violation::Malformed)?,
                end: flags.contains(Flags::END),
                one_way: flags.contains(Flags::ONE_WAY),
            },
            (Kind::Message, Some(id)) => Self::Message {
                id,
                payload,
                end: flags.contains(Flags::END),
                more: flags.contains(Flags::MORE),
            },
            (Kind::End, Some(id)) => Self::End(id, decode(payload)?),
            (Kind::Cancel, Some(id)) => Self::Cancel(id, decode(payload)?),
            (Kind::Credit, Some(id)) => Self::Credit(id, decode(payload)?),
            (Kind::Hello, None) => Self::Hello(decode(payload)?),
            (Kind::Welcome, None) => Self::Welcome(decode(payload)?),
            (Kind::Confirm, None) => Self::Confirm(decode(payload)?),
            (Kind::Ping, None) => Self::Ping(decode(payload)?),
            (Kind::Pong, None) => Self::Pong(decode(payload)?),
            (Kind::GoAway, None) => Self::GoAway(decode(payload)?),
            (Kind::Unknown(_), _) => Self::Unknown,
            (Kind::Call | Kind::Message | Kind::End | Kind::Cancel | Kind::Credit, None)
            | (
                Kind::Hello
                | Kind::Welcome
                | Kind::Confirm
                | Kind::Ping
                | Kind::Pong
                | Kind::GoAway,
                Some(_),
            ) => return Err(Violation::UnexpectedFrame),
        })
    }
}

fn decode<M: Message + Default>(payload: Bytes) -> Result<M, Violation> {
    M::decode(payload).map_err(|_| Violation::Malformed)
}

/// What stands in a header besides the length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) kind: Kind,
    pub(crate) call: Option<CallId>,
    pub(crate) flags: Flags,
}

impl Head {
    pub(crate) const fn connection(kind: Kind) -> Self {
        Self {
            kind,
            call: None,
            flags: Flags::NONE,
        }
    }

    pub(crate) const fn call(kind: Kind, id: CallId, flags: Flags) -> Self {
        Self {
            kind,
            call: Some(id),
            flags,
        }
    }
}

/// Appends one frame whose payload is `message`.
pub(crate) fn put_message<M: Message>(out: &mut BytesMut, head: Head, message: &M) {
    put_with(out, head, message.encoded_len(), |out| {
        message.encode_raw(out);
    });
}

/// Appends the header of one frame whose payload, `len` bytes, comes behind it.
#[inline]
pub(crate) fn put_header(out: &mut BytesMut, head: Head, len: usize) {
    let raw = head.call.map_or(0, CallId::get);
    let len = u32::try_from(len).unwrap_or(u32::MAX);
    out.extend_from_slice(&Header::new(head.kind, raw, head.flags, len).to_bytes());
}

/// Appends one frame whose payload is `bytes`.
pub(crate) fn put_bytes(out: &mut BytesMut, head: Head, bytes: &[u8]) {
    put_with(out, head, bytes.len(), |out| append(out, bytes));
}

/// Appends one frame whose payload `write` makes; the length in the header is what
/// `write` wrote, whatever it promised, so that a lying encoder cannot break the framing.
pub(crate) fn put_with(
    out: &mut BytesMut,
    head: Head,
    expected: usize,
    write: impl FnOnce(&mut BytesMut),
) {
    out.reserve(HEADER_LEN.saturating_add(expected));
    let start = out.len();
    put_header(out, head, expected);
    let body = out.len();
    let mut frame = Unfinished { out, keep: start };
    write(frame.out);
    let Unfinished { out, keep } = &mut frame;
    let written = out.len().saturating_sub(body);
    if written != expected {
        let len = u32::try_from(written).unwrap_or(u32::MAX);
        if let Some(field) = out.get_mut(start..start.saturating_add(4)) {
            field.copy_from_slice(&len.to_le_bytes());
        }
    }
    *keep = out.len();
}

/// A frame that is taken back if the message panics while it is written.
struct Unfinished<'a> {
    out: &'a mut BytesMut,
    keep: usize,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.out.truncate(self.keep);
    }
}
