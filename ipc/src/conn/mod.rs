//! One connection: its state behind one short lock, and the task that owns its socket.
//!
//! Callers encode straight into the output under the lock. One that is alone writes itself;
//! otherwise the task writes for all, after it has let the others go first.

mod busy;
mod core;
mod dispatch;
pub(crate) mod events;
mod failed;
#[cfg(test)]
pub(crate) mod fixture;
mod held;
mod input;
pub(crate) mod io;
#[cfg(all(test, ipc_loom))]
pub(crate) mod loom_tests;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod memory;
mod reading;
mod slot;
mod task;
#[cfg(all(test, not(ipc_loom)))]
mod tests;
mod wakes;
mod writing;

use std::task::{Context, Poll, Waker};

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use self::core::{Core, Flushed};
pub(crate) use self::dispatch::Dispatch;
pub(crate) use self::events::Arrived;
pub(crate) use self::failed::{not_opened, unsent};
pub(crate) use self::held::{Held, Hold};
use self::input::IDLE;
pub(crate) use self::slot::Ending;
use self::slot::going_away;
pub(crate) use self::task::Task;
pub(crate) use self::wakes::Wakes;
use self::wakes::{register, wake};
use crate::clock::{end_of, now};
use crate::complaints::Complaints;
use crate::error::{ConnectionError, Failure, Outcome};
use crate::limits::Limits;
use crate::peer::Peer;
use crate::pool::Pool;
use crate::status::Code;
use crate::sync::{Arc, Mutex, MutexGuard};
use crate::wire::messages::End;
use crate::wire::{Body, CallId, Engine, Established, GoAwayCode, Key, Open, SendError, Side};

/// One connection, as all its calls share it.
#[derive(Debug)]
pub(crate) struct Connection {
    core: Mutex<Core>,
    /// One permit for each call the peer lets us have open.
    slots: Arc<Semaphore>,
    pub(crate) limits: Limits,
    pub(crate) peer: Peer,
    pub(crate) dispatch: Arc<dyn Dispatch>,
    pub(crate) pool: Arc<Pool>,
    pub(crate) complaints: Arc<Complaints>,
    pub(crate) handlers: TaskTracker,
    /// Cancelled when the connection is over.
    pub(crate) ended: CancellationToken,
}

/// What a connection is made of besides its socket.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) side: Side,
    pub(crate) limits: Limits,
    pub(crate) peer: Peer,
    pub(crate) dispatch: Arc<dyn Dispatch>,
    pub(crate) pool: Arc<Pool>,
    pub(crate) complaints: Arc<Complaints>,
}

impl Connection {
    /// A connection after its handshake. Nothing moves until its [`Task`] runs.
    pub(crate) fn new(writer: io::Writer, setup: Setup, established: &Established) -> Arc<Self> {
        let Setup {
            side,
            limits,
            peer,
            dispatch,
            pool,
            complaints,
        } = setup;
        let calls = usize::try_from(established.limits.max_calls).unwrap_or(usize::MAX);
        let slots = Arc::new(Semaphore::new(calls.min(Semaphore::MAX_PERMITS)));
        let mut core = Core::new(Engine::new(side, &limits, established), writer);
        core.slots = Some(Arc::clone(&slots));
        Arc::new(Self {
            core: Mutex::new(core),
            slots,
            limits,
            peer,
            dispatch,
            pool,
            complaints,
            handlers: TaskTracker::new(),
            ended: CancellationToken::new(),
        })
    }

    /// The state. A panic while it was held leaves the output in doubt, so the
    /// connection ends there.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(|poisoned| {
            let mut core = poisoned.into_inner();
            core.over.get_or_insert(ConnectionError::Shutdown);
            wake(core.want());
            core
        })
    }

    /// The permits for calls of ours.
    pub(crate) fn slots(&self) -> &Semaphore {
        &self.slots
    }

    /// Whether the peer has announced that it takes none, so that waiting is in vain.
    pub(crate) fn takes_no_calls(&self) -> bool {
        let core = self.lock();
        core.over.is_none() && core.engine.peer_limits().max_calls == 0
    }

    /// Opens a call; the caller holds a permit of [`Self::slots`].
    /// A `busy` one counts among those that wait for an answer, `reader` waits for it already.
    pub(crate) fn open(
        &self,
        open: Open<'_>,
        busy: bool,
        reader: Option<&Waker>,
    ) -> Result<Key, Failure> {
        let _alarm = Alarm(self);
        let mut wakes = Wakes::default();
        let mut core = self.lock();
        if let Some(reason) = &core.over {
            return Err(Failure::lost(reason, Outcome::NotSent));
        }
        let deadline = open.deadline;
        let key = core.engine.open(open).map_err(not_opened)?;
        if let Some(slot) = core.engine.user_mut(key) {
            slot.reader = reader.cloned();
        }
        if busy {
            core.enter(key);
        }
        self.push(&mut core, &mut wakes);
        let deadline = deadline.filter(|_| !core.engine.is_done(key));
        wakes.add(core.want_timer(deadline));
        drop(core);
        Ok(key)
    }

    /// Whether a new call need not wait for the output to shrink, which it does not once it is over.
    pub(crate) fn has_room(&self) -> bool {
        let core = self.lock();
        core.over.is_some() || !core.must_wait(None, self.limits.outbox)
    }

    /// Waits until a message of this call, or a new call, may be sent.
    pub(crate) fn poll_room(&self, key: Option<Key>, cx: &mut Context<'_>) -> Poll<()> {
        let mut core = self.lock();
        let done = key.is_some_and(|key| core.engine.is_done(key));
        if core.over.is_some() || done || !core.must_wait(key, self.limits.outbox) {
            return Poll::Ready(());
        }
        core.wait_for_room(key, cx.waker());
        Poll::Pending
    }

    /// Sends a message of an open call.
    pub(crate) fn send(&self, key: Key, body: Body<'_>, end: bool) -> Result<(), SendError> {
        self.with_output(|core, _| core.engine.send(key, body, end))
    }

    /// Does something to the engine that may queue frames, and gets them on their way.
    pub(crate) fn with_output<R>(&self, change: impl FnOnce(&mut Core, &mut Wakes) -> R) -> R {
        let _alarm = Alarm(self);
        let mut wakes = Wakes::default();
        let mut core = self.lock();
        let result = change(&mut core, &mut wakes);
        wakes.add(core.want_if_ending());
        self.push(&mut core, &mut wakes);
        drop(core);
        result
    }

    /// Ends our direction of a call, which on the called side is the call; see [`Engine::end`].
    pub(crate) fn end(&self, key: Key, end: &End) {
        self.with_output(|core, wakes| {
            core.engine.end(key, end);
            events::answered(core, key, wakes);
        });
    }

    /// The failure of a call that cannot be sent any more.
    pub(crate) fn lost(&self) -> Failure {
        let core = self.lock();
        let reason = match &core.over {
            Some(reason) => reason.clone(),
            None if core.engine.peer_is_going() => going_away(),
            None => ConnectionError::Shutdown,
        };
        drop(core);
        Failure::lost(&reason, Outcome::NotSent)
    }

    /// Takes no more calls of the peer; the connection ends when those it has are done, or
    /// [`Limits::drain`] has passed.
    pub(crate) fn drain(&self) {
        let mut core = self.lock();
        core.engine.go_away(GoAwayCode::DRAINING, "shutting down");
        core.draining = true;
        core.drained_by = now().checked_add(self.limits.drain);
        let waker = core.want();
        drop(core);
        wake(waker);
    }

    /// Ends the connection now.
    pub(crate) fn close(&self) {
        let mut core = self.lock();
        core.over.get_or_insert(ConnectionError::Shutdown);
        let waker = core.want();
        drop(core);
        wake(waker);
    }

    /// Stops the handler of a call of the peer, if the key still names that call.
    pub(crate) fn stop_handler(&self, key: Key, id: CallId) {
        let mut wakes = Wakes::default();
        let mut core = self.lock();
        if core.engine.id(key) == Some(id)
            && let Some(slot) = core.engine.user_mut(key)
        {
            slot.stop(&mut wakes);
        }
    }

    /// Answers a call of the peer that nothing holds, if the key still names that call.
    pub(crate) fn disown(&self, key: Key, id: CallId, end: &End) {
        self.with_output(|core, _| {
            if core.engine.id(key) == Some(id) {
                core.engine.end(key, end);
                core.release(key);
            }
        });
    }

    /// Stops the handlers that go on although the connection is over.
    fn stop_handlers(&self) {
        let mut wakes = Wakes::default();
        let mut core = self.lock();
        for (_, _, slot) in core.engine.users_mut() {
            slot.stop(&mut wakes);
        }
        drop(core);
    }

    /// Answers a call of the peer with a success: the message, and what the handler wants to
    /// go beside it. With `release`, lets go of the call if that went well.
    fn respond(&self, key: Key, body: Body<'_>, release: bool) -> Result<(), SendError> {
        let _alarm = Alarm(self);
        let mut wakes = Wakes::default();
        let mut core = self.lock();
        core.respond(key, body)?;
        if !core.engine.is_done(key) {
            // It waits for credit, which the peer owes without having to read anything, or for
            // the socket.
            let until = end_of(now(), self.limits.write);
            core.engine.expire_by(key, until);
            wakes.add(core.want_timer(Some(until)));
        }
        if release {
            core.release(key);
        } else {
            events::answered(&mut core, key, &mut wakes);
        }
        wakes.add(core.want_if_ending());
        self.push(&mut core, &mut wakes);
        drop(core);
        Ok(())
    }

    /// Lets go of a call of ours: an open one is cancelled, so that its handler stops.
    pub(crate) fn abandon(&self, key: Key, code: u32) {
        let mut wakes = Wakes::default();
        let mut core = self.lock();
        core.give_up(key, code, &mut wakes);
        core.release(key);
        wakes.add(core.want_if_ending());
        drop(core);
    }

    /// Gives up a call of ours that others may still hold.
    pub(crate) fn cancel(&self, key: Key) {
        let mut wakes = Wakes::default();
        let mut core = self.lock();
        core.give_up(key, Code::Cancelled.to_u32(), &mut wakes);
        drop(core);
    }

    /// Lets go of a call of the peer.
    pub(crate) fn release(&self, key: Key) {
        let mut core = self.lock();
        core.release(key);
        let waker = core.want_if_ending();
        drop(core);
        wake(waker);
    }

    /// Asks for the end of the connection once calls of ours are over and all is written.
    pub(crate) fn close_when_done(&self) {
        let mut core = self.lock();
        core.closing = true;
        let waker = core.want();
        drop(core);
        wake(waker);
    }

    /// Writes now if that is right, else asks the task to.
    fn push(&self, core: &mut Core, wakes: &mut Wakes) {
        if core.over.is_some() || core.batching || core.is_flushed() {
            return;
        }
        if !core.is_alone() || core.flush_some(wakes) == Flushed::Blocked {
            wakes.add(core.want());
        } else if core.is_wide() {
            // The task sees to it that an idle connection keeps little.
            wakes.add(core.want_timer(Some(end_of(now(), IDLE))));
        }
    }
}

/// Dropped behind the lock: a message that panicked while it was encoded under it must not
/// leave the task asleep.
struct Alarm<'a>(&'a Connection);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            drop(self.0.lock());
        }
    }
}
