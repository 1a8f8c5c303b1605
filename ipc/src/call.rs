//! A call as its handler sees it.

use std::fmt;
use std::time::Instant;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use crate::client::Client;
use crate::conn::Connection;
use crate::metadata::Metadata;
use crate::peer::Peer;
use crate::sync::Arc;
use crate::wire::messages::{Entry, MetadataError, check_metadata};
use crate::wire::{CallId, Key};

/// One call, as its handler gets it.
#[non_exhaustive]
pub struct Call<T> {
    /// The request; for a method that takes many messages, their [`Receiver`](crate::Receiver).
    pub body: T,
    /// Who calls. Always there: the policy has let this peer in.
    pub peer: Peer,
    /// What came beside the request.
    pub metadata: Metadata,
    /// When the caller gives up, if it ever does; cut to [`Limits::max_deadline`](crate::Limits).
    pub deadline: Option<Instant>,
    context: CallContext,
}

/// What a call knows of its connection.
#[derive(Clone)]
pub(crate) struct CallContext {
    connection: Arc<Connection>,
    key: Key,
    id: CallId,
}

impl CallContext {
    pub(crate) const fn new(connection: Arc<Connection>, key: Key, id: CallId) -> Self {
        Self {
            connection,
            key,
            id,
        }
    }
}

impl<T> Call<T> {
    pub(crate) fn new(
        body: T,
        metadata: Metadata,
        deadline: Option<Instant>,
        context: CallContext,
    ) -> Self {
        let peer = context.connection.peer.clone();
        Self {
            body,
            peer,
            metadata,
            deadline,
            context,
        }
    }

    /// The same call with another body.
    pub(crate) fn map<U>(self, body: impl FnOnce(T) -> U) -> Call<U> {
        let Self {
            body: old,
            peer,
            metadata,
            deadline,
            context,
        } = self;
        Call {
            body: body(old),
            peer,
            metadata,
            deadline,
            context,
        }
    }

    /// A token that is cancelled when the caller gives up, the deadline passes or the
    /// connection ends, though not by the end of the connection if the call is one-way. The handler's
    /// future is dropped then; the token is for what it has spawned, also after it has returned.
    /// Asked for once the call is over, it is cancelled already.
    #[must_use]
    pub fn cancelled(&self) -> CancellationToken {
        let CallContext {
            connection,
            key,
            id,
        } = &self.context;
        let mut core = connection.lock();
        let one_way = core.engine.is_one_way(*key);
        if core.engine.id(*key) == Some(*id)
            && (one_way || !core.engine.is_done(*key))
            && let Some(slot) = core.engine.user_mut(*key)
            && !slot.stopped
        {
            let token = &mut slot.rare().handler.token;
            // The slot goes with the answer, what was spawned may not.
            let token = token.get_or_insert_with(|| match one_way {
                true => CancellationToken::new(),
                false => connection.ended.child_token(),
            });
            return token.clone();
        }
        let token = CancellationToken::new();
        token.cancel();
        token
    }

    /// Adds metadata to the answer, should it be a success; the key is made lower-case. A failure
    /// carries its own in [`Status::with_metadata`](crate::Status::with_metadata).
    ///
    /// # Errors
    ///
    /// [`MetadataError`] if the key cannot travel, or all that was added would be more than the
    /// caller accepts; this entry is left out then.
    pub fn answer_with(&self, key: &str, value: impl Into<Bytes>) -> Result<(), MetadataError> {
        let CallContext {
            connection,
            key: at,
            id,
        } = &self.context;
        let entry = Entry::new(key, value);
        let mut core = connection.lock();
        let limit = core.engine.peer_limits().max_metadata;
        if core.engine.id(*at) == Some(*id)
            && let Some(slot) = core.engine.user_mut(*at)
        {
            let trailers = &mut slot.rare().trailers;
            check_metadata(trailers.entries().iter().chain([&entry]), limit)?;
            trailers.add(entry);
        }
        Ok(())
    }

    /// A client for calls back to the caller, on the connection this call came by.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::borrowed(Arc::clone(&self.context.connection))
    }
}

impl<T: fmt::Debug> fmt::Debug for Call<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("body", &self.body)
            .field("peer", &self.peer)
            .field("metadata", &self.metadata)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
