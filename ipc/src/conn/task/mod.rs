//! The task of a connection: socket to engine, engine to socket, and the timer.
//!
//! It has one shape: wait, read or flush or check the time, again. It is the only reader of
//! the socket.

#[cfg(test)]
mod tests;
mod timing;
mod yields;

use std::future::poll_fn;
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::time::timeout_at;
use tracing::debug;

use self::yields::Yield;
use super::busy::BusyPoll;
use super::core::Flushed;
use super::input::Input;
use super::io::{Read, Reader, Writable};
use super::{Connection, Wakes, events, register};
use crate::clock::{end_of, now};
use crate::error::ConnectionError;
use crate::sync::Arc;
use crate::timer::Timer;
use crate::wire::Violation;

/// The task that owns the reading side of a connection.
#[derive(Debug)]
pub(crate) struct Task {
    connection: Arc<Connection>,
    reader: Reader,
    input: Input,
    busy: BusyPoll,
    writable: Option<Writable>,
    timer: Option<Timer>,
    /// A flush was asked for, and the others have had their turn to add to it.
    yielded: bool,
    /// Calls that were run since the others had their turn, and input that was taken up, in [`BYTES`];
    /// not what was read straight into its message, which costs nothing more.
    turn: u32,
    /// More of them may wait for the next turn; whether the others have had theirs.
    behind: Option<bool>,
    /// The last look at the core found nothing to do and the waker in its place.
    settled: bool,
    yields: Yield,
    /// Kept for its memory.
    wakes: Wakes,
}

/// Why the task woke up.
enum Wake {
    Input,
    Read(std::io::Result<Read>),
    Writable,
    Flush,
    Timer,
}

impl Task {
    /// A task for a connection; `input` is what came behind the handshake.
    pub(crate) fn new(connection: Arc<Connection>, reader: Reader, input: BytesMut) -> Self {
        Self {
            busy: BusyPoll::new(&connection.limits),
            connection,
            reader,
            input: Input::new(input),
            writable: None,
            timer: None,
            yielded: false,
            turn: 0,
            behind: None,
            settled: false,
            yields: Yield::here(),
            wakes: Wakes::default(),
        }
    }

    /// Runs the connection until it ends, and says why it did.
    pub(crate) async fn run(mut self) -> ConnectionError {
        let reason = self.serve().await;
        debug!(
            reason = &reason as &dyn std::error::Error,
            "connection ended"
        );
        self.finish(&reason);
        self.linger().await;
        reason
    }

    /// Tells the peer what it did wrong, and every call that it is over.
    fn finish(&mut self, reason: &ConnectionError) {
        let wakes = &mut self.wakes;
        let mut core = self.connection.lock();
        if let ConnectionError::Violation(violation) = reason {
            core.engine
                .go_away(violation.code(), &violation.to_string());
            core.flush(wakes);
        }
        core.close(reason.clone(), wakes);
        let writer = core.hang_up();
        drop(core);
        wakes.run();
        self.connection.slots.close();
        self.connection.ended.cancel();
        if let Some(writer) = writer {
            writer.close();
        }
    }

    /// Waits for the handlers of one-way calls: after their caller has left they have as long
    /// as calls have at the end of a server, and no longer than those.
    async fn linger(&self) {
        let connection = &self.connection;
        connection.handlers.close();
        let handlers = &connection.handlers;
        if handlers.is_empty() {
            return;
        }
        let until = end_of(now(), connection.limits.drain);
        let until = connection
            .lock()
            .drained_by
            .map_or(until, |at| at.min(until));
        if timeout_at(until.into(), handlers.wait()).await.is_err() {
            connection.stop_handlers();
            handlers.wait().await;
        }
    }

    async fn serve(&mut self) -> ConnectionError {
        if let Err(reason) = self.take_input() {
            return reason;
        }
        loop {
            let step = match poll_fn(|cx| self.poll_next(cx)).await {
                Wake::Input => self.take_input(),
                Wake::Read(read) => self.on_read(read),
                Wake::Writable | Wake::Flush => self.flush(),
                Wake::Timer => self.on_timer(),
            };
            if let Err(reason) = step {
                return reason;
            }
        }
    }

    /// Whoever waits lets the others have their turn.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Wake> {
        let wake = self.poll_wake(cx);
        if wake.is_pending() {
            self.turn = 0;
        }
        wake
    }

    fn poll_wake(&mut self, cx: &mut Context<'_>) -> Poll<Wake> {
        if let Some(yielded) = &mut self.behind {
            if std::mem::replace(yielded, true) {
                return Poll::Ready(Wake::Input);
            }
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if let Poll::Ready(read) = self.input.poll_read(&self.reader, cx) {
            return Poll::Ready(Wake::Read(read));
        }
        if let Some(writable) = &self.writable
            && writable.poll(cx).is_ready()
        {
            self.writable = None;
            return Poll::Ready(Wake::Writable);
        }
        if std::mem::take(&mut self.busy.yielded)
            && let Poll::Ready(read) = self.look()
        {
            return Poll::Ready(Wake::Read(read));
        }
        if std::mem::take(&mut self.settled) {
            return self.sleep(cx);
        }
        let mut core = self.connection.lock();
        if core.wanted && (self.yielded || core.is_flushed()) {
            core.wanted = false;
            self.yielded = false;
            return Poll::Ready(Wake::Flush);
        }
        if core.wanted {
            // Behind the tasks that are ready now, so that their frames go with this write.
            self.yielded = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        register(&mut core.task, cx.waker());
        let next = self.connection.next_deadline(&core);
        let armed = self.arm(next.into_iter().chain(self.input.rest_at()).min());
        core.armed = armed;
        drop(core);
        if self.poll_timer(armed, cx).is_ready() {
            return Poll::Ready(Wake::Timer);
        }
        self.sleep(cx)
    }

    /// Sleeps, or looks at the socket first, behind the tasks that are ready now: one of them may
    /// send what the peer is to answer.
    fn sleep(&mut self, cx: &mut Context<'_>) -> Poll<Wake> {
        if self.busy.pays() {
            self.busy.yielded = true;
            self.yields.to_others(cx);
        }
        Poll::Pending
    }

    /// Looks for input until that has lasted long enough, or there is something else to do.
    fn look(&mut self) -> Poll<std::io::Result<Read>> {
        let (until, looks) = self.busy.bounds(now());
        for _ in 0..looks {
            let read = self.input.try_read(&self.reader);
            if !matches!(read, Ok(Read::Empty)) {
                self.busy.learn(true);
                return Poll::Ready(read);
            }
            if self.connection.lock().wanted {
                return Poll::Pending;
            }
            if now() >= until {
                break;
            }
        }
        self.busy.learn(false);
        Poll::Pending
    }

    fn on_read(&mut self, read: std::io::Result<Read>) -> Result<(), ConnectionError> {
        match read? {
            Read::More | Read::Drained | Read::Empty => {
                self.busy.fed();
                self.take_input()
            }
            Read::Descriptors => Err(Violation::Descriptors.into()),
            Read::Eof => {
                self.connection
                    .lock()
                    .engine
                    .handle_eof(&self.input.bytes)?;
                Err(ConnectionError::Closed)
            }
        }
    }

    /// Takes up all that was read, and writes at once what came of it: under one lock, which is
    /// let go only to run a handler.
    fn take_input(&mut self) -> Result<(), ConnectionError> {
        let connection = &self.connection;
        let (now, wakes) = (now(), &mut self.wakes);
        let mut core = connection.lock();
        if self.input.bytes.len() > LENDING || self.input.target.is_some() {
            core.engine.lend(connection.pool.take());
        }
        if let Some(target) = self.input.target.take() {
            core.engine.put_target(target);
        }
        core.batching = true;
        let before = self.input.bytes.len();
        let taken = loop {
            if self.turn >= TURN {
                break Ok(());
            }
            match events::take(
                &mut core,
                &mut self.input.bytes,
                &connection.pool,
                now,
                wakes,
            ) {
                Ok(Some(arrived)) => {
                    drop(core);
                    connection.dispatch.run(connection, arrived);
                    core = connection.lock();
                    self.turn += 1;
                }
                Ok(None) if core.engine.spare.is_none() && !self.input.bytes.is_empty() => {
                    core.engine.lend(connection.pool.take());
                }
                other => break other.map(drop),
            }
        };
        core.batching = false;
        let bytes = before.saturating_sub(self.input.bytes.len());
        self.turn += u32::try_from(bytes / BYTES).unwrap_or(TURN);
        self.behind = (self.turn >= TURN).then_some(false);
        if core.engine.is_filling() {
            self.input.target = core.engine.take_target();
        }
        if let Some(spare) = core.engine.reclaim() {
            connection.pool.give(spare);
        }
        let flushed = if taken.is_err() || core.is_flushed() {
            Flushed::All
        } else {
            let flushed = core.flush_some(wakes);
            core.noted(flushed)
        };
        let ended = taken.and_then(|()| core.verdict());
        self.input.taken(now, core.is_wide());
        let next = connection.next_deadline(&core);
        // A peer that never stops sending must not keep the timer from its turn.
        let due = next.is_some_and(|at| at <= now);
        let mut timed = next.into_iter().chain(self.input.rest_at());
        let in_time = timed.all(|next| core.armed.is_some_and(|armed| armed <= next));
        // One that has fired is armed no more, whatever the core says.
        let fired = self.timer.as_ref().is_some_and(|timer| timer.at() <= now);
        self.settled = !core.wanted && core.task.is_some() && in_time && !fired;
        drop(core);
        self.after(flushed, ended)?;
        if due {
            self.check_time(now, true)
        } else {
            Ok(())
        }
    }

    /// Writes what waits; asks to be woken when there is room for the rest.
    fn flush(&mut self) -> Result<(), ConnectionError> {
        self.settled = false;
        let connection = &*self.connection;
        let mut core = connection.lock();
        let flushed = core.flush_some(&mut self.wakes);
        let flushed = core.noted(flushed);
        let ended = core.verdict();
        let wide = core.is_wide();
        drop(core);
        if wide {
            self.input.rest_later(now());
        }
        self.after(flushed, ended)
    }

    /// What is done once the lock is released.
    fn after(
        &mut self,
        flushed: Flushed,
        ended: Result<(), ConnectionError>,
    ) -> Result<(), ConnectionError> {
        self.wakes.run();
        ended?;
        if flushed == Flushed::Blocked && self.writable.is_none() {
            self.writable = self.connection.lock().writable()?;
        }
        Ok(())
    }
}

/// Also when its runtime ends or a service panics: nobody may wait for a connection that has
/// no task.
impl Drop for Task {
    fn drop(&mut self) {
        self.finish(&ConnectionError::Shutdown);
    }
}

/// Calls that are run before others have their turn: the peer may send more than there is memory or
/// time for, as one-way or cancelled at once.
const TURN: u32 = 256;
/// Input that counts as a call: what is in it may be many frames that are none.
const BYTES: usize = 4_096;
/// Input in bytes from which on a large message is likely.
const LENDING: usize = 16_384;
