//! Streams of a client without a runtime. Each borrows the client until it is dropped,
//! which cancels a call that is not over.

use std::fmt;
use std::marker::PhantomData;

use prost::Message;

use super::link::Link;
use crate::conn::Ending;
use crate::error::Error;
use crate::request::decode;
use crate::wire::Key;

/// The messages of one call, in order.
pub struct Receiver<'a, T> {
    call: Open<'a>,
    over: bool,
    message: PhantomData<fn() -> T>,
}

impl<'a, T: Message + Default> Receiver<'a, T> {
    pub(super) const fn new(link: &'a mut Link, key: Key) -> Self {
        Self {
            call: Open { link, key },
            over: false,
            message: PhantomData,
        }
    }

    /// Waits for the next message; `Ok(None)` once the sender has ended the stream.
    ///
    /// # Errors
    ///
    /// [`Error::Call`] if the call failed, after all messages that arrived before.
    pub fn recv(&mut self) -> Result<Option<T>, Error> {
        if self.over {
            return Ok(None);
        }
        let message = self.call.recv();
        self.over = !matches!(message, Ok(Some(_)));
        message
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
    call: Open<'a>,
    messages: PhantomData<fn(Req) -> Res>,
}

impl<'a, Req: Message, Res: Message + Default> Upload<'a, Req, Res> {
    pub(super) const fn new(link: &'a mut Link, key: Key) -> Self {
        Self {
            call: Open { link, key },
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
        let Open { link, key } = &mut { self.call };
        link.end(*key);
        link.only_answer(*key)
    }
}

/// Sends and receives on one call.
pub struct Exchange<'a, Req, Res> {
    call: Open<'a>,
    over: bool,
    messages: PhantomData<fn(Req) -> Res>,
}

impl<'a, Req: Message, Res: Message + Default> Exchange<'a, Req, Res> {
    pub(super) const fn new(link: &'a mut Link, key: Key) -> Self {
        Self {
            call: Open { link, key },
            over: false,
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
        self.call.link.send(self.call.key, message)
    }

    /// Ends our direction; the peer's goes on.
    pub fn finish_sending(&mut self) {
        self.call.link.end(self.call.key);
    }

    /// Waits for the next message; `Ok(None)` once the peer has ended the call.
    ///
    /// # Errors
    ///
    /// [`Error::Call`] if the call failed, after all messages that arrived before.
    pub fn recv(&mut self) -> Result<Option<Res>, Error> {
        if self.over {
            return Ok(None);
        }
        let message = self.call.recv();
        self.over = !matches!(message, Ok(Some(_)));
        message
    }
}

/// A hold on one open call.
struct Open<'a> {
    link: &'a mut Link,
    key: Key,
}

impl Open<'_> {
    fn recv<T: Message + Default>(&mut self) -> Result<Option<T>, Error> {
        match self.link.next(self.key) {
            Ok(whole) => Ok(Some(decode(whole.bytes)?)),
            Err(Ending::Peer(end)) if end.code == 0 => Ok(None),
            Err(ending) => Err(ending.into_failure().into()),
        }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.link.release(self.key);
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
