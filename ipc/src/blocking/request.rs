//! A call as its caller makes it: chosen, then sent.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use bytes::Bytes;
use prost::Message;

use super::held::Held;
use super::link::Link;
use super::stream::{Exchange, Receiver, Upload};
use crate::error::Error;
use crate::method::Method;
use crate::outgoing::{Options, Reply};
use crate::request::shape;

/// A call that its `send` makes, in the calling thread; `S` says how many messages go each
/// way. It borrows the client.
#[must_use = "a call is made by `send`"]
pub struct Request<'a, Req, S> {
    link: &'a mut Link,
    method: &'static Method,
    message: Req,
    options: Options,
    shape: PhantomData<fn() -> S>,
}

/// One message each way. Sending gives the answer.
pub type Unary<'a, Req, Res> = Request<'a, Req, shape::Unary<Res>>;
/// One request, many answers. Sending gives their [`Receiver`].
pub type ServerStreaming<'a, Req, Res> = Request<'a, Req, shape::ServerStreaming<Res>>;
/// Many requests, one answer. Sending gives an [`Upload`].
pub type ClientStreaming<'a, Req, Res> = Request<'a, (), shape::ClientStreaming<Req, Res>>;
/// Many each way. Sending gives an [`Exchange`].
pub type Bidirectional<'a, Req, Res> = Request<'a, (), shape::Bidirectional<Req, Res>>;
/// One request, no answer. Sending waits until the request has left; whether it arrives is
/// not known, by contract.
pub type OneWay<'a, Req> = Request<'a, Req, shape::OneWay>;

impl<'a, Req, S> Request<'a, Req, S> {
    pub(super) fn new(
        link: &'a mut Link,
        method: &'static Method,
        timeout: Option<Duration>,
        message: Req,
    ) -> Self {
        let options = Options {
            timeout: timeout.filter(|_| method.is_bounded()),
            ..Options::default()
        };
        Self {
            link,
            method,
            message,
            options,
            shape: PhantomData,
        }
    }

    /// Gives the call its own deadline, counted from when it is sent.
    pub fn deadline(mut self, timeout: Duration) -> Self {
        self.options.timeout = Some(timeout);
        self
    }

    /// Adds metadata; the key is made lower-case. With a key that cannot travel, or more than the
    /// peer accepts, the call fails unsent.
    pub fn metadata(mut self, key: &str, value: impl Into<Bytes>) -> Self {
        self.options.metadata.push(key, value);
        self
    }
}

impl<'a, Req: Message, S> Request<'a, Req, S> {
    /// Opens the call with its one message.
    fn open(self) -> Result<Held<'a>, Error> {
        Held::open(self.link, self.method, self.options, Some(&self.message))
    }
}

impl<Req: Message, Res: Message + Default> Unary<'_, Req, Res> {
    /// Sends the call and waits for its answer.
    ///
    /// # Errors
    ///
    /// [`Error::Call`] with the status and the [`Outcome`](crate::Outcome).
    pub fn send(self) -> Result<Res, Error> {
        self.reply().map(|reply| reply.body)
    }

    /// Like [`Self::send`], with the metadata beside the answer.
    ///
    /// # Errors
    ///
    /// [`Error::Call`] with the status and the [`Outcome`](crate::Outcome).
    pub fn reply(self) -> Result<Reply<Res>, Error> {
        self.open()?.reply()
    }
}

impl<'a, Req: Message, Res: Message + Default> ServerStreaming<'a, Req, Res> {
    /// Sends the call; its answers are waited for one by one.
    ///
    /// # Errors
    ///
    /// [`Error::Call`] if the call cannot be sent.
    pub fn send(self) -> Result<Receiver<'a, Res>, Error> {
        self.open().map(Receiver::new)
    }
}

impl<'a, Req: Message, Res: Message + Default> ClientStreaming<'a, Req, Res> {
    /// Opens the call, for the messages to follow.
    ///
    /// # Errors
    ///
    /// [`Error::Call`] if the call cannot be sent.
    pub fn send(self) -> Result<Upload<'a, Req, Res>, Error> {
        Held::open(self.link, self.method, self.options, None).map(Upload::new)
    }
}

impl<'a, Req: Message, Res: Message + Default> Bidirectional<'a, Req, Res> {
    /// Opens the call, for the messages to follow.
    ///
    /// # Errors
    ///
    /// [`Error::Call`] if the call cannot be sent.
    pub fn send(self) -> Result<Exchange<'a, Req, Res>, Error> {
        Held::open(self.link, self.method, self.options, None).map(Exchange::new)
    }
}

impl<Req: Message> OneWay<'_, Req> {
    /// Sends the call; returns once the request has left.
    ///
    /// # Errors
    ///
    /// [`Error::Call`] if the call cannot be sent.
    pub fn send(self) -> Result<(), Error> {
        self.open()?.sent()
    }
}

impl<Req, S> fmt::Debug for Request<'_, Req, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method.path())
            .finish_non_exhaustive()
    }
}
