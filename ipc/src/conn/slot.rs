//! Where what arrives for a call meets the one who waits for it.

use std::collections::VecDeque;
use std::task::Waker;

use super::wakes::{Stop, Wakes};
use crate::error::{ConnectionError, Failure, Outcome};
use crate::metadata::Metadata;
use crate::status::Status;
use crate::wire::Whole;
use crate::wire::messages::End;

/// How a call ended, for this side.
#[derive(Clone, Debug)]
pub(crate) enum Ending {
    /// The peer's direction ended; from the called side, with success and this beside it.
    Done(Metadata),
    /// The called side failed the call; the flag says whether no handler has seen it.
    Failed(Status, bool),
    /// The peer gave its call up.
    Cancelled,
    /// This side has answered the peer's call.
    Answered,
    /// The deadline passed here; the flag says whether the call had left.
    Expired(bool),
    /// The peer is going away and has not seen the call.
    Unseen,
    /// The connection ended; the flag says whether the call had left.
    Lost(Box<ConnectionError>, bool),
}

impl Ending {
    /// The end of the peer's direction.
    pub(crate) fn of(end: End) -> Self {
        if end.code == 0 {
            Self::Done(Metadata::from_entries(end.metadata))
        } else {
            let unseen = end.unseen;
            Self::Failed(Status::from_end(end), unseen)
        }
    }

    /// What came beside a success, or what the caller is told.
    pub(crate) fn into_result(self) -> Result<Metadata, Failure> {
        let when = |left| {
            if left {
                Outcome::MayHaveRun
            } else {
                Outcome::NotSent
            }
        };
        Err(match self {
            Self::Done(metadata) => return Ok(metadata),
            Self::Failed(status, true) => Failure::new(status, Outcome::RefusedUnseen),
            Self::Failed(status, false) => Failure::new(status, Outcome::MayHaveRun),
            Self::Cancelled => {
                let status = Status::cancelled("the caller gave the call up");
                Failure::new(status, Outcome::MayHaveRun)
            }
            Self::Answered => {
                let status = Status::cancelled("the call is over: its handler has returned");
                Failure::new(status, Outcome::MayHaveRun)
            }
            Self::Expired(left) => {
                Failure::new(Status::deadline_exceeded("deadline passed"), when(left))
            }
            Self::Unseen => Failure::lost(&going_away(), Outcome::RefusedUnseen),
            Self::Lost(reason, left) => Failure::lost(&reason, when(left)),
        })
    }
}

/// What one side keeps with a call. It is moved about with each call, so it is small.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    first: Option<Whole>,
    pub(crate) ending: Option<Ending>,
    /// What has ended is the caller's direction; the call goes on.
    half: bool,
    pub(crate) reader: Option<Waker>,
    /// Its handler was told to stop, or would be if there were one.
    pub(crate) stopped: bool,
    /// Counted among the calls that make output shared.
    pub(crate) busy: bool,
    rare: Option<Box<Rare>>,
}

/// What few calls have.
#[derive(Debug, Default)]
pub(crate) struct Rare {
    more: VecDeque<Whole>,
    pub(crate) writers: Vec<Waker>,
    /// How its handler is stopped.
    pub(crate) handler: Stop,
    /// Goes beside a success.
    pub(crate) trailers: Metadata,
}

impl Slot {
    /// What few calls have, for one that has it now.
    pub(crate) fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// Adds a message for the reader.
    pub(crate) fn push(&mut self, whole: Whole) {
        if self.first.is_none() && !self.has_more() {
            self.first = Some(whole);
        } else {
            self.rare().more.push_back(whole);
        }
    }

    /// Takes the oldest message.
    pub(crate) fn pop(&mut self) -> Option<Whole> {
        let first = self.first.take();
        first.or_else(|| self.rare.as_mut()?.more.pop_front())
    }

    fn has_more(&self) -> bool {
        let rare = self.rare.as_ref();
        rare.is_some_and(|rare| !rare.more.is_empty())
    }

    /// Whether more than one message waits for the reader.
    pub(crate) fn has_several(&self) -> bool {
        self.first.is_some() && self.has_more()
    }

    /// Takes what goes beside a success.
    pub(crate) fn take_trailers(&mut self) -> Metadata {
        let rare = self.rare.as_mut();
        rare.map_or_else(Metadata::default, |rare| std::mem::take(&mut rare.trailers))
    }

    /// The caller has sent all it will; a later ending of the call itself counts more.
    pub(crate) fn end_half(&mut self, wakes: &mut Wakes) {
        self.half = self.ending.is_none();
        self.ending
            .get_or_insert_with(|| Ending::Done(Metadata::default()));
        wakes.add(self.reader.take());
    }

    /// Whether the caller has sent all it will, and the call is not over.
    pub(crate) fn has_all(&self) -> bool {
        self.half
    }

    /// Ends the call for its owner; the first ending counts.
    pub(crate) fn end(&mut self, ending: Ending, wakes: &mut Wakes) {
        if self.half || self.ending.is_none() {
            self.ending = Some(ending);
            self.half = false;
        }
        wakes.add(self.reader.take());
        self.wake_writers(wakes);
    }

    /// Nobody sends any more to who reads the caller's messages, unless there was an end already.
    pub(crate) fn close(&mut self, wakes: &mut Wakes) {
        self.ending.get_or_insert(Ending::Answered);
        wakes.add(self.reader.take());
    }

    /// Those who wait to send may go on.
    pub(crate) fn wake_writers(&mut self, wakes: &mut Wakes) {
        if let Some(rare) = &mut self.rare {
            wakes.append(&mut rare.writers);
        }
    }

    /// Stops the handler.
    pub(crate) fn stop(&mut self, wakes: &mut Wakes) {
        self.stopped = true;
        if let Some(rare) = &mut self.rare {
            wakes.stop(std::mem::take(&mut rare.handler));
        }
    }
}

/// Why a peer that takes no more calls is as good as lost.
pub(super) fn going_away() -> ConnectionError {
    let message = "it takes no more calls".into();
    ConnectionError::GoneAway { code: 0, message }
}
