//! A call as its caller makes it: chosen, then awaited.

use std::fmt;
use std::future::{Future, IntoFuture, poll_fn};
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use prost::Message;

use crate::client::Client;
use crate::conn::Held;
use crate::error::Error;
use crate::metadata::Metadata;
use crate::method::Method;
use crate::outgoing::{Options, Reply, open, try_open};
use crate::stream::{Receiver, Sender, Upload};
use crate::sync::Arc;
use crate::unary::UnaryFuture;

/// A call that is sent when it is awaited; `S` says how many messages go each way.
#[must_use = "a call is sent when it is awaited"]
pub struct Request<Req, S> {
    client: Client,
    method: &'static Method,
    message: Req,
    options: Options,
    shape: PhantomData<fn() -> S>,
}

/// One message each way. Awaiting gives the answer.
///
/// # Cancel safety
///
/// Dropping the future after it was polled cancels the call at the peer, where its handler
/// is dropped. Whether the handler had run by then is not known.
pub type Unary<Req, Res> = Request<Req, shape::Unary<Res>>;
/// One request, many answers. Awaiting gives their [`Receiver`].
pub type ServerStreaming<Req, Res> = Request<Req, shape::ServerStreaming<Res>>;
/// Many requests, one answer. Awaiting gives an [`Upload`].
pub type ClientStreaming<Req, Res> = Request<(), shape::ClientStreaming<Req, Res>>;
/// Many each way. Awaiting gives a [`Sender`] and a [`Receiver`].
pub type Bidirectional<Req, Res> = Request<(), shape::Bidirectional<Req, Res>>;
/// One request, no answer. Awaiting waits for room in the output, and until the request has
/// gone there as a whole; whether it arrives is not known, by contract.
///
/// # Cancel safety
///
/// Dropping the future gives up a request that has not gone as a whole: no handler sees it.
pub type OneWay<Req> = Request<Req, shape::OneWay>;

/// Markers for how many messages go each way.
pub mod shape {
    use std::marker::PhantomData;

    /// One message each way.
    #[derive(Debug)]
    pub struct Unary<Res>(PhantomData<Res>);
    /// One request, many answers.
    #[derive(Debug)]
    pub struct ServerStreaming<Res>(PhantomData<Res>);
    /// Many requests, one answer.
    #[derive(Debug)]
    pub struct ClientStreaming<Req, Res>(PhantomData<(Req, Res)>);
    /// Many each way.
    #[derive(Debug)]
    pub struct Bidirectional<Req, Res>(PhantomData<(Req, Res)>);
    /// One request, no answer.
    #[derive(Debug)]
    pub struct OneWay;
}

type Answer<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

impl<Req, S> Request<Req, S> {
    pub(crate) fn new(client: Client, method: &'static Method, message: Req) -> Self {
        let options = Options {
            timeout: client.timeout().filter(|_| method.is_bounded()),
            metadata: Metadata::default(),
        };
        Self {
            client,
            method,
            message,
            options,
            shape: PhantomData,
        }
    }

    /// Gives the call its own deadline, counted from when it is awaited.
    pub fn deadline(mut self, timeout: Duration) -> Self {
        self.options.timeout = Some(timeout);
        self
    }

    /// Adds metadata; the key is made lower-case. With a key that cannot travel, or more than the
    /// peer accepts, the call fails unsent when it is awaited.
    pub fn metadata(mut self, key: &str, value: impl Into<Bytes>) -> Self {
        self.options.metadata.push(key, value);
        self
    }
}

impl<Req: Message, S> Request<Req, S> {
    /// Sends the call with its one message.
    ///
    /// Nothing is moved out of `self`: each move would be a copy in every call.
    pub(crate) async fn send(&mut self) -> Result<Held, Error> {
        let (options, message) = (std::mem::take(&mut self.options), &self.message);
        let connection = self.client.connection();
        open(connection, self.method, options, Some(message)).await
    }

    /// Sends the call with its one message if that needs no waiting.
    pub(crate) fn try_send(&mut self, reader: &Waker) -> Option<Result<Held, Error>> {
        let (options, message) = (&mut self.options, &self.message);
        try_open(
            self.client.connection(),
            self.method,
            options,
            message,
            reader,
        )
    }
}

impl<Req: Message, Res: Message + Default> Unary<Req, Res> {
    /// Waits for the answer and the metadata beside it.
    ///
    /// # Errors
    ///
    /// [`Error::Call`] with the status and the [`Outcome`](crate::Outcome).
    ///
    /// # Cancel safety
    ///
    /// As for awaiting the call itself.
    pub async fn reply(self) -> Result<Reply<Res>, Error>
    where
        Req: 'static,
        Res: 'static,
    {
        let mut answer = self.into_future();
        poll_fn(|cx| answer.poll_reply(cx)).await
    }
}

impl<Req, Res> IntoFuture for Unary<Req, Res>
where
    Req: Message + 'static,
    Res: Message + Default + 'static,
{
    type Output = Result<Res, Error>;
    type IntoFuture = UnaryFuture<Req, Res>;

    fn into_future(self) -> Self::IntoFuture {
        UnaryFuture::new(self)
    }
}

impl<Req, Res> IntoFuture for ServerStreaming<Req, Res>
where
    Req: Message + 'static,
    Res: Message + Default + 'static,
{
    type Output = Result<Receiver<Res>, Error>;
    type IntoFuture = Answer<Receiver<Res>>;

    fn into_future(self) -> Self::IntoFuture {
        let mut request = self;
        Box::pin(async move { Ok(Receiver::new(Arc::new(request.send().await?))) })
    }
}

impl<Req, Res> IntoFuture for ClientStreaming<Req, Res>
where
    Req: Message + 'static,
    Res: Message + Default + 'static,
{
    type Output = Result<Upload<Req, Res>, Error>;
    type IntoFuture = Answer<Upload<Req, Res>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let call = open(self.client.connection(), self.method, self.options, None).await?;
            Ok(Upload::new(call))
        })
    }
}

impl<Req, Res> IntoFuture for Bidirectional<Req, Res>
where
    Req: Message + 'static,
    Res: Message + Default + 'static,
{
    type Output = Result<(Sender<Req>, Receiver<Res>), Error>;
    type IntoFuture = Answer<(Sender<Req>, Receiver<Res>)>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let call = open(self.client.connection(), self.method, self.options, None).await?;
            let call = Arc::new(call);
            Ok((Sender::new(Arc::clone(&call)), Receiver::new(call)))
        })
    }
}

impl<Req: Message + 'static> IntoFuture for OneWay<Req> {
    type Output = Result<(), Error>;
    type IntoFuture = Answer<()>;

    fn into_future(self) -> Self::IntoFuture {
        let mut request = self;
        Box::pin(async move {
            let mut call = request.send().await?;
            drop(request);
            Ok(poll_fn(|cx| call.poll_sent(cx)).await?)
        })
    }
}

impl<Req, S> fmt::Debug for Request<Req, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method.path())
            .finish_non_exhaustive()
    }
}
