//! Many messages in one direction; credit is felt as await.

use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;

use bytes::Bytes;
use prost::Message;

use crate::conn::{Held, unsent};
use crate::error::Error;
use crate::metadata::Metadata;
use crate::outgoing::{Reply, body, decode, judge};
use crate::sync::Arc;
use crate::wire::SendError;
use crate::wire::messages::End;

/// Sends messages of one call.
///
/// On the calling side, dropping it ends that direction. On the called side the handler's
/// return ends the call.
pub struct Sender<T> {
    call: Arc<Held>,
    message: PhantomData<fn(T)>,
}

impl<T: Message> Sender<T> {
    pub(crate) const fn new(call: Arc<Held>) -> Self {
        Self {
            call,
            message: PhantomData,
        }
    }

    /// Sends a message; waits until the peer has given credit and the output has room.
    ///
    /// # Errors
    ///
    /// [`Error::Call`] once the call is over, so that `?` ends a handler whose caller has left.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is done, it has sent nothing.
    pub async fn send(&self, message: T) -> Result<(), Error> {
        send(&self.call, &message).await
    }
}

async fn send<T: Message>(call: &Held, message: &T) -> Result<(), Error> {
    poll_fn(|cx| call.connection.poll_room(Some(call.key), cx)).await;
    let body = body(&call.connection.pool, message);
    let sent = call.connection.send(call.key, body, false);
    sent.map_err(|error| {
        if matches!(error, SendError::Done) {
            call.repay();
        }
        unsent(&mut call.connection.lock(), call.key, error).into()
    })
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if self.call.is_ours() {
            self.call.connection.end(self.call.key, &End::default());
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

/// Receives the messages of one call.
///
/// On the calling side, dropping it before the end cancels the call.
pub struct Receiver<T> {
    call: Arc<Held>,
    first: Option<Bytes>,
    trailers: Metadata,
    over: bool,
    message: PhantomData<fn() -> T>,
}

impl<T: Message + Default> Receiver<T> {
    pub(crate) fn new(call: Arc<Held>) -> Self {
        Self::incoming(call, None)
    }

    /// The receiver of a call whose first message may have come with it.
    pub(crate) fn incoming(call: Arc<Held>, first: Option<Bytes>) -> Self {
        Self {
            call,
            first,
            trailers: Metadata::default(),
            over: false,
            message: PhantomData,
        }
    }

    /// Waits for the next message; `Ok(None)` once the sender has ended the stream.
    ///
    /// # Errors
    ///
    /// [`Error::Call`] if the call failed, after all messages that arrived before. One that does
    /// not parse is an error in its place, and those behind it follow.
    /// [`Error::is_interrupted`] says whether the connection was lost.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: a message leaves the queue only when it is returned.
    pub async fn recv(&mut self) -> Result<Option<T>, Error> {
        if let Some(first) = self.first.take() {
            return Ok(Some(decode(first)?));
        }
        if self.over {
            return Ok(None);
        }
        let Held {
            connection, key, ..
        } = &*self.call;
        let next = poll_fn(|cx| connection.poll_message(*key, cx)).await;
        match next {
            Ok(whole) => {
                connection.consumed(*key, whole.cost);
                Ok(Some(decode(whole.bytes)?))
            }
            Err(ending) => {
                self.over = true;
                self.call.repay();
                self.trailers = ending.into_result()?;
                Ok(None)
            }
        }
    }

    /// Metadata that came with the end of the stream; empty before.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.trailers
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        if self.call.is_ours() && !self.over {
            self.call.connection.cancel(self.call.key);
        }
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}

/// Sends many messages and waits for one answer. Dropped unfinished, it cancels the call.
pub struct Upload<Req, Res> {
    call: Held,
    messages: PhantomData<fn(Req) -> Res>,
}

impl<Req: Message, Res: Message + Default> Upload<Req, Res> {
    pub(crate) const fn new(call: Held) -> Self {
        Self {
            call,
            messages: PhantomData,
        }
    }

    /// Sends a message; see [`Sender::send`].
    ///
    /// # Errors
    ///
    /// [`Error::Call`] once the call is over.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is done, it has sent nothing.
    pub async fn send(&self, message: Req) -> Result<(), Error> {
        send(&self.call, &message).await
    }

    /// Ends the stream and waits for the answer.
    ///
    /// # Errors
    ///
    /// [`Error::Call`] with the status.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the call; whether it ran is not known.
    pub async fn finish(self) -> Result<Res, Error> {
        self.reply().await.map(|reply| reply.body)
    }

    /// Like [`Self::finish`], with the metadata beside the answer.
    ///
    /// # Errors
    ///
    /// [`Error::Call`] with the status.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the call; whether it ran is not known.
    pub async fn reply(mut self) -> Result<Reply<Res>, Error> {
        self.call.connection.end(self.call.key, &End::default());
        Ok(judge(poll_fn(|cx| self.call.poll_answer(cx)).await)?)
    }
}

impl<Req, Res> fmt::Debug for Upload<Req, Res> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload").finish_non_exhaustive()
    }
}
