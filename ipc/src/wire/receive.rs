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
                partial.grow(payload.len(), spare);
                append(&mut partial.bytes, &payload);
                return Ok(self.join(cost, more));
            }
        };
        self.window.hold(whole.cost);
        Ok(Some(whole))
    }

    /// Makes room for a chunk of the message in the making, if as much of that has come already.
    pub(crate) fn make_room(
        &mut self,
        len: usize,
        max_message: u32,
        spare: &mut Option<BytesMut>,
    ) -> bool {
        let max = usize::try_from(max_message).unwrap_or(usize::MAX);
        let allowed = self.window.allows(cost(len));
        let fits = |partial: &&mut Box<Partial>| {
            let have = partial.bytes.len();
            len <= have && have.saturating_add(len) <= max
        };
        let partial = self.partial.as_mut().filter(fits).filter(|_| allowed);
        partial.is_some_and(|partial| {
            partial.grow(len, spare);
            true
        })
    }

    /// What there is of the message in the making.
    pub(crate) fn unfinished(&mut self) -> Option<&mut BytesMut> {
        self.partial.as_mut().map(|partial| &mut partial.bytes)
    }

    /// Counts a chunk that [`Self::make_room`] made room for, and that is there.
    pub(crate) fn filled(&mut self, len: usize, more: bool) -> Result<Option<Whole>, Violation> {
        let cost = cost(len);
        self.window.arrived(cost)?;
        Ok(self.join(cost, more))
    }

    /// A chunk of the message in the making is there.
    fn join(&mut self, cost: u32, more: bool) -> Option<Whole> {
        let partial = self.partial.as_mut()?;
        partial.cost = partial.cost.saturating_add(cost);
        if more {
            return None;
        }
        let Partial { bytes, cost } = *self.partial.take()?;
        self.window.hold(cost);
        let bytes = bytes.freeze();
        Some(Whole { bytes, cost })
    }
}

impl Partial {
    /// Makes room. The spare buffer is used in place of a new one that would be as large up
    /// to a factor: a few bytes must not keep megabytes.
    fn grow(&mut self, more: usize, spare: &mut Option<BytesMut>) {
        let len = self.bytes.len().saturating_add(more);
        let fits = |spare: &mut BytesMut| {
            let room = spare.capacity();
            len <= room && room <= len.saturating_mul(ROOMY)
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
