//! One engine with an owner that behaves, and what the owner knows.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::iter::from_fn;
use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::{Opening, failed};
use crate::limits::Limits;
use crate::wire::Body;
use crate::wire::call::{CallId, Key, Role, Side};
use crate::wire::engine::{Engine, Event};
use crate::wire::handshake::Established;
use crate::wire::header::HEADER_LEN;
use crate::wire::messages::End;
use crate::wire::receive::Whole;
use crate::wire::violation::Violation;

#[derive(Debug)]
pub(super) struct Peer {
    pub(super) engine: Engine<()>,
    /// On its way to this side.
    pub(super) arriving: BytesMut,
    inbox: BytesMut,
    writing: Writing,
    /// Calls of the other side that it took back, so that they must not arrive.
    withdrawn: BTreeSet<CallId>,
    pub(super) calls: BTreeMap<Key, Known>,
    /// Sizes of the messages that are to arrive here, by call and sender.
    due: HashMap<(CallId, Role), VecDeque<usize>>,
    pub(super) opened: u32,
    pub(super) completed: u32,
    pub(super) messages: u32,
}

/// Frames that were handed over, and what stands behind them.
#[derive(Debug, Default)]
struct Writing {
    frames: BytesMut,
    payload: Bytes,
    sent: usize,
}

impl Writing {
    fn is_done(&self) -> bool {
        self.sent == self.frames.len().saturating_add(self.payload.len())
    }
}

/// A call as its owner knows it.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) id: CallId,
    pub(super) role: Role,
    one_way: bool,
    /// Its owner has seen its end.
    done: bool,
    ended: bool,
    sent: usize,
    received: usize,
    pub(super) unread: VecDeque<Whole>,
}

impl Known {
    const fn new(id: CallId, role: Role, one_way: bool) -> Self {
        Self {
            id,
            role,
            one_way,
            done: false,
            ended: false,
            sent: 0,
            received: 0,
            unread: VecDeque::new(),
        }
    }
}

impl Known {
    /// Bytes that wait for the reader.
    pub(super) fn held(&self) -> usize {
        let bytes = self.unread.iter().map(|whole| whole.bytes.len());
        bytes.fold(0_usize, |sum, len| {
            sum.saturating_add(len).saturating_add(HEADER_LEN)
        })
    }
}

/// The bytes of a message, told by where it stands.
pub(super) fn message(id: CallId, from: Role, index: usize, size: usize) -> Bytes {
    let salt = index
        .wrapping_mul(7)
        .wrapping_add(usize::from(from == Role::Callee));
    let start = id.get().to_le_bytes()[0].wrapping_add(salt.to_le_bytes()[0]);
    (0..size)
        .map(|at| start.wrapping_add(at.to_le_bytes()[0]))
        .collect()
}

/// A message on its way out, in one part or two.
pub(super) fn encoded(mut bytes: Bytes) -> Body<'static> {
    if bytes.len().is_multiple_of(2) {
        return Body::Bytes(bytes);
    }
    let front = bytes.split_to(bytes.len().min(5));
    Body::Parts(Box::new([front, bytes]))
}

impl Peer {
    pub(super) fn new(side: Side, limits: &Limits, established: &Established) -> Self {
        Self {
            engine: Engine::new(side, limits, established),
            arriving: BytesMut::new(),
            inbox: BytesMut::new(),
            writing: Writing::default(),
            withdrawn: BTreeSet::new(),
            calls: BTreeMap::new(),
            due: HashMap::new(),
            opened: 0,
            completed: 0,
            messages: 0,
        }
    }

    pub(super) fn pick(&self, pick: u8) -> Option<Key> {
        let at = usize::from(pick).checked_rem(self.calls.len())?;
        self.calls.keys().nth(at).copied()
    }

    pub(super) fn opened(&mut self, other: &mut Self, key: Key, id: CallId, opening: Opening) {
        self.opened = self.opened.saturating_add(1);
        let mut known = Known::new(id, Role::Caller, opening.one_way);
        known.ended = opening.end;
        if let Some(size) = opening.body {
            known.sent = 1;
            other.expect(id, Role::Caller, size.into());
        }
        let before = self.calls.insert(key, known);
        assert!(before.is_none(), "a key was given out twice");
    }

    fn expect(&mut self, id: CallId, from: Role, size: usize) {
        self.due.entry((id, from)).or_default().push_back(size);
    }

    pub(super) fn send(&mut self, other: &mut Self, key: Key, size: usize, end: bool) {
        let Some(known) = self.calls.get_mut(&key) else {
            return;
        };
        let bytes = message(known.id, known.role, known.sent, size);
        if self.engine.send(key, encoded(bytes), end).is_ok() {
            known.sent = known.sent.saturating_add(1);
            known.ended = end;
            other.expect(known.id, known.role, size);
        }
    }

    pub(super) fn end(&mut self, key: Key, code: u32) {
        if let Some(known) = self.calls.get_mut(&key) {
            known.ended = true;
            self.engine.end(key, &failed(code));
        }
    }

    pub(super) fn fail(&mut self, key: Key) {
        let Some(known) = self.calls.get_mut(&key) else {
            return;
        };
        if known.role == Role::Callee {
            known.ended = true;
            self.engine.fail(key, &failed(13));
            assert!(self.engine.is_done(key), "a failed call is over");
        }
    }

    pub(super) fn cancel(&mut self, key: Key, code: u32) {
        let Some(known) = self.calls.get(&key) else {
            return;
        };
        if known.role == Role::Caller && !known.done {
            self.engine.cancel(key, code);
            assert!(self.engine.is_done(key), "a cancelled call is over");
            self.complete(key);
        }
    }

    /// Lets go of a call that may still have to write its end.
    pub(super) fn let_go(&mut self, key: Key) {
        let known = self.calls.get(&key);
        if known.is_some_and(|known| known.role == Role::Callee && known.ended) {
            self.calls.remove(&key);
            self.engine.release(key);
        }
    }

    pub(super) fn consume(&mut self, key: Key) -> Result<(), Violation> {
        let known = self.calls.get_mut(&key);
        match known.and_then(|known| known.unread.pop_front()) {
            Some(whole) => self.engine.consumed(key, whole.cost),
            None => Ok(()),
        }
    }

    /// Writes to the other side, as a socket that takes so many bytes; `false` if there are none.
    pub(super) fn write(&mut self, other: &mut Self, most: usize) -> bool {
        let writing = &mut self.writing;
        if writing.is_done() {
            writing.frames.clear();
            writing.sent = 0;
            let (frames, payload) = (&mut writing.frames, &mut writing.payload);
            if !self.engine.poll_parts(frames, payload) {
                return false;
            }
        }
        let all = writing.frames.iter().chain(writing.payload.iter());
        let before = other.arriving.len();
        other.arriving.extend(all.skip(writing.sent).take(most));
        let written = other.arriving.len().saturating_sub(before);
        writing.sent = writing.sent.saturating_add(written);
        true
    }

    /// Whether nothing waits, and all that was handed over has left.
    pub(super) fn is_flushed(&self) -> bool {
        self.engine.is_flushed() && self.writing.is_done()
    }

    /// Ends what has expired, as the connection does; takes back first what has not left.
    pub(super) fn expire(&mut self, other: &mut Self, now: Instant) {
        self.check_deadline();
        let expired = from_fn(|| self.engine.poll_expired(now)).collect::<Vec<_>>();
        let ours = expired
            .iter()
            .filter(|key| self.engine.role(**key) == Some(Role::Caller));
        let ids = ours.filter_map(|key| self.engine.id(*key)).collect();
        let writing = &mut self.writing;
        let parts = (&mut writing.frames, &mut writing.payload);
        self.engine.withdraw(&ids, parts, writing.sent);
        for key in expired {
            let known = self.calls.get(&key).expect("only owned calls expire here");
            if known.role == Role::Caller && self.engine.is_done(key) {
                other.withdrawn.insert(known.id);
            }
            match known.role {
                Role::Caller => self.cancel(key, 4),
                Role::Callee => self.fail(key),
            }
        }
        self.check_deadline();
    }

    /// Takes bytes off the pipe, and what they mean.
    pub(super) fn deliver(
        &mut self,
        bytes: usize,
        now: Instant,
        hostile: bool,
    ) -> Result<(), Violation> {
        let mut part = self.arriving.split_to(bytes.min(self.arriving.len()));
        // As a connection reads: the rest of a chunk straight into its message.
        if let Some(mut target) = self.engine.take_target() {
            let rest = part.split_to(part.len().min(target.left()));
            target.bytes.extend_from_slice(&rest);
            self.engine.put_target(target);
        }
        self.inbox.extend_from_slice(&part);
        if bytes % 2 == 1 {
            self.engine.lend(BytesMut::with_capacity(LENT));
        }
        while let Some(event) = self.engine.handle_input(&mut self.inbox, now)? {
            self.on_event(event, hostile);
        }
        Ok(())
    }

    fn on_event(&mut self, event: Event, hostile: bool) {
        match event {
            Event::Call {
                key, head, one_way, ..
            } => {
                let id = self.engine.id(key).expect("an open call has an id");
                let taken_back = !hostile && self.withdrawn.contains(&id);
                assert!(!taken_back, "a call arrives that was taken back");
                let known = Known::new(id, Role::Callee, one_way);
                let before = self.calls.insert(key, known);
                assert!(before.is_none(), "a key was given out twice");
                if let Some(body) = head.body {
                    self.arrived(key, &body, hostile);
                }
            }
            Event::Message { key, whole, end } => {
                self.arrived(key, &whole.bytes, hostile);
                let known = self.calls.get_mut(&key).expect("an owned call");
                known.unread.push_back(whole);
                if end && known.role == Role::Caller {
                    self.complete(key);
                }
            }
            Event::End { key, .. } => {
                let known = self.calls.get(&key).expect("an event of an owned call");
                if known.role == Role::Caller {
                    self.complete(key);
                }
            }
            Event::Cancelled { key } => {
                let known = self.calls.get_mut(&key).expect("an event of an owned call");
                assert!(!known.done && known.role == Role::Callee);
                known.done = true;
            }
            Event::Pong(_) | Event::Backlog => {}
            Event::GoAway(away) => {
                let unseen =
                    |known: &Known| known.role == Role::Caller && known.id.get() > away.last_call;
                let keys: Vec<_> = self.calls.iter().filter(|(_, k)| unseen(k)).collect();
                let keys: Vec<_> = keys.into_iter().map(|(key, _)| *key).collect();
                keys.into_iter().for_each(|key| self.cancel(key, 1));
            }
        }
    }

    /// Messages come whole, in order, and only for calls that are not over.
    fn arrived(&mut self, key: Key, bytes: &Bytes, hostile: bool) {
        self.messages = self.messages.saturating_add(1);
        let known = self.calls.get_mut(&key).expect("an event of an owned call");
        assert!(!known.done, "a message after the end");
        if hostile {
            return;
        }
        let from = match known.role {
            Role::Caller => Role::Callee,
            Role::Callee => Role::Caller,
        };
        let due = self.due.get_mut(&(known.id, from));
        let size = due.and_then(VecDeque::pop_front).expect("it was sent");
        let sent = message(known.id, from, known.received, size);
        assert_eq!(*bytes, sent, "message {} of {:?}", known.received, known.id);
        known.received = known.received.saturating_add(1);
    }

    fn complete(&mut self, key: Key) {
        let known = self.calls.get_mut(&key).expect("an event of an owned call");
        assert!(!known.done, "a call completed twice");
        known.done = true;
        self.completed = self.completed.saturating_add(1);
    }

    /// Lets go of what is over and read.
    pub(super) fn tidy(&mut self) {
        while self.engine.poll_writable().is_some() {}
        let keys = self.calls.keys().copied();
        let over: Vec<Key> = keys.filter(|key| self.engine.is_done(*key)).collect();
        for key in over {
            let Some(known) = self.calls.get_mut(&key) else {
                continue;
            };
            match known.role {
                Role::Callee => known.done = true,
                Role::Caller if known.done => {}
                Role::Caller => {
                    assert!(known.one_way, "a call ended without a word");
                    self.complete(key);
                }
            }
            if self.calls.get(&key).is_some_and(|k| k.unread.is_empty()) {
                self.calls.remove(&key);
                self.engine.release(key);
            }
        }
    }

    /// Ends and reads all there is, as a side that finishes does.
    pub(super) fn finish(&mut self) {
        let keys: Vec<Key> = self.calls.keys().copied().collect();
        for key in keys {
            self.engine.end(key, &End::default());
            while self.calls.get(&key).is_some_and(|k| !k.unread.is_empty()) {
                let read = self.consume(key);
                assert_eq!(read, Ok(()), "an honest peer was accused");
            }
        }
        self.tidy();
    }
}

/// What is lent for messages in chunks: for some too small, for others too large.
const LENT: usize = 6_000;
