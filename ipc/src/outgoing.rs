//! A call of ours, from its request to its answer.

use std::future::poll_fn;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use tokio::sync::SemaphorePermit;
use tokio::time::timeout_at;

use crate::conn::{Connection, Ending, Held, deadline_after, now, time_left};
use crate::error::{Error, Failure, Outcome};
use crate::metadata::Metadata;
use crate::method::{Method, Shape};
use crate::pool::{LARGE, Pool};
use crate::status::{Code, Status};
use crate::sync::Arc;
use crate::wire::messages::{CallHead, End};
use crate::wire::{Body, Open, Whole};

/// What a caller may choose for one call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) timeout: Option<Duration>,
    pub(crate) metadata: Metadata,
}

/// The length of a message, and its writer.
pub(crate) struct Encode<'a> {
    pub(crate) len: usize,
    pub(crate) write: &'a mut (dyn FnMut(&mut BytesMut) + Send),
}

/// Opens a call, with its first message if it has one; the only one unless the caller streams.
///
/// Waits, inside the deadline, until the peer takes another call.
pub(crate) async fn open(
    connection: &Arc<Connection>,
    method: &'static Method,
    options: Options,
    request: Option<Encode<'_>>,
) -> Result<Held, Error> {
    let begun = options.timeout.map(|_| now());
    let deadline = begun.and_then(|begun| deadline_after(begun, options.timeout));
    let one_way = method.shape() == Shape::OneWay;
    let waited = match deadline {
        Some(deadline) if begun.is_some_and(|begun| deadline <= begun) => return Err(late().into()),
        _ if !one_way
            && connection
                .slots()
                .try_acquire()
                .map(SemaphorePermit::forget)
                .is_ok() =>
        {
            false
        }
        // Boxed, so that the rare wait and its timer do not make every call's future larger.
        Some(deadline) => Box::pin(timeout_at(deadline.into(), turn(connection, one_way)))
            .await
            .unwrap_or_else(|_elapsed| Err(late()))
            .map(|()| true)?,
        None => Box::pin(turn(connection, one_way)).await.map(|()| true)?,
    };
    let sent = begun.map(|begun| if waited { now() } else { begun });
    let body = request.map(|request| body(&connection.pool, request));
    let open = opening(method, options.metadata, body, deadline.zip(sent));
    let busy = method.shape() == Shape::Unary;
    match connection.open(open, busy) {
        Ok(key) => Ok(Held::outgoing(Arc::clone(connection), key)),
        Err(failure) => {
            connection.slots().add_permits(1);
            Err(failure.into())
        }
    }
}

/// Waits for the one answer of a call.
pub(crate) async fn answer(call: &mut Held) -> Result<(Bytes, Metadata), Failure> {
    // A success without metadata ends with its message; otherwise END follows it.
    judge(poll_fn(|cx| call.poll_answer(cx)).await)
}

/// A call as the engine opens it, with its deadline and the moment its time left counts from.
pub(crate) fn opening<'a>(
    method: &Method,
    metadata: Metadata,
    body: Option<Body<'a>>,
    timing: Option<(Instant, Instant)>,
) -> Open<'a> {
    let (deadline, now) = timing.unzip();
    let head = CallHead {
        method: method.id(),
        time_left: now.and_then(|now| time_left(deadline, now)),
        metadata: metadata.into_entries(),
        body: None,
    };
    Open {
        head,
        end: body.is_some(),
        body,
        one_way: method.shape() == Shape::OneWay,
        deadline,
    }
}

/// What the one answer of a call comes to, which is `None` if it has two messages.
pub(crate) fn judge(
    answered: Option<(Option<Whole>, Ending)>,
) -> Result<(Bytes, Metadata), Failure> {
    let (whole, ending) = answered.ok_or_else(|| broken("the answer has two messages"))?;
    match ending {
        Ending::Peer(End {
            code: 0, metadata, ..
        }) => {
            let whole = whole.ok_or_else(|| broken("the answer has no message"))?;
            Ok((whole.bytes, Metadata::from_entries(metadata)))
        }
        ending => Err(ending.into_failure()),
    }
}

/// A small message is written in place, a large one into a pooled buffer first, so that the
/// lock is not held for it.
pub(crate) fn body<'a>(pool: &Arc<Pool>, message: Encode<'a>) -> Body<'a> {
    let Encode { len, write } = message;
    if len <= LARGE {
        return Body::Write(len, write);
    }
    let mut buffer = pool.take();
    buffer.reserve(len);
    write(&mut buffer);
    Body::Bytes(pool.freeze(buffer))
}

/// Takes one of the calls that the peer lets us have open; one-way, once the output has room.
async fn turn(connection: &Connection, one_way: bool) -> Result<(), Failure> {
    if one_way {
        poll_fn(|cx| connection.poll_room(None, cx)).await;
    }
    let slots = connection.slots();
    if connection.takes_no_calls() {
        let status = Status::resource_exhausted("the peer takes no calls");
        return Err(Failure::new(status, Outcome::NotSent));
    }
    let permit = slots.acquire().await.map_err(|_closed| connection.lost())?;
    permit.forget();
    Ok(())
}

pub(crate) fn late() -> Failure {
    let status = Status::deadline_exceeded("deadline passed before the call was sent");
    Failure::new(status, Outcome::NotSent)
}

/// A peer that answers in a way the method does not have.
fn broken(message: &str) -> Failure {
    Failure::new(Status::new(Code::Internal, message), Outcome::MayHaveRun)
}
