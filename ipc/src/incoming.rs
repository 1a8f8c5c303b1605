//! A call of the peer, from its frame to its answer.

use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Instant;

use bytes::Bytes;
use prost::Message;
use tokio::time::{timeout, timeout_at};
use tracing::Instrument;

use crate::answer::Answer;
use crate::call::{Call, CallContext};
use crate::conn::events::Arrived;
use crate::conn::{Connection, Ending, Held, Hold};
use crate::method::{Method, Shape};
use crate::status::Status;
use crate::stream::{Receiver, Sender};
use crate::sync::Arc;
use crate::wire::{CallId, Key};

/// A call of the peer that nobody has handled yet; given to [`Service::call`](crate::Service).
pub struct Incoming {
    pub(crate) connection: Arc<Connection>,
    pub(crate) arrived: Arrived,
}

/// The running of one call; returned by [`Service::call`](crate::Service).
#[must_use = "a call is not run until its connection polls it"]
pub struct Handling(Option<Pin<Box<dyn Future<Output = ()> + Send>>>);

impl Incoming {
    /// Runs a handler that takes one message and gives one.
    pub fn unary<Req, Res, F, Fut>(self, handler: F) -> Handling
    where
        Req: Message + Default,
        Res: Message,
        F: FnOnce(Call<Req>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Res, Status>> + Send + 'static,
    {
        let (answer, mut head) = self.split(|call| call);
        Handling::new(async move {
            match request(&answer.call, &mut head.body).await {
                Ok(request) => answer.finish(handler(head.map(|_| request)).await),
                Err(refusal) => answer.refuse(&refusal),
            }
        })
    }

    /// Runs a handler that takes one message and gives many.
    pub fn server_streaming<Req, Res, F, Fut>(self, handler: F) -> Handling
    where
        Req: Message + Default,
        Res: Message,
        F: FnOnce(Call<Req>, Sender<Res>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<(), Status>> + Send + 'static,
    {
        let (answer, mut head) = self.split(Arc::new);
        Handling::new(async move {
            let sender = Sender::new(Arc::clone(&answer.call));
            match request(&answer.call, &mut head.body).await {
                Ok(request) => {
                    let call = head.map(|_| request);
                    answer.finish_stream(handler(call, sender).await);
                }
                Err(refusal) => answer.refuse(&refusal),
            }
        })
    }

    /// Runs a handler that takes many messages and gives one.
    pub fn client_streaming<Req, Res, F, Fut>(self, handler: F) -> Handling
    where
        Req: Message + Default,
        Res: Message,
        F: FnOnce(Call<Receiver<Req>>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Res, Status>> + Send + 'static,
    {
        let (answer, head) = self.split(Arc::new);
        Handling::new(async move {
            let call = head.map(|head| Receiver::incoming(Arc::clone(&answer.call), head.body));
            answer.finish(handler(call).await);
        })
    }

    /// Runs a handler that takes many messages and gives many.
    pub fn bidirectional<Req, Res, F, Fut>(self, handler: F) -> Handling
    where
        Req: Message + Default,
        Res: Message,
        F: FnOnce(Call<Receiver<Req>>, Sender<Res>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<(), Status>> + Send + 'static,
    {
        let (answer, head) = self.split(Arc::new);
        Handling::new(async move {
            let sender = Sender::new(Arc::clone(&answer.call));
            let call = head.map(|head| Receiver::incoming(Arc::clone(&answer.call), head.body));
            answer.finish_stream(handler(call, sender).await);
        })
    }

    /// Runs a handler that takes one message and gives none.
    pub fn one_way<Req, F, Fut>(self, handler: F) -> Handling
    where
        Req: Message + Default,
        F: FnOnce(Call<Req>) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let (answer, mut head) = self.split(|call| call);
        Handling::new(async move {
            match request(&answer.call, &mut head.body).await {
                Ok(request) => {
                    handler(head.map(|_| request)).await;
                    // A caller that wants an answer all the same gets an empty one.
                    answer.finish(Ok(()));
                }
                Err(refusal) => answer.refuse(&refusal),
            }
        })
    }

    /// Answers that there is no such method.
    pub fn unimplemented(self) -> Handling {
        self.refuse(&Status::unimplemented("no such method"));
        Handling(None)
    }

    pub(crate) fn refuse(self, status: &Status) {
        let (answer, _) = self.split(|call| call);
        answer.refuse(status);
    }

    /// The duty to answer, and what came with the call; `share` says how the call is held.
    fn split<H: Hold>(self, share: impl FnOnce(Held) -> H) -> (Answer<H>, Call<Head>) {
        let Self {
            connection,
            arrived,
        } = self;
        let Arrived {
            key,
            id,
            metadata,
            body,
            end,
            deadline,
            ..
        } = arrived;
        let context = CallContext::new(Arc::clone(&connection), key, id);
        let call = Call::new(Head { body, end }, metadata, deadline, context);
        let held = share(Held::incoming(connection, key));
        (Answer::new(held), call)
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("id", &self.arrived.id)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Handling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Handling").field(&self.0.is_some()).finish()
    }
}

impl Handling {
    fn new(handler: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(Some(Box::pin(handler)))
    }

    /// Polls the handler once where it is; only one that must wait becomes a task.
    pub(crate) fn start(self, call: &Place<'_>) {
        let Place {
            connection,
            key,
            id,
            method,
            deadline,
        } = *call;
        let Self(Some(handling)) = self else { return };
        let mut guarded = Guarded(Some(handling));
        let first = Pin::new(&mut guarded).poll(&mut Context::from_waker(Waker::noop()));
        if let Poll::Ready(ended) = first {
            return report(connection, method, &ended);
        }
        let one_way = {
            let mut core = connection.lock();
            if method.shape() == Shape::Unary {
                core.enter(key);
            }
            core.engine.is_one_way(key)
        };
        let host = Arc::clone(connection);
        let running = async move { report(&host, method, &guarded.await) };
        let running = running.in_current_span();
        // A one-way call may outlive the connection, whose timer ends the others.
        let alone = deadline.filter(|_| one_way);
        let task = match alone {
            Some(deadline) => {
                let until = until(deadline, running, Arc::clone(connection), (key, id));
                connection.handlers.spawn(until)
            }
            None => connection.handlers.spawn(running),
        };
        let task = task.abort_handle();
        let mut core = connection.lock();
        if core.engine.id(key) == Some(id)
            && let Some(slot) = core.engine.user_mut(key)
        {
            slot.rare().handler.task = Some(task);
        }
    }
}

/// Which call is to be started, and where.
pub(crate) struct Place<'a> {
    pub(crate) connection: &'a Arc<Connection>,
    pub(crate) key: Key,
    pub(crate) id: CallId,
    pub(crate) method: &'static Method,
    pub(crate) deadline: Option<Instant>,
}

/// Runs a handler until its deadline, then stops what it has spawned as well.
async fn until(
    deadline: Instant,
    handler: impl Future<Output = ()>,
    connection: Arc<Connection>,
    (key, id): (Key, CallId),
) {
    let mut handler = pin!(handler);
    if timeout_at(deadline.into(), handler.as_mut()).await.is_err() {
        connection.stop_handler(key, id);
    }
}

/// What came with the CALL frame.
struct Head {
    body: Option<Bytes>,
    end: bool,
}

/// The one message of a request, once its caller has sent all it will.
async fn request<Req: Message + Default>(call: &Held, head: &mut Head) -> Result<Req, Status> {
    // Taken, not cloned: a clone of `Bytes` that nobody shares yet allocates.
    let mut body = head.body.take();
    if !head.end {
        body = rest(call, body).await?;
    }
    let body = body.ok_or_else(|| Status::internal("the call has no request"))?;
    Req::decode(body).map_err(|e| Status::internal(format!("the message does not parse: {e}")))
}

/// Waits for the end of the caller's direction, and gives its only message. That one is kept
/// for the caller alone, so its end must follow in time.
async fn rest(call: &Held, mut only: Option<Bytes>) -> Result<Option<Bytes>, Status> {
    loop {
        let next = poll_fn(|cx| call.connection.poll_message(call.key, cx));
        let next = if only.is_none() {
            next.await
        } else {
            let late = |_elapsed| Status::internal("the call was not ended in time");
            let patience = call.connection.limits.frame;
            timeout(patience, next).await.map_err(late)?
        };
        match next {
            Ok(_) if only.is_some() => return Err(Status::internal("the call has two requests")),
            Ok(whole) => only = Some(whole.bytes),
            Err(Ending::Done(_)) => return Ok(only),
            // The call is over; nobody will read this.
            Err(_) => return Err(Status::cancelled("the call is over")),
        }
    }
}

/// A handler whose panic ends its call and nothing else.
struct Guarded(Option<Pin<Box<dyn Future<Output = ()> + Send>>>);

impl Future for Guarded {
    type Output = thread::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(handling) = &mut self.0 else {
            return Poll::Ready(Ok(()));
        };
        let polled = catch_unwind(AssertUnwindSafe(|| handling.as_mut().poll(cx)));
        let done = match polled {
            Ok(polled) => polled.map(Ok),
            Err(panic) => Poll::Ready(Err(panic)),
        };
        if done.is_ready() {
            self.0 = None;
        }
        done
    }
}

fn report(connection: &Connection, method: &Method, ended: &thread::Result<()>) {
    if ended.is_err() {
        connection.complaints.panicked(method, &connection.peer);
    }
}
