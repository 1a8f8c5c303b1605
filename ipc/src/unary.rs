//! The future of a call with one message each way, which most calls are: it needs no memory of
//! its own, and whoever polls it waits for the answer from the moment the call is sent.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use prost::Message;

use crate::conn::Held;
use crate::error::Error;
use crate::outgoing::{Reply, judge};
use crate::request::Unary;

/// Sends a [`Unary`] when it is first polled, and gives the answer.
///
/// # Cancel safety
///
/// As [`Unary`].
#[must_use = "a call is sent when it is awaited"]
pub struct UnaryFuture<Req, Res>(State<Req, Res>);

enum State<Req, Res> {
    /// Not sent yet; `None` once it is over.
    New(Option<Unary<Req, Res>>),
    /// Waits until the peer takes another call.
    Waiting(Pin<Box<dyn Future<Output = Result<Held, Error>> + Send>>),
    Sent(Held),
}

impl<Req, Res> UnaryFuture<Req, Res>
where
    Req: Message + 'static,
    Res: Message + Default + 'static,
{
    pub(crate) const fn new(request: Unary<Req, Res>) -> Self {
        Self(State::New(Some(request)))
    }

    pub(crate) fn poll_reply(&mut self, cx: &mut Context<'_>) -> Poll<Result<Reply<Res>, Error>> {
        let reply = ready!(self.poll_answer(cx));
        self.0 = State::New(None);
        Poll::Ready(reply)
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Result<Reply<Res>, Error>> {
        if let State::New(new) = &mut self.0 {
            let sent = new.as_mut().and_then(|new| new.try_send(cx.waker()));
            if let Some(sent) = sent {
                // The message is not kept while its answer is awaited.
                self.0 = State::Sent(sent?);
                return Poll::Pending;
            }
            let Some(mut waits) = new.take() else {
                return Poll::Pending;
            };
            self.0 = State::Waiting(Box::pin(async move { waits.send().await }));
        }
        if let State::Waiting(waiting) = &mut self.0 {
            self.0 = State::Sent(ready!(waiting.as_mut().poll(cx))?);
        }
        let State::Sent(call) = &mut self.0 else {
            return Poll::Pending;
        };
        Poll::Ready(Ok(judge(ready!(call.poll_answer(cx)))?))
    }
}

impl<Req, Res> Future for UnaryFuture<Req, Res>
where
    Req: Message + 'static,
    Res: Message + Default + 'static,
{
    type Output = Result<Res, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let reply = self.poll_reply(cx);
        reply.map(|reply| reply.map(|reply| reply.body))
    }
}

/// Nothing in it is pinned: a message does not become one by being kept.
impl<Req, Res> Unpin for UnaryFuture<Req, Res> {}

impl<Req, Res> fmt::Debug for UnaryFuture<Req, Res> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.0 {
            State::New(_) => "new or over",
            State::Waiting(_) => "waiting",
            State::Sent(_) => "sent",
        };
        f.debug_tuple("UnaryFuture").field(&state).finish()
    }
}
