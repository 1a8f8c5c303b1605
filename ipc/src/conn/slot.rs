//! Where what arrives for a call meets the one who waits for it.

use std::collections::VecDeque;
use std::task::Waker;

use super::wakes::{Stop, Wakes};
use crate::error::{ConnectionError, Failure, Outcome};
use crate::status::Status;
use crate::wire::Whole;
use crate::wire::messages::{End, Entry};

/// How a call ended, for this side.
#[derive(Clone, Debug)]
pub(crate) enum Ending {
    /// The peer's direction ended; from the called side, with success if the code is 0.
    Peer(End),
    /// The peer gave its call up.
    Cancelled,
    /// The deadline passed here; the flag says whether the call had left.
    Expired(bool),
    /// The peer is going away and has not seen the call.
    Unseen,
    /// The connection ended; the flag says whether the call had left.
    Lost(ConnectionError, bool),
}

impl Ending {
    /// What the caller is told, if this is not a success.
    pub(crate) fn into_failure(self) -> Failure {
        let when = |left| {
            if left {
                Outcome::MayHaveRun
            } else {
                Outcome::NotSent
            }
        };
        match self {
            Self::Peer(end) => {
                let unseen = end.unseen;
                let outcome = if unseen {
                    Outcome::RefusedUnseen
                } else {
                    Outcome::MayHaveRun
                };
                Failure::new(Status::from_end(end), outcome)
            }
            Self::Cancelled => {
                let status = Status::cancelled("the caller gave the call up");
                Failure::new(status, Outcome::MayHaveRun)
            }
            Self::Expired(left) => {
                Failure::new(Status::deadline_exceeded("deadline passed"), when(left))
            }
            Self::Unseen => Failure::lost(&going_away(), Outcome::RefusedUnseen),
            Self::Lost(reason, left) => Failure::lost(&reason, when(left)),
        }
    }
}

/// What one side keeps with a call.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    first: Option<Whole>,
    more: VecDeque<Whole>,
    pub(crate) ending: Option<Ending>,
    /// What has ended is the caller's direction; the call goes on.
    half: bool,
    pub(crate) reader: Option<Waker>,
    pub(crate) writers: Vec<Waker>,
    /// How its handler is stopped.
    pub(crate) handler: Stop,
    /// Its handler was told to stop, or would be if there were one.
    pub(crate) stopped: bool,
    pub(crate) trailers: Vec<Entry>,
    /// Counted among the calls that make output shared.
    pub(crate) busy: bool,
}

impl Slot {
    /// Adds a message for the reader.
    pub(crate) fn push(&mut self, whole: Whole) {
        if self.first.is_none() && self.more.is_empty() {
            self.first = Some(whole);
        } else {
            self.more.push_back(whole);
        }
    }

    /// Takes the oldest message.
    pub(crate) fn pop(&mut self) -> Option<Whole> {
        self.first.take().or_else(|| self.more.pop_front())
    }

    /// The caller has sent all it will; a later ending of the call itself counts more.
    pub(crate) fn end_half(&mut self, wakes: &mut Wakes) {
        self.half = self.ending.is_none();
        self.ending
            .get_or_insert_with(|| Ending::Peer(End::default()));
        wakes.add(self.reader.take());
    }

    /// Whether the caller has sent all it will, and the call is not over.
    pub(crate) fn has_all(&self) -> bool {
        self.half
    }

    /// Whether more than one message waits for the reader.
    pub(crate) fn has_several(&self) -> bool {
        self.first.is_some() && !self.more.is_empty()
    }

    /// Ends the call for its owner; the first ending counts.
    pub(crate) fn end(&mut self, ending: Ending, wakes: &mut Wakes) {
        if self.half || self.ending.is_none() {
            self.ending = Some(ending);
            self.half = false;
        }
        wakes.add(self.reader.take());
        wakes.append(&mut self.writers);
    }

    /// Stops the handler.
    pub(crate) fn stop(&mut self, wakes: &mut Wakes) {
        self.stopped = true;
        wakes.stop(std::mem::take(&mut self.handler));
    }
}

/// Why a peer that takes no more calls is as good as lost.
pub(super) fn going_away() -> ConnectionError {
    let message = "it takes no more calls".into();
    ConnectionError::GoneAway { code: 0, message }
}
