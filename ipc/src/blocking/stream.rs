//! Streams of a client without a runtime. Each borrows the client until it is dropped,
//! which cancels a call that is not over.

use std::fmt;
use std::marker::PhantomData;

use prost::Message;

use super::held::Held;
use crate::error::Error;
use crate::metadata::Metadata;
use crate::outgoing::{Reply, decode};

/// The messages of one call, in order.
pub struct Receiver<'a, T> {
    call: Held<'a>,
    trailers: Metadata,
    over: bool,
    message: PhantomData<fn() -> T>,
}

impl<'a, T: Message + Default> Receiver<'a, T> {
    pub(super) fn new(call: Held<'a>) -> Self {
        Self {
            call,
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
    pub fn recv(&mut self) -> Result<Option<T>, Error> {
        if self.over {
            return Ok(None);
        }
        match self.call.link.next(self.call.key) {
            Ok(whole) => Ok(Some(decode(whole.bytes)?)),
            Err(ending) => {
                self.over = true;
                self.trailers = ending.into_result()?;
                Ok(None)
            }
        }
    }

    /// Metadata that came with the end of the stream; empty before.
    #[must_use]
    pub const fn metadata(&self) -> &Metadata {
        &self.trailers
    }
}

impl<T: Message + Default> Iterator for Receiver<'_, T> {
    type Item = Result<T, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.recv().transpose()
    }
}

/// Sends many messages and waits for one answer.
pub struct Upload<'a, Req, Res> {
    call: Held<'a>,
    messages: PhantomData<fn(Req) -> Res>,
}

impl<'a, Req: Message, Res: Message + Default> Upload<'a, Req, Res> {
    pub(super) const fn new(call: Held<'a>) -> Self {
        Self {
            call,
            messages: PhantomData,
        }
    }

    /// Sends a message; waits until the peer has given credit for those before it.
    ///
    /// # Errors
    ///
    /// [`Error::Call`] once the call is over.
    pub fn send(&mut self, message: &Req) -> Result<(), Error> {
        self.call.link.send(self.call.key, message)
    }

    /// Ends the stream and waits for the answer.
    ///
    /// # Errors
    ///
    /// [`Error::Call`] with the status.
    pub fn finish(self) -> Result<Res, Error> {
        self.reply().map(|reply| reply.body)
    }

    /// Like [`Self::finish`], with the metadata beside the answer.
    ///
    /// # Errors
    ///
    /// [`Error::Call`] with the status.
    pub fn reply(self) -> Result<Reply<Res>, Error> {
        self.call.link.end(self.call.key);
        self.call.reply()
    }
}

/// Sends and receives on one call.
pub struct Exchange<'a, Req, Res> {
    answers: Receiver<'a, Res>,
    messages: PhantomData<fn(Req)>,
}

impl<'a, Req: Message, Res: Message + Default> Exchange<'a, Req, Res> {
    pub(super) fn new(call: Held<'a>) -> Self {
        Self {
            answers: Receiver::new(call),
            messages: PhantomData,
        }
    }

    /// Sends a message; waits until the peer has given credit for those before it, and
    /// keeps what the peer sends meanwhile.
    ///
    /// # Errors
    ///
    /// [`Error::Call`] once the call is over.
    pub fn send(&mut self, message: &Req) -> Result<(), Error> {
        let Held { link, key } = &mut self.answers.call;
        link.send(*key, message)
    }

    /// Ends our direction; the peer's goes on.
    pub fn finish_sending(&mut self) {
        let Held { link, key } = &mut self.answers.call;
        link.end(*key);
    }

    /// Waits for the next message; `Ok(None)` once the peer has ended the call.
    ///
    /// # Errors
    ///
    /// [`Error::Call`] if the call failed, after all messages that arrived before. One that does
    /// not parse is an error in its place, and those behind it follow.
    pub fn recv(&mut self) -> Result<Option<Res>, Error> {
        self.answers.recv()
    }

    /// Metadata that came with the end of the call; empty before.
    #[must_use]
    pub const fn metadata(&self) -> &Metadata {
        self.answers.metadata()
    }
}

macro_rules! opaque {
    ($($name:ident<$($parameter:ident),*>),* $(,)?) => {
        $(impl<$($parameter),*> fmt::Debug for $name<'_, $($parameter),*> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        })*
    };
}

opaque!(Receiver<T>, Upload<Req, Res>, Exchange<Req, Res>);
