//! The parts of `wire` as one connection after its handshake.
//!
//! Bytes go in by `handle_*` and come out by `poll_output`; what the peer did comes
//! out as [`Event`]s; what this side wants is in [`commands`](super::commands).

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use super::call::{CallId, Input, Key, Role, Side, State};
use super::calls::{Call, Calls};
use super::decoder::Decoder;
use super::frame::{Frame, Head, put_message};
use super::handshake::Established;
use super::header::{Flags, Kind};
use super::messages::{CallHead, Credit, End, GoAway, PeerLimits, Ping};
use super::outbox::Outbox;
use super::receive::{ReceiveHalf, Whole};
use super::send::SendHalf;
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
    pub(crate) soonest: Option<Instant>,
    pub(crate) going_away: bool,
    pub(crate) peer_going_away: Option<u32>,
    decoder: Decoder,
    frame_due: Option<Instant>,
    spare: Option<BytesMut>,
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
            out: Outbox::default(),
            next_id: CallId::parse(side.first_id()),
            last_seen: 0,
            writable: Vec::new(),
            soonest: None,
            going_away: false,
            peer_going_away: None,
            decoder: Decoder::new(limits.max_frame),
            frame_due: None,
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
        while let Some(raw) = self.decoder.decode(buffer)? {
            self.frame_due = None;
            if let Some(event) = self.on_frame(Frame::parse(raw)?, now)? {
                return Ok(Some(event));
            }
        }
        if buffer.is_empty() {
            self.frame_due = None;
        } else if self.frame_due.is_none() {
            self.frame_due = now.checked_add(self.ours.frame);
        }
        Ok(None)
    }

    /// What the end of the input means.
    ///
    /// # Errors
    ///
    /// [`Violation::Truncated`] if bytes of an unfinished frame are left.
    pub fn handle_eof(&self, buffer: &BytesMut) -> Result<(), Violation> {
        if buffer.is_empty() {
            Ok(())
        } else {
            Err(Violation::Truncated)
        }
    }

    /// Checks the time; calls past their deadline come out of [`Self::poll_expired`].
    ///
    /// # Errors
    ///
    /// [`Violation::FrameTimeout`] if a frame was begun too long ago.
    pub fn handle_timeout(&self, now: Instant) -> Result<(), Violation> {
        match self.frame_due {
            Some(due) if due <= now => Err(Violation::FrameTimeout),
            _ => Ok(()),
        }
    }

    /// The next time to call `handle_timeout` and `poll_expired`; may be early, never late.
    #[must_use]
    pub fn poll_deadline(&self) -> Option<Instant> {
        match (self.frame_due, self.soonest) {
            (Some(frame), Some(call)) => Some(frame.min(call)),
            (one, other) => one.or(other),
        }
    }

    /// A call whose deadline has passed. The deadline is taken: each call comes out once.
    pub fn poll_expired(&mut self, now: Instant) -> Option<Key> {
        if self.soonest.is_none_or(|soonest| soonest > now) {
            return None;
        }
        let expired = self.calls.iter_mut().find(|(_, call)| {
            call.state != State::Done && call.deadline.is_some_and(|at| at <= now)
        });
        if let Some((key, call)) = expired {
            call.deadline = None;
            return Some(key);
        }
        let open = self
            .calls
            .iter()
            .filter(|(_, call)| call.state != State::Done);
        self.soonest = open.filter_map(|(_, call)| call.deadline).min();
        None
    }

    /// Moves what should be written next to `out`: all control and whole frames, and one
    /// chunk of a large message. Returns whether there was anything.
    pub fn poll_output(&mut self, out: &mut BytesMut) -> bool {
        self.out.drain_whole(out);
        if let Some(key) = self.out.ring.pop_front() {
            self.turn(key, out);
        }
        !out.is_empty()
    }

    /// A call that has become writable: all it had waiting was handed over.
    pub fn poll_writable(&mut self) -> Option<Key> {
        self.writable.pop()
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

    /// Lends a large buffer for the next message that comes in chunks.
    pub fn lend(&mut self, buffer: BytesMut) {
        self.spare = Some(buffer);
    }

    /// Whether [`Self::lend`] would be of use.
    #[must_use]
    pub fn wants_buffer(&self) -> bool {
        self.spare.is_none()
    }

    fn turn(&mut self, key: Key, out: &mut BytesMut) {
        let chunk = self.chunk();
        let Some(call) = self.calls.get_mut(key) else {
            return;
        };
        call.send.listed = false;
        if call.state == State::Done {
            return;
        }
        let Some(turn) = call.send.turn(call.id, chunk, out) else {
            return;
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
    }

    fn on_frame(&mut self, frame: Frame, now: Instant) -> Result<Option<Event>, Violation> {
        match frame {
            Frame::Call {
                id,
                head,
                end,
                one_way,
            } => {
                return self.on_call(id, head, (end, one_way), now);
            }
            Frame::Message {
                id,
                payload,
                end,
                more,
            } => {
                return self.on_message(id, payload, end, more);
            }
            Frame::End(id, end) => return self.on_end(id, end),
            Frame::Cancel(id, _) => {
                let Some(key) = self.step(id, Input::Cancel)? else {
                    return Ok(None);
                };
                return Ok(Some(Event::Cancelled { key }));
            }
            Frame::Credit(id, credit) => self.on_credit(id, credit)?,
            Frame::Ping(ping) => {
                put_message(&mut self.out.control, Head::connection(Kind::Pong), &ping);
                self.check_flood()?;
            }
            Frame::Pong(Ping { opaque }) => return Ok(Some(Event::Pong(opaque))),
            Frame::GoAway(away) => {
                self.peer_going_away = Some(away.last_call);
                return Ok(Some(Event::GoAway(away)));
            }
            Frame::Unknown => {}
            Frame::Hello(_) | Frame::Welcome(_) | Frame::Confirm(_) => {
                return Err(Violation::UnexpectedFrame);
            }
        }
        Ok(None)
    }

    fn on_call(
        &mut self,
        id: CallId,
        head: CallHead,
        (end, one_way): (bool, bool),
        now: Instant,
    ) -> Result<Option<Event>, Violation> {
        if Side::of(id) == self.side {
            return Err(Violation::WrongParity);
        }
        if id.get() <= self.last_seen {
            return Err(Violation::CallReused);
        }
        if self.going_away {
            return Ok(None);
        }
        self.last_seen = id.get();
        let (limit, body) = (
            self.ours.max_message,
            head.body.as_ref().map_or(0, Bytes::len),
        );
        if body > usize::try_from(limit).unwrap_or(usize::MAX) {
            return Err(Violation::MessageTooLarge { limit });
        }
        if let Some(refusal) = self.refusal(&head) {
            put_message(
                &mut self.out.control,
                Head::call(Kind::End, id, Flags::NONE),
                &refusal,
            );
            self.check_flood()?;
            return Ok(None);
        }
        let left = head.time_left.map(Duration::from_micros);
        let deadline = left.and_then(|left| now.checked_add(left.min(self.ours.max_deadline)));
        let key = self.calls.insert(Call {
            id,
            role: Role::Callee,
            state: if end { State::PeerEnded } else { State::Open },
            one_way,
            orphan: false,
            deadline,
            send: SendHalf::new(self.theirs.initial_credit),
            receive: ReceiveHalf::new(self.ours.initial_credit),
            user: T::default(),
        });
        self.note_deadline(deadline);
        Ok(Some(Event::Call {
            key,
            head,
            end,
            one_way,
        }))
    }

    /// Why a call is not taken up, if it is not: too many open, or too much metadata.
    fn refusal(&self, head: &CallHead) -> Option<End> {
        let sizes = head
            .metadata
            .iter()
            .map(|e| e.key.len().saturating_add(e.value.len()));
        let metadata = sizes.fold(0_usize, usize::saturating_add);
        let open = self
            .calls
            .open(Role::Callee)
            .saturating_add(self.out.finals);
        let message = if open >= self.ours.max_calls {
            "too many open calls"
        } else if metadata > usize::try_from(self.ours.max_metadata).unwrap_or(usize::MAX) {
            "too much metadata"
        } else {
            return None;
        };
        Some(End {
            code: 8,
            message: message.into(),
            unseen: true,
            ..End::default()
        })
    }

    fn on_message(
        &mut self,
        id: CallId,
        payload: Bytes,
        end: bool,
        more: bool,
    ) -> Result<Option<Event>, Violation> {
        if end && more {
            return Err(Violation::AfterEnd);
        }
        let Some(key) = self.step(id, Input::message(end))? else {
            return Ok(None);
        };
        let Some(call) = self.calls.get_mut(key) else {
            return Ok(None);
        };
        let max = self.ours.max_message;
        let whole = call.receive.message(payload, more, max, &mut self.spare)?;
        if whole.is_none() {
            self.give_credit(key)?;
        }
        Ok(whole.map(|whole| Event::Message { key, whole, end }))
    }

    fn on_end(&mut self, id: CallId, end: End) -> Result<Option<Event>, Violation> {
        let Some(key) = self.step(id, Input::End)? else {
            return Ok(None);
        };
        let partial = self
            .calls
            .get(key)
            .is_some_and(|call| call.receive.is_partial());
        if partial && end.code == 0 {
            return Err(Violation::AfterEnd);
        }
        Ok(Some(Event::End { key, end }))
    }

    fn on_credit(&mut self, id: CallId, credit: Credit) -> Result<(), Violation> {
        let Some(key) = self.step(id, Input::Credit)? else {
            return Ok(());
        };
        let Some(call) = self.calls.get_mut(key) else {
            return Ok(());
        };
        call.send.allowance.give(credit.bytes)?;
        self.list(key);
        Ok(())
    }

    /// Applies a frame to the state of its call; `None` if the call is over.
    fn step(&mut self, id: CallId, input: Input) -> Result<Option<Key>, Violation> {
        let Some(key) = self.calls.find(id) else {
            let known = if Side::of(id) == self.side {
                self.next_id.is_none_or(|next| id < next)
            } else {
                id.get() <= self.last_seen || self.going_away
            };
            return if known {
                Ok(None)
            } else {
                Err(Violation::UnknownCall)
            };
        };
        let Some(call) = self.calls.get_mut(key) else {
            return Ok(None);
        };
        call.state = call.state.on_frame(call.role, input)?;
        let wanted = !call.orphan;
        if call.state == State::Done {
            self.calls.retire(key);
        }
        Ok(Some(key).filter(|_| wanted))
    }

    /// Gives the peer credit for a call, if some is due.
    pub(crate) fn give_credit(&mut self, key: Key) -> Result<(), Violation> {
        let Some(call) = self.calls.get_mut(key) else {
            return Ok(());
        };
        let receiving = match call.role {
            Role::Caller => call.state != State::Done,
            Role::Callee => call.state == State::Open,
        };
        if let Some(bytes) = call.receive.window.due().filter(|_| receiving) {
            let head = Head::call(Kind::Credit, call.id, Flags::NONE);
            put_message(&mut self.out.control, head, &Credit { bytes });
            self.check_flood()?;
        }
        Ok(())
    }

    /// Bounds what a peer can make us answer without reading the answers.
    fn check_flood(&self) -> Result<(), Violation> {
        if self.out.control.len() > FLOOD {
            Err(Violation::Flood)
        } else {
            Ok(())
        }
    }
}

/// Control bytes that may wait for a peer before it counts as not reading.
const FLOOD: usize = 64 << 10;
