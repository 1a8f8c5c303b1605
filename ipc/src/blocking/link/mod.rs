//! One connection, driven by the thread that waits for it.

#[cfg(test)]
mod tests;

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use prost::Message;

use super::handshake::Shake;
use crate::clock::{deadline_after, end_of, now};
use crate::conn::events::{self, Arrived};
use crate::conn::io::{Read, Writer, receive};
use crate::conn::{Core, Ending, Flushed, Wakes, not_opened, unsent};
use crate::error::{ConnectionError, Error, Failure, Outcome};
use crate::limits::Limits;
use crate::link::SOFTWARE;
use crate::method::Method;
use crate::outgoing::{Options, body, late, opening};
use crate::path::SocketPath;
use crate::peer::Peer;
use crate::policy::ResolvedPolicy;
use crate::pool::Pool;
use crate::socket;
use crate::status::{Code, Status};
use crate::sync::Arc;
use crate::sys::{self, Interest};
use crate::wire::messages::End;
use crate::wire::{Encode, Engine, Key, Local, Side, Violation, Whole};

/// A connection without a task.
pub(super) struct Link {
    socket: Arc<OwnedFd>,
    /// The kernel does not let the peer attach descriptors any more.
    refuses: bool,
    core: Core,
    input: BytesMut,
    /// When the socket was last looked at.
    looked: Instant,
    pool: Arc<Pool>,
    peer: Peer,
    limits: Limits,
}

impl Link {
    pub(super) fn connect(
        path: &SocketPath,
        trust: &ResolvedPolicy,
        limits: Limits,
        patience: Duration,
    ) -> Result<Self, Error> {
        limits.validate()?;
        let meet = |socket| Self::meet(socket, trust, limits);
        let deadline = end_of(now(), patience);
        socket::connect_and_meet_blocking(path, deadline, meet, Error::is_end_of_daemon)
    }

    fn meet(socket: OwnedFd, trust: &ResolvedPolicy, limits: Limits) -> Result<Self, Error> {
        let local = Local {
            limits,
            services: Vec::new(),
            software: SOFTWARE.into(),
        };
        let refuses = sys::refuse_descriptors(&socket);
        let mut shake = Shake {
            socket: Arc::new(socket),
            input: BytesMut::new(),
            deadline: end_of(now(), limits.handshake),
        };
        let (peer, established) = shake.run(&local, trust)?;
        let Shake { socket, input, .. } = shake;
        let writer = Writer::Socket(Arc::clone(&socket));
        Ok(Self {
            socket,
            refuses,
            core: Core::new(Engine::new(Side::Connecting, &limits, &established), writer),
            input,
            looked: now(),
            pool: Pool::new(limits.pooled),
            peer,
            limits,
        })
    }

    pub(super) const fn peer(&self) -> &Peer {
        &self.peer
    }

    pub(super) const fn close_reason(&self) -> Option<&ConnectionError> {
        self.core.over.as_ref()
    }

    /// Opens a call and sends what is there to send.
    pub(super) fn open(
        &mut self,
        method: &'static Method,
        options: Options,
        request: Option<&dyn Encode>,
    ) -> Result<Key, Failure> {
        let begun = now();
        let deadline = deadline_after(begun, options.timeout);
        let cleared = self.clear(begun, deadline)?;
        let body = request.map(|request| body(&self.pool, request));
        let left = |deadline: Instant| deadline.saturating_duration_since(cleared);
        let timing = deadline.map(|deadline| (deadline, left(deadline)));
        let open = opening(method, options.metadata, body, timing);
        let key = self.core.engine.open(open).map_err(not_opened)?;
        self.flush(key);
        Ok(key)
    }

    /// Writes what calls before have left behind, so that it does not grow, and says how late it is then.
    fn clear(&mut self, mut at: Instant, deadline: Option<Instant>) -> Result<Instant, Failure> {
        loop {
            let flushed = self.write();
            if let Some(reason) = &self.core.over {
                return Err(Failure::lost(reason, Outcome::NotSent));
            }
            if deadline.is_some_and(|deadline| deadline <= at) {
                return Err(late());
            }
            if flushed == Flushed::All {
                return Ok(at);
            }
            self.wait(Interest::Either, deadline);
            at = now();
        }
    }

    /// Sends a message of an open call, once those before it have left.
    pub(super) fn send<M: Message>(&mut self, key: Key, message: &M) -> Result<(), Error> {
        while self.core.engine.is_blocked(key) && self.core.over.is_none() {
            self.wait(Interest::Read, None);
        }
        let body = body(&self.pool, message);
        let sent = self.core.engine.send(key, body, false);
        sent.map_err(|error| unsent(&mut self.core, key, error))?;
        self.flush(key);
        Ok(())
    }

    /// Ends our direction of a call.
    pub(super) fn end(&mut self, key: Key) {
        self.core.engine.end(key, &End::default());
        self.flush(key);
    }

    /// Waits for the end of a call, and takes the one message of its answer, if there is
    /// one; `None` if there are two.
    pub(super) fn answer(&mut self, key: Key) -> Option<(Option<Whole>, Ending)> {
        loop {
            let Some(slot) = self.core.engine.user_mut(key) else {
                return Some((None, self.core.forgotten()));
            };
            if slot.has_several() {
                return None;
            }
            if let Some(ending) = slot.ending.take() {
                return Some((slot.pop(), ending));
            }
            self.wait(Interest::Read, None);
        }
    }

    /// Waits for the next message of a call, or how it ended.
    pub(super) fn next(&mut self, key: Key) -> Result<Whole, Ending> {
        loop {
            let Some(slot) = self.core.engine.user_mut(key) else {
                return Err(self.core.forgotten());
            };
            if let Some(whole) = slot.pop() {
                self.consumed(key, whole.cost);
                return Ok(whole);
            }
            if let Some(ending) = &slot.ending {
                return Err(ending.clone());
            }
            self.wait(Interest::Read, None);
        }
    }

    fn consumed(&mut self, key: Key, cost: u32) {
        match self.core.engine.consumed(key, cost) {
            Ok(()) => self.flush(key),
            Err(violation) => self.fail(violation.into()),
        }
    }

    /// Waits until a one-way call has left as a whole.
    pub(super) fn sent(&mut self, key: Key) -> Result<(), Failure> {
        while !self.core.engine.is_done(key) && self.core.over.is_none() {
            self.wait(Interest::Read, None);
        }
        self.flush(key);
        let waits = self.core.over.is_none() && !self.core.is_flushed();
        let slot = self.core.engine.user_mut(key);
        let ending = slot.and_then(|slot| slot.ending.take());
        // What waits for room goes on, with the next call.
        let ending = ending.or_else(|| waits.then_some(Ending::Expired(true)));
        ending.map_or(Ok(()), |ending| ending.into_result().map(drop))
    }

    /// Lets go of a call; an open one is cancelled. Does not wait for a peer that does not
    /// read: it is told when the next call has made room.
    pub(super) fn release(&mut self, key: Key) {
        if !self.core.engine.is_done(key) {
            self.core.engine.cancel(key, Code::Cancelled.to_u32());
        }
        self.core.engine.release(key);
        self.write();
    }

    /// Writes all there is; while the peer does not read, reads what it sends. Stops when
    /// the call is over, or its time.
    fn flush(&mut self, key: Key) {
        while self.core.over.is_none() && self.write() == Flushed::Blocked {
            // The engine forgets the deadline of a one-way call that has moved to the output.
            let deadline = self.core.engine.deadline(key);
            let slot = self.core.engine.user_mut(key);
            if has_passed(deadline) || slot.is_none_or(|slot| slot.ending.is_some()) {
                return;
            }
            self.wait(Interest::Either, deadline);
        }
    }

    /// Writes what the socket takes; sees whether that ends the connection.
    fn write(&mut self) -> Flushed {
        let flushed = self.push(&mut Wakes::default());
        let flushed = self.core.noted(flushed);
        if self.core.writer.is_some()
            && let Err(reason) = self.core.verdict()
        {
            self.fail(reason);
        }
        flushed
    }

    /// Waits until the socket is ready or a deadline has passed, and takes what came. What
    /// could not be written goes on as soon as there is room.
    fn wait(&mut self, interest: Interest, deadline: Option<Instant>) {
        let now = now();
        let away = now.saturating_duration_since(self.looked);
        self.core.engine.handle_absence(away);
        let interest = if self.core.is_flushed() {
            interest
        } else {
            self.core.blocked = self.core.blocked.or(Some(now));
            Interest::Either
        };
        let write = self
            .core
            .blocked
            .and_then(|since| since.checked_add(self.limits.write));
        let engine = self.core.engine.poll_deadline();
        let until = deadline.into_iter().chain(engine).chain(write).min();
        let timeout = until.map(|until| until.saturating_duration_since(now));
        if let Err(reason) = self.turn(interest, timeout) {
            self.fail(reason);
        }
    }

    fn turn(
        &mut self,
        interest: Interest,
        timeout: Option<Duration>,
    ) -> Result<(), ConnectionError> {
        sys::poll(self.socket.as_fd(), interest, timeout)?;
        self.input.reserve(READ);
        let read = receive(&self.socket, &mut self.input, self.refuses)?;
        match read {
            Read::Eof => {
                self.core.engine.handle_eof(&self.input)?;
                return Err(ConnectionError::Closed);
            }
            Read::Descriptors => return Err(Violation::Descriptors.into()),
            Read::More | Read::Drained | Read::Empty => {}
        }
        let mut wakes = Wakes::default();
        let now = now();
        self.looked = now;
        loop {
            let taken = events::take(&mut self.core, &mut self.input, &self.pool, now, &mut wakes)?;
            let Some(arrived) = taken else { break };
            self.refuse(&arrived);
        }
        // There may have been room all the while that nobody looked.
        self.push(&mut wakes);
        self.expire(now, read != Read::Empty)?;
        self.push(&mut wakes);
        self.core.verdict()
    }

    /// Writes what the socket takes, if there is something.
    fn push(&mut self, wakes: &mut Wakes) -> Flushed {
        if self.core.is_flushed() {
            self.core.blocked = None;
            return Flushed::All;
        }
        self.core.flush(wakes)
    }

    fn expire(&mut self, now: Instant, fed: bool) -> Result<(), ConnectionError> {
        self.core.engine.handle_timeout(now, fed)?;
        let blocked = self
            .core
            .blocked
            .map(|since| now.saturating_duration_since(since));
        if blocked.is_some_and(|blocked| blocked >= self.limits.write) {
            return Err(Violation::WriteTimeout.into());
        }
        events::expire(&mut self.core, now, &mut Wakes::default());
        Ok(())
    }

    /// There is no handler in a client that only waits for its own calls.
    fn refuse(&mut self, arrived: &Arrived) {
        let status = Status::unimplemented("this side serves nothing");
        self.core.engine.end(
            arrived.key,
            &End {
                unseen: true,
                ..status.to_end()
            },
        );
        self.core.engine.release(arrived.key);
    }

    /// Ends the connection, which the peer sees although the client lives on.
    fn fail(&mut self, reason: ConnectionError) {
        if let ConnectionError::Violation(violation) = &reason {
            self.core
                .engine
                .go_away(violation.code(), &violation.to_string());
            self.core.flush(&mut Wakes::default());
        }
        self.core.close(reason, &mut Wakes::default());
        if let Some(writer) = self.core.hang_up() {
            writer.close();
        }
    }
}

fn has_passed(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| deadline <= now())
}

/// Bytes read at once.
pub(super) const READ: usize = 16_384;
