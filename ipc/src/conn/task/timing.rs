//! The one timer of a connection, and what runs out of time.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use super::Task;
use crate::clock::now;
use crate::conn::io::Read;
use crate::conn::{Connection, Core, events};
use crate::error::ConnectionError;
use crate::timer::Timer;
use crate::wire::Violation;

impl Task {
    /// Takes up what waits in the socket first: this side may have been kept from reading, for
    /// which the peer is not to blame.
    pub(super) fn on_timer(&mut self) -> Result<(), ConnectionError> {
        let read = self.input.try_read(&self.reader);
        let fed = !matches!(read, Ok(Read::Empty));
        if fed {
            self.on_read(read)?;
        }
        self.check_time(now(), fed)
    }

    /// Ends what has run out of time; `fed` says whether the last look at the socket found something.
    pub(super) fn check_time(&mut self, now: Instant, fed: bool) -> Result<(), ConnectionError> {
        let rests = self.input.rest(now);
        let mut core = self.connection.lock();
        if rests {
            core.rest();
        }
        core.engine.handle_timeout(now, fed)?;
        if core.drained_by.is_some_and(|at| at <= now) {
            core.over.get_or_insert(ConnectionError::Shutdown);
        }
        events::expire(&mut core, now, &mut self.wakes);
        drop(core);
        // The room that the peer is to blame for may have come while this side was kept from writing.
        self.flush()?;
        let blocked = self.connection.lock().blocked;
        let blocked = blocked.map(|since| now.saturating_duration_since(since));
        if blocked.is_some_and(|blocked| blocked >= self.connection.limits.write) {
            return Err(Violation::WriteTimeout.into());
        }
        Ok(())
    }

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

impl Connection {
    /// When the task must look at the clock again.
    pub(super) fn next_deadline(&self, core: &Core) -> Option<Instant> {
        let calls = core.engine.poll_deadline();
        if core.blocked.is_none() && core.drained_by.is_none() {
            return calls;
        }
        let write = core.blocked;
        let write = write.and_then(|since| since.checked_add(self.limits.write));
        let each = [calls, write, core.drained_by];
        each.into_iter().flatten().min()
    }
}
