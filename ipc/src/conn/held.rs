//! A hold on one call: as long as it lives, the call's state is kept.

use std::task::{Context, Poll, ready};

use super::{Connection, Ending};
use crate::status::Code;
use crate::sync::Arc;
use crate::wire::{Body, Key, SendError, Whole};

/// A hold on one call. A call of ours that is still open is cancelled when it is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) connection: Arc<Connection>,
    pub(crate) key: Key,
    part: Part,
    /// The call was let go together with its answer.
    released: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// The peer opened the call.
    Incoming,
    /// We opened it; it holds a permit.
    Outgoing,
    /// We opened it; it goes on by itself.
    OneWay,
}

impl Held {
    pub(crate) const fn incoming(connection: Arc<Connection>, key: Key) -> Self {
        Self {
            connection,
            key,
            part: Part::Incoming,
            released: false,
        }
    }

    pub(crate) const fn outgoing(connection: Arc<Connection>, key: Key, answered: bool) -> Self {
        let part = if answered {
            Part::Outgoing
        } else {
            Part::OneWay
        };
        Self {
            connection,
            key,
            part,
            released: false,
        }
    }

    /// Waits for the one answer of a call of ours; `None` if there are two.
    ///
    /// Lets go of the call in the same breath, so that dropping this has nothing left to lock.
    pub(crate) fn poll_answer(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<(Option<Whole>, Ending)>> {
        let answer = ready!(self.connection.poll_answer(self.key, cx));
        self.released = answer.is_some();
        Poll::Ready(answer)
    }

    /// Answers a call of the peer with a success.
    pub(crate) fn respond<H: Hold>(held: &mut H, body: Body<'_>) -> Result<(), SendError> {
        let sole = held.sole().is_some();
        let Self {
            connection, key, ..
        } = held.as_ref();
        connection.respond(*key, body, sole)?;
        if sole && let Some(held) = held.sole() {
            held.released = true;
        }
        Ok(())
    }

    /// Whether we opened the call.
    pub(crate) fn is_ours(&self) -> bool {
        self.part != Part::Incoming
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        match self.part {
            _ if self.released => {}
            Part::Incoming | Part::OneWay => self.connection.release(self.key),
            Part::Outgoing => self.connection.abandon(self.key, Code::Cancelled.to_u32()),
        }
        if self.part == Part::Outgoing {
            self.connection.slots().add_permits(1);
        }
    }
}

impl AsRef<Self> for Held {
    fn as_ref(&self) -> &Self {
        self
    }
}

/// A hold that may be shared with streams of the same call.
pub(crate) trait Hold: AsRef<Held> {
    /// The hold, if nobody shares it.
    fn sole(&mut self) -> Option<&mut Held>;
}

impl Hold for Held {
    fn sole(&mut self) -> Option<&mut Held> {
        Some(self)
    }
}

impl Hold for Arc<Held> {
    fn sole(&mut self) -> Option<&mut Held> {
        Self::get_mut(self)
    }
}
