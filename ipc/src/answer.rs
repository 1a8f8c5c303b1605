//! The duty to answer a call of the peer.

use prost::Message;

use crate::conn::{Held, Hold};
use crate::outgoing::body;
use crate::status::Status;
use crate::wire::SendError;
use crate::wire::messages::End;

/// The duty to answer one call. Dropped unanswered, it says so to the caller.
pub(crate) struct Answer<H: Hold> {
    pub(crate) call: H,
    answered: bool,
}

impl<H: Hold> Answer<H> {
    pub(crate) const fn new(call: H) -> Self {
        Self {
            call,
            answered: false,
        }
    }

    pub(crate) fn finish<Res: Message>(mut self, result: Result<Res, Status>) {
        let response = match result {
            Ok(response) => response,
            Err(status) => {
                self.answered = true;
                return self.end(&status.to_end());
            }
        };
        // A message that panics while it is encoded is no answer.
        let body = body(&self.call.as_ref().connection.pool, &response);
        self.answered = true;
        match Held::respond(&mut self.call, body) {
            Ok(()) => {}
            // Over, or one-way: then it is over now.
            Err(SendError::Done) => self.end(&End::default()),
            Err(error) => self.end(&Status::resource_exhausted(error.to_string()).to_end()),
        }
    }

    pub(crate) fn finish_stream(mut self, result: Result<(), Status>) {
        self.answered = true;
        let end = match result {
            Ok(()) => self.trailers().unwrap_or_default(),
            Err(status) => status.to_end(),
        };
        self.end(&end);
    }

    /// Answers with the guarantee that no handler saw the call.
    pub(crate) fn refuse(mut self, status: &Status) {
        self.answered = true;
        self.end(&End {
            unseen: true,
            ..status.to_end()
        });
    }

    fn end(&self, end: &End) {
        let Held {
            connection, key, ..
        } = self.call.as_ref();
        connection.end(*key, end);
    }

    /// The metadata that the handler wants to go with a success.
    fn trailers(&self) -> Option<End> {
        let Held {
            connection, key, ..
        } = self.call.as_ref();
        let mut core = connection.lock();
        let metadata = core.engine.user_mut(*key)?.take_trailers();
        (!metadata.is_empty()).then(|| End {
            metadata: metadata.into_entries(),
            ..End::default()
        })
    }
}

impl<H: Hold> Drop for Answer<H> {
    fn drop(&mut self) {
        if !self.answered {
            let why = if std::thread::panicking() {
                "the handler panicked"
            } else {
                "the handler dropped its answer"
            };
            self.end(&Status::unknown(why).to_end());
        }
    }
}
