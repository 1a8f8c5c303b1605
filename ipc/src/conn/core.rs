//! What a connection keeps under its one lock, and the rules for using it.
//!
//! The lock is short: nobody awaits, calls a handler or decodes a message while holding it.

use std::collections::BTreeSet;
use std::task::Waker;
use std::time::Instant;

use tokio::sync::Semaphore;

use super::input::KEEP;
use super::io::{Writable, Writer};
use super::slot::{Ending, Slot};
use super::wakes::Wakes;
use super::writing::Writing;
use crate::clock::now;
use crate::error::ConnectionError;
use crate::sync::Arc;
use crate::wire::messages::End;
use crate::wire::{Body, CallId, Engine, Key, Role, SendError};

/// The state of one connection.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) engine: Engine<Slot>,
    /// The permits for calls of ours, if callers wait for them, which they do without the lock.
    pub(super) slots: Option<Arc<Semaphore>>,
    /// Gone once the connection is over, so that whoever still holds it holds no descriptor.
    pub(crate) writer: Option<Writer>,
    /// Why the connection is over, once it is.
    pub(crate) over: Option<ConnectionError>,
    /// The owner of the connection has let go: it ends once the last call of ours is over
    /// and all is written.
    pub(crate) closing: bool,
    /// No more calls of the peer are taken, and the connection ends after the last.
    pub(crate) draining: bool,
    /// When the calls that are open then are cut off.
    pub(crate) drained_by: Option<Instant>,
    /// When the blocked write began to wait, if there is one.
    pub(crate) blocked: Option<Instant>,
    /// Something waits for the task: a flush, a nearer deadline, the end.
    pub(crate) wanted: bool,
    /// The task, while it sleeps.
    pub(crate) task: Option<Waker>,
    /// The deadline for which the task has set its timer.
    pub(crate) armed: Option<Instant>,
    /// The task is taking up input and will write what comes of it.
    pub(crate) batching: bool,
    /// Calls that wait for an answer or a handler.
    busy: u32,
    /// Senders that wait for the output to shrink.
    room: Vec<Waker>,
    writing: Writing,
    /// Calls of ours that were given up before they had left, and may still wait.
    given_up: BTreeSet<CallId>,
    /// Calls of ours up to this id may have left.
    left: u32,
    /// Calls of ours up to this id may stand in `writing`.
    moved: u32,
}

/// What a flush came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flushed {
    /// All is written, or the socket is broken, which its reader will notice.
    All,
    /// The socket has no room.
    Blocked,
}

impl Core {
    pub(crate) fn new(engine: Engine<Slot>, writer: Writer) -> Self {
        Self {
            engine,
            slots: None,
            writer: Some(writer),
            over: None,
            closing: false,
            draining: false,
            drained_by: None,
            blocked: None,
            wanted: false,
            task: None,
            armed: None,
            batching: false,
            busy: 0,
            room: Vec::new(),
            writing: Writing::default(),
            given_up: BTreeSet::new(),
            left: 0,
            moved: 0,
        }
    }

    /// Writes what waits, as far as the socket takes it.
    pub(crate) fn flush(&mut self, wakes: &mut Wakes) -> Flushed {
        self.flush_chunks(usize::MAX, wakes)
    }

    /// [`Self::flush`] of so much that others are not kept from the lock for long; the task is
    /// asked to go on with the rest.
    pub(crate) fn flush_some(&mut self, wakes: &mut Wakes) -> Flushed {
        self.flush_chunks(SOME, wakes)
    }

    fn flush_chunks(&mut self, mut most: usize, wakes: &mut Wakes) -> Flushed {
        let mut flushed = Flushed::All;
        if self.over.is_some() {
            // Nobody goes on with the rest.
            most = usize::MAX;
        }
        loop {
            if !self.has_next(&mut most, wakes) {
                break;
            }
            let Some(writer) = &self.writer else { break };
            match writer.send_parts(self.writing.rest()) {
                Ok(sent) => {
                    self.writing.sent(sent);
                    self.blocked = None;
                    self.left = self.moved;
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    flushed = Flushed::Blocked;
                    break;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => self.fail(error.into(), wakes),
            }
        }
        // What was queued has moved to the output buffer, or a part of it, so there may be room again.
        self.wake_writers(wakes);
        flushed
    }

    /// Whether there is something to write now, of `most` chunks at most.
    fn has_next(&mut self, most: &mut usize, wakes: &mut Wakes) -> bool {
        if !self.writing.is_done() {
            return true;
        }
        if *most == 0 && !self.engine.is_flushed() {
            wakes.add(self.want());
            return false;
        }
        *most = most.saturating_sub(1);
        let some = self.refill();
        if !some {
            self.blocked = None;
        }
        some
    }

    /// What cannot leave is dropped. That the peer is gone is for the reader to find out, behind
    /// the last answers; any other error ends the connection, because a part is missing now.
    fn fail(&mut self, error: ConnectionError, wakes: &mut Wakes) {
        self.writing.give_up();
        if !matches!(error, ConnectionError::Closed) {
            self.over.get_or_insert(error);
            wakes.add(self.want());
        }
    }

    /// Notes since when the socket has no room.
    pub(crate) fn noted(&mut self, flushed: Flushed) -> Flushed {
        if flushed == Flushed::Blocked {
            self.blocked = self.blocked.or_else(|| Some(now()));
        }
        flushed
    }

    /// Waits for room in the socket, if there still is one.
    pub(crate) fn writable(&self) -> std::io::Result<Option<Writable>> {
        self.writer.as_ref().map(Writer::writable).transpose()
    }

    /// Nothing is written any more, and nothing kept for it; the caller closes what it gets.
    pub(crate) fn hang_up(&mut self) -> Option<Writer> {
        self.writing = Writing::default();
        self.writer.take()
    }

    /// Why the connection must end now, if it must.
    pub(crate) fn verdict(&self) -> Result<(), ConnectionError> {
        match &self.over {
            Some(reason) => Err(reason.clone()),
            None if self.is_finished() => Err(ConnectionError::Shutdown),
            None => Ok(()),
        }
    }

    /// Queues a success: the message, and what the handler wants to go beside it.
    pub(crate) fn respond(&mut self, key: Key, body: Body<'_>) -> Result<(), SendError> {
        let slot = self.engine.user_mut(key);
        let metadata = slot.map(Slot::take_trailers).unwrap_or_default();
        let last = metadata.is_empty();
        self.engine.send(key, body, last)?;
        if !last {
            let end = End {
                metadata: metadata.into_entries(),
                ..End::default()
            };
            self.engine.end(key, &end);
        }
        Ok(())
    }

    /// How a call ended that is not known any more.
    pub(crate) fn forgotten(&self) -> Ending {
        let reason = self.over.clone();
        Ending::Lost(Box::new(reason.unwrap_or(ConnectionError::Shutdown)), true)
    }

    /// Counts a call that waits for its answer, or for its handler.
    pub(crate) fn enter(&mut self, key: Key) {
        if let Some(slot) = self.engine.user_mut(key) {
            slot.busy = true;
            self.busy += 1;
        }
    }

    /// The owner lets go of a call.
    pub(crate) fn release(&mut self, key: Key) {
        if self
            .engine
            .user_mut(key)
            .is_some_and(|slot| std::mem::take(&mut slot.busy))
        {
            self.busy -= 1;
        }
        self.engine.release(key);
    }

    /// Gives up a call of ours, if it is still open, so that its handler stops.
    pub(crate) fn give_up(&mut self, key: Key, code: u32, wakes: &mut Wakes) {
        if self.engine.is_done(key) {
            return;
        }
        if !self.has_left(key) {
            self.given_up.extend(self.engine.id(key));
        }
        self.engine.cancel(key, code);
        if let Some(slot) = self.engine.user_mut(key) {
            slot.end(Ending::Cancelled, wakes);
        }
        // Their permits are free, so what waits of them must not grow. Not one by one: each time moves
        // what waits behind it.
        let open = usize::try_from(self.engine.open_calls(Role::Caller)).unwrap_or(usize::MAX);
        if self.given_up.len() > open.max(SOME_GIVEN_UP) {
            let given_up = std::mem::take(&mut self.given_up);
            self.writing.withdraw(&given_up, &mut self.engine);
        }
        wakes.add(self.want());
    }

    /// Takes back those calls of ours that wait for the socket as a whole, which ends them.
    pub(crate) fn withdraw(&mut self, keys: &[Key]) {
        let ours = |key: &&Key| self.engine.role(**key) == Some(Role::Caller);
        let open = keys
            .iter()
            .filter(ours)
            .filter(|key| !self.engine.is_done(**key));
        let ids = open.filter_map(|key| self.engine.id(*key)).collect();
        self.writing.withdraw(&ids, &mut self.engine);
    }

    /// Whether frames of this call may have reached the peer.
    pub(crate) fn has_left(&self, key: Key) -> bool {
        self.engine.id(key).is_some_and(|id| id.get() <= self.left)
    }

    /// Whether a caller may write its own frame: it is alone, and nothing is in front of it.
    pub(crate) fn is_alone(&self) -> bool {
        self.blocked.is_none() && self.busy <= 1
    }

    /// Asks the task to run; returns what must be woken once the lock is released.
    pub(crate) fn want(&mut self) -> Option<Waker> {
        self.wanted = true;
        self.task.take()
    }

    /// Asks the task to run if the end of this call may be the end of the connection.
    pub(crate) fn want_if_ending(&mut self) -> Option<Waker> {
        if self.closing || self.draining {
            self.want()
        } else {
            None
        }
    }

    /// Whether the end was asked for and nothing is left to do. A client that was dropped
    /// still has its open calls; a server that drains has those of both sides.
    pub(crate) fn is_finished(&self) -> bool {
        let ours = self.engine.open_calls(Role::Caller);
        let theirs = self.engine.open_calls(Role::Callee);
        let closed = self.closing && ours == 0;
        let drained = self.draining && ours == 0 && theirs == 0;
        (closed || drained) && self.is_flushed()
    }

    /// Asks the task to run if its timer would come too late.
    pub(crate) fn want_timer(&mut self, deadline: Option<Instant>) -> Option<Waker> {
        let deadline = deadline?;
        if self.armed.is_some_and(|armed| armed <= deadline) {
            return None;
        }
        self.want()
    }

    /// Whether a sender must wait: its own messages or too much of others' are in front.
    pub(crate) fn must_wait(&self, key: Option<Key>, limit: u32) -> bool {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        key.is_some_and(|key| self.engine.is_blocked(key)) || self.engine.backlog() >= limit
    }

    /// Registers a sender that [`Self::must_wait`].
    pub(crate) fn wait_for_room(&mut self, key: Option<Key>, waker: &Waker) {
        let blocked = key.filter(|key| self.engine.is_blocked(*key));
        let waiting = match blocked.and_then(|key| self.engine.user_mut(key)) {
            Some(slot) => &mut slot.rare().writers,
            None => &mut self.room,
        };
        if !waiting.iter().any(|other| other.will_wake(waker)) {
            waiting.push(waker.clone());
        }
    }

    /// Ends every call and refuses new ones.
    pub(crate) fn close(&mut self, reason: ConnectionError, wakes: &mut Wakes) {
        let reason = self.over.get_or_insert(reason).clone();
        let orderly = matches!(reason, ConnectionError::Shutdown);
        let keys = self
            .engine
            .users_mut()
            .map(|(key, ..)| key)
            .collect::<Vec<_>>();
        for key in keys {
            let left = self.has_left(key);
            let one_way = self.engine.is_one_way(key);
            let gone = orderly && self.engine.is_done(key);
            let Some(slot) = self.engine.user_mut(key) else {
                continue;
            };
            // Nobody waits for the answer of a one-way call, so nobody's leaving ends one that is
            // here as a whole, or has gone as a whole.
            if !(one_way && (gone || slot.has_all())) {
                slot.end(Ending::Lost(Box::new(reason.clone()), left), wakes);
                slot.stop(wakes);
            }
            self.engine.cancel(key, 1);
        }
        wakes.append(&mut self.room);
    }

    /// Whether all output has left this process.
    pub(crate) fn is_flushed(&self) -> bool {
        self.writing.is_done() && self.engine.is_flushed()
    }

    fn wake_writers(&mut self, wakes: &mut Wakes) {
        while let Some(key) = self.engine.poll_writable() {
            if let Some(slot) = self.engine.user_mut(key) {
                slot.wake_writers(wakes);
            }
        }
        wakes.append(&mut self.room);
    }

    /// Takes what is to be written next; `false` if there is nothing.
    fn refill(&mut self) -> bool {
        if self.engine.is_flushed() {
            self.writing.recycle();
            return false;
        }
        self.moved = self.engine.last_opened();
        self.writing.refill(&mut self.engine)
    }

    /// Whether more memory is kept for output than an idle connection should have.
    pub(crate) fn is_wide(&self) -> bool {
        let kept = self.engine.output_capacity();
        self.writing.capacity().max(kept) > KEEP
    }

    /// Lets go of the memory for output, if there is none now.
    pub(crate) fn rest(&mut self) {
        if self.is_flushed() {
            self.writing = Writing::default();
            self.engine.rest();
        }
    }
}

/// Calls that may wait although they were given up, at least.
const SOME_GIVEN_UP: usize = 32;
/// Large chunks that are written in one go, each of up to 128 KiB.
const SOME: usize = 2;
