//! What has arrived for a call, for the one who waits for it.

use std::task::{Context, Poll};

use super::{Connection, Ending, register, wake};
use crate::wire::{Key, Whole};

impl Connection {
    /// The next message of a call, or how it ended.
    pub(crate) fn poll_message(
        &self,
        key: Key,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Whole, Ending>> {
        let mut core = self.lock();
        let Some(slot) = core.engine.user_mut(key) else {
            return Poll::Ready(Err(core.forgotten()));
        };
        if let Some(whole) = slot.pop() {
            return Poll::Ready(Ok(whole));
        }
        if let Some(ending) = &slot.ending {
            return Poll::Ready(Err(ending.clone()));
        }
        register(&mut slot.reader, cx.waker());
        Poll::Pending
    }

    /// The one message of an answer, if there is one, with how the call ended, which is let
    /// go; `None` if there are two.
    pub(super) fn poll_answer(
        &self,
        key: Key,
        cx: &mut Context<'_>,
    ) -> Poll<Option<(Option<Whole>, Ending)>> {
        let mut core = self.lock();
        let Some(slot) = core.engine.user_mut(key) else {
            return Poll::Ready(Some((None, core.forgotten())));
        };
        if slot.has_several() {
            return Poll::Ready(None);
        }
        if let Some(ending) = slot.ending.take() {
            let answer = (slot.pop(), ending);
            core.release(key);
            let waker = core.want_if_ending();
            drop(core);
            wake(waker);
            return Poll::Ready(Some(answer));
        }
        register(&mut slot.reader, cx.waker());
        Poll::Pending
    }

    /// Gives back the credit of a message that was read.
    pub(crate) fn consumed(&self, key: Key, cost: u32) {
        let mut core = self.lock();
        if let Err(violation) = core.engine.consumed(key, cost) {
            core.over.get_or_insert_with(|| violation.into());
        }
        if core.over.is_none() && (core.batching || core.engine.backlog() == 0) {
            return;
        }
        let waker = core.want();
        drop(core);
        wake(waker);
    }
}
