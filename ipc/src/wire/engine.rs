//! The parts of `wire` as one connection after its handshake.
//!
//! Bytes go in by `handle_*` and come out by `poll_parts`; what the peer did comes
//! out as [`Event`]s; what this side wants is in [`commands`](super::commands).

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use super::assembly::Assembly;
use super::call::{CallId, Key, Role, Side, State};
use super::calls::Calls;
use super::copy::append;
use super::decoder::Decoder;
use super::filling::Filling;
use super::frame::Frame;
use super::handshake::Established;
use super::messages::{CallHead, DEADLINE_EXCEEDED, End, GoAway, PeerLimits};
use super::outbox::Outbox;
use super::receive::Whole;
use super::violation::Violation;
use crate::limits::Limits;

/// What the peer did, for the owner of the connection.
#[derive(Debug)]
pub enum Event {
    /// The peer opens a call; it stays open until it is answered, cancelled or expired.
    Call {
        /// Where its state is kept; release it in the end.
        key: Key,
        /// Method, time left, metadata, body.
        head: CallHead,
        /// The body is all the caller sends.
        end: bool,
        /// No answer is wanted.
        one_way: bool,
    },
    /// A message arrived; give it back with `consumed`.
    Message {
        /// The call.
        key: Key,
        /// The message.
        whole: Whole,
        /// It was the last of its direction; from the called side, the call succeeded.
        end: bool,
    },
    /// The peer's direction ended; from the called side, the call with this status.
    End {
        /// The call.
        key: Key,
        /// The status; empty from the calling side.
        end: End,
    },
    /// The caller gave its call up.
    Cancelled {
        /// The call.
        key: Key,
    },
    /// Answers pile up: write before more input is taken, or the peer will be blamed for
    /// what it had no chance to read.
    Backlog,
    /// The peer answered a ping.
    Pong(u64),
    /// The peer takes no more calls, and has not seen those above `last_call`.
    GoAway(GoAway),
}

/// One connection after its handshake; `T` is what the owner keeps with each call.
#[derive(Debug)]
pub struct Engine<T> {
    pub(crate) side: Side,
    pub(crate) ours: Limits,
    pub(crate) theirs: PeerLimits,
    pub(crate) calls: Calls<T>,
    pub(crate) out: Outbox,
    pub(crate) next_id: Option<CallId>,
    pub(crate) last_seen: u32,
    pub(crate) writable: Vec<Key>,
    pub(crate) going_away: bool,
    pub(crate) peer_going_away: Option<u32>,
    decoder: Decoder,
    pub(crate) filling: Option<Filling>,
    frame_due: Option<Instant>,
    /// The unfinished frame was given its time a second time.
    frame_excused: bool,
    pub(crate) assembly: Assembly,
    pub(crate) spare: Option<BytesMut>,
}

impl<T: Default> Engine<T> {
    /// Starts where the handshake left off.
    #[must_use]
    pub fn new(side: Side, limits: &Limits, established: &Established) -> Self {
        Self {
            side,
            ours: *limits,
            theirs: established.limits,
            calls: Calls::new(),
            out: Outbox::new(),
            next_id: CallId::parse(side.first_id()),
            last_seen: 0,
            writable: Vec::new(),
            going_away: false,
            peer_going_away: None,
            decoder: Decoder::new(limits.max_frame),
            filling: None,
            frame_due: None,
            frame_excused: false,
            assembly: Assembly::new(limits.max_assembling),
            spare: None,
        }
    }

    /// Takes frames off the front of `buffer` until one is an event; `None` means
    /// more bytes are needed.
    ///
    /// # Errors
    ///
    /// The [`Violation`] for which the connection must be closed.
    pub fn handle_input(
        &mut self,
        buffer: &mut BytesMut,
        now: Instant,
    ) -> Result<Option<Event>, Violation> {
        while !buffer.is_empty() || self.filling.is_some() {
            if !buffer.is_empty() && self.is_pressed() {
                return Ok(Some(Event::Backlog));
            }
            let Some(event) = self.take_frame(buffer, now)? else {
                break;
            };
            self.frame_due = None;
            if event.is_some() {
                return Ok(event);
            }
        }
        if buffer.is_empty() && self.filling.is_none() {
            self.frame_due = None;
        } else if self.frame_due.is_none() {
            self.frame_due = now.checked_add(self.ours.frame);
            self.frame_excused = false;
        }
        Ok(None)
    }

    /// Takes the next frame, and says what it did; `None` means more bytes are needed.
    #[inline]
    fn take_frame(
        &mut self,
        buffer: &mut BytesMut,
        now: Instant,
    ) -> Result<Option<Option<Event>>, Violation> {
        if self.filling.is_none() {
            if let Some(raw) = self.decoder.decode(buffer)? {
                return self.on_frame(Frame::parse(raw)?, now).map(Some);
            }
            self.begin_filling(buffer);
        }
        let filled = self.fill(buffer);
        filled.map(|filled| self.on_filled(filled)).transpose()
    }

    /// What the end of the input means.
    ///
    /// # Errors
    ///
    /// [`Violation::Truncated`] if bytes of an unfinished frame are left.
    pub fn handle_eof(&self, buffer: &BytesMut) -> Result<(), Violation> {
        if buffer.is_empty() && self.filling.is_none() {
            Ok(())
        } else {
            Err(Violation::Truncated)
        }
    }

    /// Checks the time; calls past their deadline come out of [`Self::poll_expired`]. `fed` says
    /// whether the last look at the socket found something: then its owner may have been kept from
    /// reading, and the frame has as much time again, once.
    ///
    /// # Errors
    ///
    /// [`Violation::FrameTimeout`] if a frame was begun too long ago.
    pub fn handle_timeout(&mut self, now: Instant, fed: bool) -> Result<(), Violation> {
        if self.frame_due.is_none_or(|due| due > now) {
            return Ok(());
        }
        if !fed || std::mem::replace(&mut self.frame_excused, true) {
            return Err(Violation::FrameTimeout);
        }
        self.frame_due = now.checked_add(self.ours.frame);
        Ok(())
    }

    /// Leaves time in which nobody read out of the count: the peer is not to blame for it.
    pub fn handle_absence(&mut self, away: Duration) {
        self.frame_due = self.frame_due.and_then(|due| due.checked_add(away));
    }

    /// Whether the peer has said that it takes no more calls.
    #[must_use]
    pub const fn peer_is_going(&self) -> bool {
        self.peer_going_away.is_some()
    }

    /// The next time to call `handle_timeout` and `poll_expired`; may be early, never late.
    #[must_use]
    pub fn poll_deadline(&self) -> Option<Instant> {
        match (self.frame_due, self.calls.soonest()) {
            (Some(frame), Some(call)) => Some(frame.min(call)),
            (one, other) => one.or(other),
        }
    }

    /// A call whose deadline has passed. The deadline is taken: each call comes out once.
    pub fn poll_expired(&mut self, now: Instant) -> Option<Key> {
        while let Some((key, owned)) = self.calls.take_expired(now) {
            if owned {
                return Some(key);
            }
            // Its owner has let go; nobody else is left to end it.
            self.cancel_or_fail(key, DEADLINE_EXCEEDED, "deadline exceeded");
        }
        None
    }

    /// Moves what should be written next to `out`: all control and whole frames, and one
    /// chunk of a large message. Returns whether there was anything.
    pub fn poll_output(&mut self, out: &mut BytesMut) -> bool {
        let mut payload = Bytes::new();
        let some = self.poll_parts(out, &mut payload);
        append(out, &payload);
        some
    }

    /// [`Self::poll_output`] without a copy of a large end of the last frame, which goes to `payload`
    /// and belongs behind `out`.
    pub fn poll_parts(&mut self, out: &mut BytesMut, payload: &mut Bytes) -> bool {
        let before = out.len();
        self.out.drain_whole(out, payload);
        if let Some(key) = self.out.next() {
            // Whole frames that keep coming must not keep chunks from their turn.
            append(out, payload);
            *payload = self.turn(key, out);
        }
        out.len() > before
    }

    /// A call that has become writable: all it had waiting was handed over.
    pub fn poll_writable(&mut self) -> Option<Key> {
        while let Some(key) = self.writable.pop() {
            if self.calls.get(key).is_some() {
                return Some(key);
            }
        }
        None
    }

    /// Whether nothing waits for the socket.
    #[must_use]
    pub fn is_flushed(&self) -> bool {
        self.out.is_empty()
    }

    /// Bytes of whole frames that wait for the socket.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.out.backlog()
    }

    /// Bytes that are kept for whole frames to come.
    #[must_use]
    pub fn output_capacity(&self) -> usize {
        self.out.capacity()
    }

    /// Lets go of what is kept for frames, if there are none.
    pub fn rest(&mut self) {
        self.out.rest();
    }

    /// Lends a large buffer for the next message that comes in chunks.
    pub fn lend(&mut self, mut buffer: BytesMut) {
        buffer.clear();
        self.spare = Some(buffer);
    }

    /// Takes the lent buffer back, if it was not used, or one that a message has left.
    pub fn reclaim(&mut self) -> Option<BytesMut> {
        self.spare.take()
    }

    /// Whether what waits will soon be held against the peer; said once until the next write.
    fn is_pressed(&mut self) -> bool {
        let finals = self.out.finals;
        let open = self.calls.open(Role::Callee).saturating_add(finals);
        let full = finals > 0 && open >= self.ours.max_calls;
        (full || self.out.control.len() > PRESSED)
            && !std::mem::replace(&mut self.out.pressed, true)
    }

    /// Writes one frame of a call; a large end of its payload is left to be written behind it.
    fn turn(&mut self, key: Key, out: &mut BytesMut) -> Bytes {
        let chunk = self.chunk();
        let Some(call) = self.calls.get_mut(key) else {
            return Bytes::new();
        };
        call.send.listed = false;
        if call.state == State::Done {
            return Bytes::new();
        }
        let Some(turn) = call.send.turn(call.id, chunk, out) else {
            return Bytes::new();
        };
        if turn.ready {
            call.send.listed = true;
            self.out.ring.push_back(key);
        }
        if turn.idle {
            self.writable.push(key);
        }
        if turn.ended {
            self.ended(key);
        }
        turn.payload
    }

    /// The largest payload we put in one frame.
    pub(crate) fn chunk(&self) -> usize {
        usize::try_from(self.theirs.max_frame)
            .unwrap_or(usize::MAX)
            .min(CHUNK)
    }

    /// Our direction has ended on the wire, or in the queue in front of it.
    pub(crate) fn ended(&mut self, key: Key) {
        let Some(call) = self.calls.get_mut(key) else {
            return;
        };
        call.send.ended = true;
        call.state = call.state.on_our_end(call.role);
        if call.state == State::Done || (call.one_way && call.role == Role::Caller) {
            self.retire(key);
        }
    }

    /// Ends a call on this side: nothing of it waits any more. One of the peer's with bytes
    /// in `data` goes on counting until they are handed over, so that unread answers,
    /// cancelled or not, are bounded.
    pub(crate) fn retire(&mut self, key: Key) {
        self.unlist(key);
        let unread = self
            .calls
            .get(key)
            .is_some_and(|call| call.role == Role::Callee && call.send.wrote == self.out.handed);
        if unread {
            self.out.finals = self.out.finals.saturating_add(1);
        }
        self.calls.retire(key);
        self.assembled(key);
    }

    /// Puts a call in the ring of those that have a chunk to send and credit for it.
    pub(crate) fn list(&mut self, key: Key) {
        let Some(call) = self.calls.get_mut(key) else {
            return;
        };
        if !call.send.listed && call.send.ready() {
            call.send.listed = true;
            self.out.ring.push_back(key);
        }
    }

    /// Takes a call out of the ring. Its key may soon name another call.
    pub(crate) fn unlist(&mut self, key: Key) {
        if let Some(call) = self.calls.get_mut(key).filter(|call| call.send.listed) {
            call.send.listed = false;
            self.out.ring.retain(|other| *other != key);
        }
    }

    pub(crate) fn queue(&mut self, key: Key, parts: (Bytes, Bytes), end: bool) {
        if let Some(call) = self.calls.get_mut(key) {
            call.send.ended = end;
            call.send.push_message(parts, end);
        }
        self.list(key);
    }
}

/// Control bytes from which on they are better written than added to.
const PRESSED: usize = 32_768;
/// Our largest chunk: a small call never waits behind more than this (PROTOCOL.md#chunks).
const CHUNK: usize = 131_072;
