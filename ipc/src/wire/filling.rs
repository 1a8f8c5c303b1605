//! Chunks that are taken as they come, straight to the message they are a part of.

use bytes::{Buf, BytesMut};

use super::call::{CallId, Input};
use super::copy::append;
use super::engine::{Engine, Event};
use super::header::{Flags, HEADER_LEN, Header, Kind};
use super::violation::Violation;

/// A frame whose header has been taken, and some of its payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filling {
    id: CallId,
    len: usize,
    left: usize,
    end: bool,
    more: bool,
}

/// A message that was lent, so that the rest of its chunk can be read into it.
#[derive(Debug)]
pub struct Target {
    id: CallId,
    /// What there is of the message.
    pub bytes: BytesMut,
    /// Its length with the rest of the chunk.
    until: usize,
}

impl Target {
    /// Bytes of the chunk that are still to come.
    #[must_use]
    pub fn left(&self) -> usize {
        self.until.saturating_sub(self.bytes.len())
    }
}

impl<T: Default> Engine<T> {
    /// Begins to take the frame at the front of `buffer` as it comes, if it is a chunk of a message
    /// of which at least as much has come before, or the first of one for which a buffer was lent:
    /// nothing is allotted for a claim.
    pub(crate) fn begin_filling(&mut self, buffer: &mut BytesMut) {
        let Some(head) = buffer.first_chunk::<HEADER_LEN>() else {
            return;
        };
        let header = Header::parse(head);
        let (end, more) = (
            header.flags.contains(Flags::END),
            header.flags.contains(Flags::MORE),
        );
        let plain = header.kind == Kind::Message && header.descriptors == 0 && !(end && more);
        let Some(id) = CallId::parse(header.call).filter(|_| plain) else {
            return;
        };
        let Some(key) = self.calls.find(id) else {
            return;
        };
        let Some(call) = self.calls.get_mut(key) else {
            return;
        };
        let len = usize::try_from(header.len).unwrap_or(usize::MAX);
        // One that may grow to any size may have a buffer of any size; while nothing of its call
        // waits unread it always gets the credit to be complete.
        let begins = more && !call.receive.is_partial();
        let first = begins && !call.receive.window.is_held() && self.assembly.has_room();
        let (max, spare) = (self.ours.max_message, &mut self.spare);
        if call.receive.make_room(len, first, max, spare) {
            if first {
                self.assembly.enter(key);
            }
            buffer.advance(HEADER_LEN);
            self.filling = Some(Filling {
                id,
                len,
                left: len,
                end,
                more,
            });
        }
    }

    /// Takes what there is of the frame that is taken as it comes; `None` if there is none, or more
    /// to come.
    pub(crate) fn fill(&mut self, buffer: &mut BytesMut) -> Option<Filling> {
        let mut filling = self.filling?;
        let len = filling.left.min(buffer.len());
        if let Some(message) = self.message_of(filling.id) {
            append(message, buffer.get(..len).unwrap_or_default());
        }
        buffer.advance(len);
        filling.left = filling.left.saturating_sub(len);
        self.filling = Some(filling).filter(|filling| filling.left > 0);
        self.filling.is_none().then_some(filling)
    }

    /// The frame has come as a whole.
    pub(crate) fn on_filled(&mut self, filling: Filling) -> Result<Option<Event>, Violation> {
        let Filling {
            id, len, end, more, ..
        } = filling;
        let Some(key) = self.step(id, Input::message(end))? else {
            return Ok(None);
        };
        let Some(call) = self.calls.get_mut(key) else {
            return Ok(None);
        };
        let whole = call.receive.filled(len, more, &mut self.spare)?;
        self.on_part(key, whole, end)
    }

    /// Whether a chunk is taken as it comes.
    #[must_use]
    pub fn is_filling(&self) -> bool {
        self.filling.is_some()
    }

    /// Lends the message whose chunk is taken as it comes.
    pub fn take_target(&mut self) -> Option<Target> {
        let Filling { id, left, .. } = self.filling?;
        let bytes = std::mem::take(self.message_of(id)?);
        let until = bytes.len().saturating_add(left);
        Some(Target { id, bytes, until })
    }

    /// Takes it back.
    pub fn put_target(&mut self, target: Target) {
        let left = target.left();
        if let Some(message) = self.message_of(target.id) {
            *message = target.bytes;
        }
        if let Some(filling) = &mut self.filling {
            filling.left = left;
        }
    }

    /// What there is of the unfinished message of an open call.
    fn message_of(&mut self, id: CallId) -> Option<&mut BytesMut> {
        let key = self.calls.find(id)?;
        self.calls.get_mut(key)?.receive.unfinished()
    }
}
