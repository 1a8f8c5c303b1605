//! What each frame of the peer does.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::call::{CallId, Input, Key, Role, Side, State};
use super::calls::Call;
use super::engine::{Engine, Event};
use super::frame::{Frame, Head, put_message};
use super::header::{Flags, Kind};
use super::messages::{
    CallHead, Credit, DEADLINE_EXCEEDED, End, Ping, RESOURCE_EXHAUSTED, check_metadata,
};
use super::receive::{ReceiveHalf, Whole};
use super::send::SendHalf;
use super::violation::Violation;

impl<T: Default> Engine<T> {
    pub(crate) fn on_frame(
        &mut self,
        frame: Frame,
        now: Instant,
    ) -> Result<Option<Event>, Violation> {
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
                let key = self.step(id, Input::Cancel)?;
                self.abandon(key);
                return Ok(self.owned(key).map(|key| Event::Cancelled { key }));
            }
            Frame::Credit(id, credit) => self.on_credit(id, credit)?,
            Frame::Ping(ping) => {
                put_message(&mut self.out.control, Head::connection(Kind::Pong), &ping);
                self.check_flood()?;
            }
            Frame::Pong(Ping { opaque }) => return Ok(Some(Event::Pong(opaque))),
            Frame::GoAway(away) => {
                let before = self.peer_going_away;
                let before = before.map(|before| before.min(self.last_opened()));
                let sooner = before.is_none_or(|before| away.last_call < before);
                if sooner {
                    self.peer_going_away = Some(away.last_call);
                }
                if sooner || away.code != 0 {
                    return Ok(Some(Event::GoAway(away)));
                }
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
        let (limit, body) = (
            self.ours.max_message,
            head.body.as_ref().map_or(0, Bytes::len),
        );
        if body > usize::try_from(limit).unwrap_or(usize::MAX) {
            return Err(Violation::MessageTooLarge { limit });
        }
        self.last_seen = id.get();
        if let Some(refusal) = self.refusal(&head) {
            if one_way && end {
                return Ok(None);
            }
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
        Ok(Some(Event::Call {
            key,
            head,
            end,
            one_way,
        }))
    }

    /// Why a call is not taken up, if it is not: too many open, too much metadata, a bad key
    /// in it, or no time left.
    fn refusal(&self, head: &CallHead) -> Option<End> {
        let open = self
            .calls
            .open(Role::Callee)
            .saturating_add(self.out.finals);
        let refusal = if open >= self.ours.max_calls {
            End::failed(RESOURCE_EXHAUSTED, "too many open calls")
        } else if let Err(fault) = check_metadata(&head.metadata, self.ours.max_metadata) {
            fault.into()
        } else if head.time_left == Some(0) {
            End::failed(DEADLINE_EXCEEDED, "deadline passed")
        } else {
            return None;
        };
        Some(End {
            unseen: true,
            ..refusal
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
        self.on_part(key, whole, end)
    }

    /// A frame was added to a message, or was one.
    pub(crate) fn on_part(
        &mut self,
        key: Key,
        whole: Option<Whole>,
        end: bool,
    ) -> Result<Option<Event>, Violation> {
        match whole {
            Some(_) => self.assembled(key),
            None => self.give_credit(key)?,
        }
        let whole = whole.filter(|_| self.owned(Some(key)).is_some());
        Ok(whole.map(|whole| Event::Message { key, whole, end }))
    }

    fn on_end(&mut self, id: CallId, end: End) -> Result<Option<Event>, Violation> {
        let Some(key) = self.step(id, Input::End)? else {
            return Ok(None);
        };
        let Some(call) = self.calls.get_mut(key) else {
            return Ok(None);
        };
        let success = call.role == Role::Callee || end.code == 0;
        if success && call.receive.is_partial() {
            return Err(Violation::AfterEnd);
        }
        call.receive.abandon();
        let checked = check_metadata(&end.metadata, self.ours.max_metadata);
        let end = match (call.role, checked) {
            (Role::Callee, _) => End::default(),
            (Role::Caller, Err(fault)) => fault.into(),
            (Role::Caller, Ok(())) => end,
        };
        Ok(self.owned(Some(key)).map(|key| Event::End { key, end }))
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
    pub(crate) fn step(&mut self, id: CallId, input: Input) -> Result<Option<Key>, Violation> {
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
        if call.state == State::Done {
            self.retire(key);
        }
        Ok(Some(key))
    }

    /// The call, if its owner has not let go and wants to know.
    fn owned(&self, key: Option<Key>) -> Option<Key> {
        key.filter(|key| self.calls.get(*key).is_some_and(|call| !call.orphan))
    }

    /// Lets go of what has come of a message that will not be complete.
    pub(crate) fn abandon(&mut self, key: Option<Key>) {
        if let Some(call) = key.and_then(|key| self.calls.get_mut(key)) {
            call.receive.abandon();
        }
    }

    /// Gives the peer credit for a call, if some is due.
    pub(crate) fn give_credit(&mut self, key: Key) -> Result<(), Violation> {
        self.offer_credit(key);
        self.check_flood()
    }

    /// A message is complete, or its call over: the next one in line may grow.
    pub(crate) fn assembled(&mut self, key: Key) {
        if let Some(next) = self.assembly.leave(key) {
            self.offer_credit(next);
        }
    }

    fn offer_credit(&mut self, key: Key) {
        let Some(call) = self.calls.get_mut(key) else {
            return;
        };
        let receiving = match call.role {
            Role::Caller => call.state != State::Done,
            Role::Callee => call.state == State::Open,
        };
        if !receiving || !call.receive.window.is_due() {
            return;
        }
        if call.receive.is_partial() && !self.assembly.enter(key) {
            return;
        }
        let bytes = call.receive.window.give();
        let head = Head::call(Kind::Credit, call.id, Flags::NONE);
        put_message(&mut self.out.control, head, &Credit { bytes });
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
