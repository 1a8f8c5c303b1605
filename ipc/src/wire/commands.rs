//! What this side wants of a connection: open calls, send, end, cancel, stop.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use prost::Message;

use super::body::{Body, put_inline_prefix};
use super::call::{CallId, Input, Key, Role, State};
use super::calls::Call;
use super::credit::cost;
use super::engine::Engine;
use super::frame::{Head, put_message};
use super::header::{Flags, Kind};
use super::messages::{
    CallHead, Cancel, End, GoAway, MetadataError, PeerLimits, Ping, check_metadata, cut,
};
use super::receive::ReceiveHalf;
use super::send::SendHalf;
use super::violation::{GoAwayCode, Violation};

/// A call to be opened.
#[derive(Debug)]
pub struct Open<'a> {
    /// Method, time left and metadata; `body` is left empty.
    pub head: CallHead,
    /// The first message, if there is one.
    pub body: Option<Body<'a>>,
    /// The body is all that will be sent.
    pub end: bool,
    /// No answer is wanted.
    pub one_way: bool,
    /// When this side gives up.
    pub deadline: Option<Instant>,
}

/// Why a call cannot be opened now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The peer has as many open as it takes; one must end first.
    #[error("the peer takes no further call until one ends")]
    TooMany,
    /// The peer is going away, or all ids are used: this connection takes no more calls.
    #[error("the connection takes no more calls")]
    GoingAway,
    /// The body is larger than the peer accepts.
    #[error("message exceeds the peer's limit of {limit} bytes")]
    TooLarge {
        /// What the peer accepts.
        limit: u32,
    },
    /// The peer does not accept the metadata.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
}

/// Why a message of an open call cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The call is over, or this direction was ended.
    #[error("the call is over")]
    Done,
    /// The message is larger than the peer accepts.
    #[error("message exceeds the peer's limit of {limit} bytes")]
    TooLarge {
        /// What the peer accepts.
        limit: u32,
    },
}

impl<T: Default> Engine<T> {
    /// Opens a call; its frames are queued.
    ///
    /// # Errors
    ///
    /// See [`OpenError`]; nothing is queued then.
    pub fn open(&mut self, open: Open<'_>) -> Result<Key, OpenError> {
        let id = self.next_id.filter(|_| self.peer_going_away.is_none());
        let id = id.ok_or(OpenError::GoingAway)?;
        if self.calls.open(Role::Caller) >= self.theirs.max_calls {
            return Err(OpenError::TooMany);
        }
        let head_len = open.head.encoded_len();
        self.check(&open, head_len)?;
        let Open {
            head,
            body,
            end,
            one_way,
            deadline,
        } = open;
        let len = head_len.saturating_add(body.as_ref().map_or(0, Body::inline_len));
        let fits = len <= self.chunk();
        let ends = end && fits;
        let flags = Flags::NONE
            .with(Flags::END, ends)
            .with(Flags::ONE_WAY, one_way);
        let call = Head::call(Kind::Call, id, flags);
        // First of all what may panic, so that nothing is left of the call then.
        let rest = match body {
            Some(body) if fits => {
                let inline = body.len();
                let before = |out: &mut BytesMut| {
                    head.encode_raw(out);
                    put_inline_prefix(out, inline);
                };
                self.out.put(call, len, before, body);
                None
            }
            body => {
                let rest = body.map(Body::into_parts);
                put_message(self.out.data(), call, &head);
                rest
            }
        };
        self.next_id = id.get().checked_add(2).and_then(CallId::parse);
        let key = self.calls.insert(Call {
            id,
            role: Role::Caller,
            state: State::Open,
            one_way,
            orphan: false,
            deadline,
            send: SendHalf::new(self.theirs.initial_credit),
            receive: ReceiveHalf::new(self.ours.initial_credit),
            user: T::default(),
        });
        if let Some(rest) = rest {
            self.queue(key, rest, end);
        }
        if ends {
            self.ended(key);
        }
        Ok(key)
    }

    /// Sends a message of an open call; with `end`, the last one. From the called
    /// side, `end` means success.
    ///
    /// # Errors
    ///
    /// See [`SendError`]; nothing is queued then.
    pub fn send(&mut self, key: Key, body: Body<'_>, end: bool) -> Result<(), SendError> {
        let limit = self.theirs.max_message;
        if body.len() > usize::try_from(limit).unwrap_or(usize::MAX) {
            return Err(SendError::TooLarge { limit });
        }
        let chunk = self.chunk();
        let call = self.calls.get_mut(key).ok_or(SendError::Done)?;
        let unwanted = call.one_way && call.role == Role::Callee;
        if call.state == State::Done || call.send.ended || unwanted {
            return Err(SendError::Done);
        }
        let len = body.len();
        if call.send.is_idle() && len <= chunk && call.send.allowance.take(cost(len)) {
            let head = Head::call(Kind::Message, call.id, Flags::NONE.with(Flags::END, end));
            self.out.put(head, len, |_| {}, body);
            call.send.wrote = self.out.handed;
            if end {
                self.ended(key);
            }
        } else {
            self.queue(key, body.into_parts(), end);
        }
        Ok(())
    }

    /// Whether a further message of this call would only wait behind others.
    #[must_use]
    pub fn is_blocked(&self, key: Key) -> bool {
        self.calls.get(key).is_some_and(|call| !call.send.is_idle())
    }

    /// Ends our direction: from the calling side without a status, from the called side
    /// with one, which ends the call. Frames queued before go first. A status that
    /// the peer could not take is cut to what it can.
    pub fn end(&mut self, key: Key, status: &End) {
        let chunk = self.chunk();
        let Some(call) = self.calls.get_mut(key) else {
            return;
        };
        if call.state == State::Done || call.send.ended {
            return;
        }
        if call.one_way && call.role == Role::Callee && call.state == State::PeerEnded {
            self.retire(key);
            return;
        }
        let status = match call.role {
            Role::Caller => Cow::Owned(End::default()),
            Role::Callee => status.within(chunk, self.theirs.max_metadata),
        };
        if call.send.is_idle() {
            let head = Head::call(Kind::End, call.id, Flags::NONE);
            put_message(self.out.data(), head, status.as_ref());
            call.send.wrote = self.out.handed;
            self.ended(key);
        } else {
            call.send.ended = true;
            call.send.push_end(status.encode_to_vec().into());
            self.list(key);
        }
    }

    /// Ends a call of the peer's at once, with a status other than success: messages
    /// that still wait for credit are dropped.
    pub fn fail(&mut self, key: Key, status: &End) {
        let Some(call) = self.calls.get_mut(key) else {
            return;
        };
        if call.state == State::Done || call.role == Role::Caller {
            return;
        }
        call.send.clear();
        call.send.ended = false;
        self.unlist(key);
        self.abandon(Some(key));
        self.end(key, status);
    }

    /// Gives up a call of our own, or stops answering one of the peer's without a word.
    pub fn cancel(&mut self, key: Key, code: u32) {
        let Some(call) = self.calls.get_mut(key) else {
            return;
        };
        if call.state == State::Done {
            return;
        }
        if call.role == Role::Caller {
            // Behind the CALL frame it belongs to, so never as a control frame.
            let head = Head::call(Kind::Cancel, call.id, Flags::NONE);
            put_message(self.out.data(), head, &Cancel { code });
        }
        self.abandon(Some(key));
        self.retire(key);
    }

    /// Takes back those of these calls of ours of which nothing has left, and ends them: the peer
    /// will never see them. `out` and, behind it, `payload` were handed over last, and `sent` bytes
    /// of them have left.
    pub fn withdraw(
        &mut self,
        ids: &BTreeSet<CallId>,
        (out, payload): (&mut BytesMut, &mut Bytes),
        sent: usize,
    ) {
        for id in self.out.withdraw(ids, (out, payload), sent) {
            if let Some(key) = self.calls.find(id) {
                self.retire(key);
            }
        }
    }

    pub(crate) fn cancel_or_fail(&mut self, key: Key, code: u32, message: &str) {
        match self.calls.get(key).map(|call| call.role) {
            Some(Role::Caller) => self.cancel(key, code),
            Some(Role::Callee) => self.fail(key, &End::failed(code, message)),
            None => {}
        }
    }

    /// A message was read by its consumer; may give the peer credit.
    ///
    /// # Errors
    ///
    /// [`Violation::Flood`] if credit frames pile up unread.
    pub fn consumed(&mut self, key: Key, cost: u32) -> Result<(), Violation> {
        let Some(call) = self.calls.get_mut(key) else {
            return Ok(());
        };
        call.receive.window.release(cost);
        self.give_credit(key)
    }

    /// What the owner keeps with a call.
    pub fn user_mut(&mut self, key: Key) -> Option<&mut T> {
        self.calls.get_mut(key).map(|call| &mut call.user)
    }

    /// What the owner keeps with every call, ours and the peer's.
    pub fn users_mut(&mut self) -> impl Iterator<Item = (Key, Role, &mut T)> {
        self.calls
            .iter_mut()
            .map(|(key, call)| (key, call.role, &mut call.user))
    }

    /// The owner will not ask for this call again.
    pub fn release(&mut self, key: Key) {
        self.calls.release(key);
    }

    /// The id of a call.
    #[must_use]
    pub fn id(&self, key: Key) -> Option<CallId> {
        self.calls.get(key).map(|call| call.id)
    }

    /// Our part in a call.
    #[must_use]
    pub fn role(&self, key: Key) -> Option<Role> {
        self.calls.get(key).map(|call| call.role)
    }

    /// Whether nobody waits for an answer to this call.
    #[must_use]
    pub fn is_one_way(&self, key: Key) -> bool {
        self.calls.get(key).is_some_and(|call| call.one_way)
    }

    /// When a call is over at the latest.
    #[must_use]
    pub fn deadline(&self, key: Key) -> Option<Instant> {
        self.calls.get(key)?.deadline
    }

    /// Ends an open call at this time, unless its own deadline is sooner.
    pub fn expire_by(&mut self, key: Key, at: Instant) {
        self.calls.expire_by(key, at);
    }

    /// Whether a call is over.
    #[must_use]
    pub fn is_done(&self, key: Key) -> bool {
        self.calls
            .get(key)
            .is_none_or(|call| call.state == State::Done)
    }

    /// Calls of this role that are open.
    #[must_use]
    pub fn open_calls(&self, role: Role) -> u32 {
        self.calls.open(role)
    }

    /// The id of the call that this side opened last; 0 if there is none.
    #[must_use]
    pub fn last_opened(&self) -> u32 {
        // The last id of a side has no next: it is 2^32 - 1 if odd, 2^32 - 2 if even.
        let last = u32::MAX.saturating_sub(self.side.first_id().saturating_sub(1));
        let before = |next: CallId| next.get().saturating_sub(2);
        self.next_id.map_or(last, before)
    }

    /// What the peer accepts.
    #[must_use]
    pub fn peer_limits(&self) -> &PeerLimits {
        &self.theirs
    }

    /// Asks the peer for a PONG with this value.
    pub fn ping(&mut self, opaque: u64) {
        put_message(
            &mut self.out.control,
            Head::connection(Kind::Ping),
            &Ping { opaque },
        );
    }

    /// Takes no more calls and says so; with a code other than 0 the connection is over, and
    /// nothing is written behind that.
    pub fn go_away(&mut self, code: u32, message: &str) {
        if self.out.last.is_some() {
            return;
        }
        self.going_away = true;
        let away = GoAway {
            code,
            message: cut(message).into(),
            last_call: self.last_seen,
        };
        if code == GoAwayCode::DRAINING {
            put_message(&mut self.out.control, Head::connection(Kind::GoAway), &away);
        } else {
            self.out.close(&away);
        }
    }

    fn check(&self, open: &Open<'_>, head_len: usize) -> Result<(), OpenError> {
        let size = |limit: u32| usize::try_from(limit).unwrap_or(usize::MAX);
        let (limit, body) = (self.theirs.max_message, open.body.as_ref());
        if body.is_some_and(|body| body.len() > size(limit)) {
            return Err(OpenError::TooLarge { limit });
        }
        check_metadata(&open.head.metadata, self.theirs.max_metadata)?;
        if head_len > self.chunk() {
            let limit = u32::try_from(self.chunk()).unwrap_or(u32::MAX);
            return Err(MetadataError::TooLarge { limit }.into());
        }
        Ok(())
    }
}

impl Input {
    /// The input that a MESSAGE frame is.
    pub(crate) const fn message(end: bool) -> Self {
        if end { Self::End } else { Self::Message }
    }
}
