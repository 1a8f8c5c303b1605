//! A hold on one call: as long as it lives, the call's state is kept.

use std::task::{Context, Poll, ready};

use super::{Connection, Ending, wake};
use crate::error::Failure;
use crate::status::Code;
use crate::sync::{Arc, AtomicBool, Ordering};
use crate::wire::{Body, Key, Role, SendError, Whole};

/// A hold on one call. A call of ours that is still open is cancelled when it is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) connection: Arc<Connection>,
    pub(crate) key: Key,
    role: Role,
    /// The call was let go together with its answer.
    released: bool,
    /// The permit of a call of ours was given back.
    repaid: AtomicBool,
}

impl Held {
    pub(crate) fn incoming(connection: Arc<Connection>, key: Key) -> Self {
        Self {
            connection,
            key,
            role: Role::Callee,
            released: false,
            repaid: AtomicBool::new(false),
        }
    }

    pub(crate) fn outgoing(connection: Arc<Connection>, key: Key) -> Self {
        Self {
            connection,
            key,
            role: Role::Caller,
            released: false,
            repaid: AtomicBool::new(false),
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

    /// Waits until a one-way call of ours was handed over as a whole, and lets go of it.
    pub(crate) fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let mut core = self.connection.lock();
        let slot = core.engine.user_mut(self.key);
        let sent = match slot.and_then(|slot| slot.ending.take()) {
            Some(ending) => ending.into_result().map(drop),
            None if core.engine.is_done(self.key) => Ok(()),
            None => {
                core.wait_for_room(Some(self.key), cx.waker());
                return Poll::Pending;
            }
        };
        core.release(self.key);
        let waker = core.want_if_ending();
        drop(core);
        wake(waker);
        self.released = true;
        Poll::Ready(sent)
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

    /// Gives back the permit of a call of ours, which is over whoever still holds it.
    pub(crate) fn repay(&self) {
        if self.is_ours() && !self.repaid.swap(true, Ordering::Relaxed) {
            self.connection.slots().add_permits(1);
        }
    }

    /// Whether we opened the call.
    pub(crate) fn is_ours(&self) -> bool {
        self.role == Role::Caller
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        match self.role {
            _ if self.released => {}
            Role::Callee => self.connection.release(self.key),
            Role::Caller => self.connection.abandon(self.key, Code::Cancelled.to_u32()),
        }
        // Nobody else is left, so a look is enough, which costs a call less than a swap.
        if self.is_ours() && !self.repaid.load(Ordering::Relaxed) {
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
