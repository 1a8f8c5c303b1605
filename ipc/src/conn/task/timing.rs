//! The one timer of a connection.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use super::Task;
use crate::clock::now;
use crate::timer::Timer;

impl Task {
    /// What the one timer of the connection is set to: one that fires too early costs a look
    /// at the clock, one that is moved for each call would cost every call.
    pub(super) fn arm(&self, due: Option<Instant>) -> Option<Instant> {
        match (self.timer_at(), due) {
            (Some(set), Some(due)) => Some(set.min(due)),
            (set, due) => set.or(due),
        }
    }

    pub(super) fn poll_timer(&mut self, armed: Option<Instant>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(armed) = armed else {
            self.timer = None;
            return Poll::Pending;
        };
        if self.timer_at() == Some(armed) {
            // It has this task's waker already; most calls end here.
            return Poll::Pending;
        }
        let timer = self.timer.get_or_insert_with(|| Timer::new(armed));
        if timer.at() != armed {
            timer.reset(armed);
        }
        Pin::new(timer).poll(cx)
    }

    /// When the timer will fire; `None` if it has, or soon will have. It says nothing of that
    /// itself to a task that was woken by something else, and does not say it twice.
    fn timer_at(&self) -> Option<Instant> {
        let at = self.timer.as_ref()?.at();
        (at > now()).then_some(at)
    }
}
