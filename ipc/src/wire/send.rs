//! The sending half of one call: credit and what waits for it.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::body::COPIED;
use super::call::CallId;
use super::copy::append;
use super::credit::{Allowance, cost};
use super::frame::{Head, put_bytes, put_header};
use super::header::{Flags, Kind};

/// What one call has still to send, in order.
#[derive(Debug)]
pub(crate) struct SendHalf {
    pub(crate) allowance: Allowance,
    /// Made when something has to wait, which is rare.
    queue: Option<Box<Queue>>,
    /// Whether the call stands in the outbox's ring.
    pub(crate) listed: bool,
    /// Whether the last frame of our direction has been queued.
    pub(crate) ended: bool,
    /// The count of hand-overs when this call last put a frame into the outbox; 0 is never.
    pub(crate) wrote: u64,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
}

/// One thing that waits for credit or for its turn.
#[derive(Debug)]
enum Waiting {
    Message {
        front: Bytes,
        rest: Bytes,
        end: bool,
    },
    /// An encoded END payload; costs no credit.
    End(Bytes),
}

/// What one turn did.
#[derive(Debug)]
pub(crate) struct Turn {
    /// The end of the frame's payload, if that is large and was not written.
    pub(crate) payload: Bytes,
    /// The frame ended our direction.
    pub(crate) ended: bool,
    /// Nothing waits any more.
    pub(crate) idle: bool,
    /// Another frame could go now.
    pub(crate) ready: bool,
}

impl SendHalf {
    pub(crate) const fn new(credit: u32) -> Self {
        Self {
            allowance: Allowance::new(credit),
            queue: None,
            listed: false,
            ended: false,
            wrote: 0,
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.front().is_none()
    }

    pub(crate) fn push_message(&mut self, (front, rest): (Bytes, Bytes), end: bool) {
        self.push(Waiting::Message { front, rest, end });
    }

    pub(crate) fn push_end(&mut self, payload: Bytes) {
        self.push(Waiting::End(payload));
    }

    pub(crate) fn clear(&mut self) {
        if self.queue.is_some() {
            self.queue = None;
        }
    }

    fn push(&mut self, waiting: Waiting) {
        self.queue
            .get_or_insert_default()
            .waiting
            .push_back(waiting);
    }

    fn front(&self) -> Option<&Waiting> {
        self.queue.as_ref()?.waiting.front()
    }

    /// Whether the front could go with the credit there is.
    pub(crate) fn ready(&self) -> bool {
        match self.front() {
            None => false,
            Some(Waiting::End(_)) => true,
            Some(Waiting::Message { front, rest, .. }) if front.is_empty() && rest.is_empty() => {
                let mut credit = self.allowance;
                credit.take(cost(0))
            }
            Some(Waiting::Message { .. }) => self.allowance.room().is_some(),
        }
    }

    /// Writes one frame of at most `chunk` payload bytes, if the credit allows.
    pub(crate) fn turn(&mut self, id: CallId, chunk: usize, out: &mut BytesMut) -> Option<Turn> {
        if !self.ready() {
            return None;
        }
        let waiting = &mut self.queue.as_mut()?.waiting;
        let mut payload = Bytes::new();
        let (whole, ended) = match waiting.front_mut()? {
            Waiting::End(payload) => {
                put_bytes(out, Head::call(Kind::End, id, Flags::NONE), payload);
                (true, true)
            }
            Waiting::Message { front, rest, end } => {
                let all = front.len().saturating_add(rest.len());
                let room = self.allowance.room().unwrap_or(0);
                let len = all.min(chunk).min(room);
                self.allowance.take(cost(len));
                let whole = len == all;
                let ended = whole && *end;
                let flags = Flags::NONE
                    .with(Flags::MORE, !whole)
                    .with(Flags::END, ended);
                put_header(out, Head::call(Kind::Message, id, flags), len);
                let first = front.split_to(len.min(front.len()));
                append(out, &first);
                payload = rest.split_to(len.saturating_sub(first.len()));
                if payload.len() <= COPIED {
                    append(out, &std::mem::take(&mut payload));
                }
                (whole, ended)
            }
        };
        if whole {
            waiting.pop_front();
        }
        Some(Turn {
            payload,
            ended,
            idle: self.is_idle(),
            ready: self.ready(),
        })
    }
}
