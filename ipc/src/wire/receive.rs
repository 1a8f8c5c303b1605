//! The receiving half of one call: window and the message in the making.

use bytes::{Bytes, BytesMut};

use super::copy::append;
use super::credit::{Window, cost};
use super::violation::Violation;

/// What one call has received and not yet passed on.
#[derive(Debug)]
pub(crate) struct ReceiveHalf {
    pub(crate) window: Window,
    /// Boxed: few messages come in chunks.
    partial: Option<Box<Partial>>,
}

#[derive(Debug, Default)]
struct Partial {
    bytes: BytesMut,
    cost: u32,
}

/// A complete message and what it takes from the window while it waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    /// The message.
    pub bytes: Bytes,
    /// What to give back when it has been read.
    pub cost: u32,
}

impl ReceiveHalf {
    pub(crate) const fn new(window: u32) -> Self {
        Self {
            window: Window::new(window),
            partial: None,
        }
    }

    /// Whether a message was begun and not completed.
    pub(crate) fn is_partial(&self) -> bool {
        self.partial.is_some()
    }

    /// Bytes of the message in the making.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn partial_len(&self) -> usize {
        let partial = self.partial.as_ref();
        partial.map_or(0, |partial| partial.bytes.len())
    }

    /// Takes a frame; a complete message is held until [`Window::release`].
    ///
    /// `spare` is a large buffer to reuse for a message of several chunks that fills a part of it.
    pub(crate) fn message(
        &mut self,
        payload: Bytes,
        more: bool,
        max_message: u32,
        spare: &mut Option<BytesMut>,
    ) -> Result<Option<Whole>, Violation> {
        let cost = cost(payload.len());
        self.window.arrived(cost)?;
        let max = usize::try_from(max_message).unwrap_or(usize::MAX);
        let have = self
            .partial
            .as_ref()
            .map_or(0, |partial| partial.bytes.len());
        if have.saturating_add(payload.len()) > max {
            return Err(Violation::MessageTooLarge { limit: max_message });
        }
        let whole = match (&mut self.partial, more) {
            // A message that waits behind others would keep its whole read buffer alive.
            (None, false) if self.window.is_held() && !payload.is_unique() => Whole {
                bytes: Bytes::copy_from_slice(&payload),
                cost,
            },
            (None, false) => Whole {
                bytes: payload,
                cost,
            },
            (partial, more) => {
                let partial = partial.get_or_insert_default();
                partial.grow(payload.len(), ROOMY, spare);
                append(&mut partial.bytes, &payload);
                return Ok(self.join(cost, more, spare));
            }
        };
        self.window.hold(whole.cost);
        Ok(Some(whole))
    }

    /// Makes room for a chunk of the message in the making, if as much of that has come already.
    /// The first chunk has only what `spare` has, if it is the `first` of a message that may grow.
    pub(crate) fn make_room(
        &mut self,
        len: usize,
        first: bool,
        max_message: u32,
        spare: &mut Option<BytesMut>,
    ) -> bool {
        let max = usize::try_from(max_message).unwrap_or(usize::MAX);
        let lent = spare.as_ref().map_or(0, BytesMut::capacity);
        let (have, room, roomy) = match &self.partial {
            Some(partial) => (partial.bytes.len(), partial.bytes.len(), ROOMY),
            None if first && lent <= max.saturating_mul(2) => (0, lent, usize::MAX),
            None => return false,
        };
        let fits = len <= room && have.saturating_add(len) <= max;
        if !fits || !self.window.allows(cost(len)) {
            return false;
        }
        let partial = self.partial.get_or_insert_default();
        partial.grow(len, roomy, spare);
        true
    }

    /// Lets go of the message in the making: the call is over.
    pub(crate) fn abandon(&mut self) {
        self.partial = None;
    }

    /// What there is of the message in the making.
    pub(crate) fn unfinished(&mut self) -> Option<&mut BytesMut> {
        self.partial.as_mut().map(|partial| &mut partial.bytes)
    }

    /// Counts a chunk that [`Self::make_room`] made room for, and that is there.
    pub(crate) fn filled(
        &mut self,
        len: usize,
        more: bool,
        spare: &mut Option<BytesMut>,
    ) -> Result<Option<Whole>, Violation> {
        let cost = cost(len);
        self.window.arrived(cost)?;
        Ok(self.join(cost, more, spare))
    }

    /// A chunk of the message in the making is there. A few bytes must not keep megabytes: a message
    /// that fills little of its buffer leaves it to the next.
    fn join(&mut self, cost: u32, more: bool, spare: &mut Option<BytesMut>) -> Option<Whole> {
        let partial = self.partial.as_mut()?;
        partial.cost = partial.cost.saturating_add(cost);
        if more {
            return None;
        }
        let Partial { mut bytes, cost } = *self.partial.take()?;
        self.window.hold(cost);
        if bytes.capacity() > bytes.len().saturating_mul(ROOMY) {
            let mut fitting = BytesMut::with_capacity(bytes.len());
            append(&mut fitting, &bytes);
            spare.get_or_insert(std::mem::replace(&mut bytes, fitting));
        }
        let bytes = bytes.freeze();
        Some(Whole { bytes, cost })
    }
}

impl Partial {
    /// Makes room. The spare buffer is used in place of a new one if it is at most `roomy` times as large.
    fn grow(&mut self, more: usize, roomy: usize, spare: &mut Option<BytesMut>) {
        let len = self.bytes.len().saturating_add(more);
        let fits = |spare: &mut BytesMut| {
            let room = spare.capacity();
            len <= room && room <= len.saturating_mul(roomy)
        };
        if len > self.bytes.capacity()
            && let Some(mut large) = spare.take_if(fits)
        {
            append(&mut large, &self.bytes);
            self.bytes = large;
        }
        self.bytes.reserve(more);
    }
}

/// How many times larger than what it holds a reused buffer may be.
const ROOMY: usize = 4;
