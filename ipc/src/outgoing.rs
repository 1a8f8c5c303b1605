//! A call of ours, from its request to its answer.

use std::future::poll_fn;
use std::task::Waker;
use std::time::{Duration, Instant};

use bytes::{BufMut as _, Bytes, BytesMut};
use prost::Message;
use tokio::sync::SemaphorePermit;
use tokio::time::timeout_at;

use crate::clock::{deadline_after, now, time_left};
use crate::conn::{Connection, Ending, Held};
use crate::error::{Error, Failure, Outcome};
use crate::metadata::Metadata;
use crate::method::{Method, Shape};
use crate::pool::Pool;
use crate::status::{Code, Status};
use crate::sync::Arc;
use crate::sys::{Parts, Pieces};
use crate::wire::messages::CallHead;
use crate::wire::{Body, Encode, Open, Whole};

impl<M: Message> Encode for M {
    fn size(&self) -> usize {
        self.encoded_len()
    }

    fn write(&self, out: &mut BytesMut) {
        self.encode_raw(&mut Pieces(out));
    }

    fn write_parts(&self, out: &mut BytesMut, grow: &mut dyn FnMut(&mut BytesMut)) -> Bytes {
        let mut parts = Parts::new(out, SMALL, grow);
        self.encode_raw(&mut parts);
        parts.into_apart()
    }
}

/// What a caller may choose for one call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) timeout: Option<Duration>,
    pub(crate) metadata: Metadata,
}

/// An answer and the metadata beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reply<T> {
    /// The answer.
    pub body: T,
    /// What came beside it.
    pub metadata: Metadata,
}

/// When a call must be over, and the time that is left when it is sent.
type Timing = Option<(Instant, Duration)>;

/// Opens a call, with its first message if it has one; the only one unless the caller streams.
///
/// Waits, inside the deadline, until the peer takes another call.
pub(crate) async fn open(
    connection: &Arc<Connection>,
    method: &'static Method,
    options: Options,
    request: Option<&dyn Encode>,
) -> Result<Held, Error> {
    let mut timing = timing(&options)?;
    let permit = match (try_turn(connection, method), &mut timing) {
        (Some(permit), _) => permit,
        // Boxed, so that the rare wait and its timer do not make every call's future larger.
        (None, Some((deadline, left))) => {
            let turn = timeout_at((*deadline).into(), turn(connection, method));
            let turn = Box::pin(turn).await;
            *left = deadline.saturating_duration_since(now());
            turn.unwrap_or_else(|_elapsed| Err(late()))?
        }
        (None, None) => Box::pin(turn(connection, method)).await?,
    };
    let body = request.map(|request| body(&connection.pool, request));
    let open = opening(method, options.metadata, body, timing);
    send(connection, method, open, (permit, None))
}

/// Opens a call with its only message and one who waits for its answer; `None`, and nothing is
/// taken from `options`, if it has to wait first.
pub(crate) fn try_open(
    connection: &Arc<Connection>,
    method: &'static Method,
    options: &mut Options,
    request: &dyn Encode,
    reader: &Waker,
) -> Option<Result<Held, Error>> {
    let timing = match timing(options) {
        Ok(timing) => timing,
        Err(late) => return Some(Err(late.into())),
    };
    let permit = try_turn(connection, method)?;
    let metadata = std::mem::take(&mut options.metadata);
    let body = body(&connection.pool, request);
    let open = opening(method, metadata, Some(body), timing);
    Some(send(connection, method, open, (permit, Some(reader))))
}

fn timing(options: &Options) -> Result<Timing, Failure> {
    match options.timeout {
        None => Ok(None),
        Some(Duration::ZERO) => Err(late()),
        Some(timeout) => Ok(deadline_after(now(), Some(timeout)).map(|at| (at, timeout))),
    }
}

/// Sends a call that has its turn.
fn send(
    connection: &Arc<Connection>,
    method: &'static Method,
    open: Open<'_>,
    (permit, reader): (SemaphorePermit<'_>, Option<&Waker>),
) -> Result<Held, Error> {
    let busy = method.shape() == Shape::Unary;
    let key = connection.open(open, busy, reader)?;
    // It comes back with the hold on the call.
    permit.forget();
    Ok(Held::outgoing(Arc::clone(connection), key))
}

/// A call as the engine opens it, with its deadline and the time that is left.
pub(crate) fn opening<'a>(
    method: &Method,
    metadata: Metadata,
    body: Option<Body<'a>>,
    timing: Timing,
) -> Open<'a> {
    let (deadline, left) = timing.unzip();
    let head = CallHead {
        method: method.id(),
        time_left: left.map(time_left),
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
pub(crate) fn judge<T: Message + Default>(
    answered: Option<(Option<Whole>, Ending)>,
) -> Result<Reply<T>, Failure> {
    let (whole, ending) = answered.ok_or_else(|| broken("the answer has two messages"))?;
    let metadata = ending.into_result()?;
    let whole = whole.ok_or_else(|| broken("the answer has no message"))?;
    let body = decode(whole.bytes)?;
    Ok(Reply { body, metadata })
}

/// A small message is written in place. A large one is encoded before, so that the lock is not
/// held for it: into a pooled buffer, but for large `Bytes` at its end, which are not copied.
pub(crate) fn body<'a>(pool: &Arc<Pool>, message: &'a dyn Encode) -> Body<'a> {
    let len = message.size();
    if len <= SMALL {
        return Body::Write(len, message);
    }
    let mut front = BytesMut::with_capacity(FRONT);
    let rest = message.write_parts(&mut front, &mut |front| {
        if front.capacity() < len {
            let few = std::mem::replace(front, pool.take_for(len));
            front.extend_from_slice(&few);
        }
    });
    if front.len() <= FRONT && !rest.is_empty() {
        return Body::Parts(Box::new([front.freeze(), rest]));
    }
    Pieces(&mut front).put_slice(&rest);
    Body::Bytes(pool.freeze(front))
}

/// Messages up to this size are written in place, and `Bytes` below it copied; in bytes.
const SMALL: usize = 16_384;
/// The most that stands in front of `Bytes` that are not copied; in bytes.
const FRONT: usize = 1_024;

/// Takes one of the calls that the peer lets us have open, if that needs no waiting.
fn try_turn<'a>(connection: &'a Connection, method: &Method) -> Option<SemaphorePermit<'a>> {
    let free = method.shape() != Shape::OneWay || connection.has_room();
    let permit = free.then(|| connection.slots().try_acquire());
    permit?.ok()
}

/// Takes one of the calls that the peer lets us have open; one-way, once the output has room.
async fn turn<'a>(
    connection: &'a Connection,
    method: &Method,
) -> Result<SemaphorePermit<'a>, Failure> {
    loop {
        if method.shape() == Shape::OneWay {
            poll_fn(|cx| connection.poll_room(None, cx)).await;
        }
        if connection.takes_no_calls() {
            let status = Status::resource_exhausted("the peer takes no calls");
            return Err(Failure::new(status, Outcome::NotSent));
        }
        let permit = connection.slots().acquire().await;
        let permit = permit.map_err(|_closed| connection.lost())?;
        // Those who were in front may have filled the output since.
        if method.shape() != Shape::OneWay || connection.has_room() {
            return Ok(permit);
        }
    }
}

pub(crate) fn late() -> Failure {
    let status = Status::deadline_exceeded("deadline passed before the call was sent");
    Failure::new(status, Outcome::NotSent)
}

/// A peer that answers in a way the method does not have.
fn broken(message: &str) -> Failure {
    Failure::new(Status::new(Code::Internal, message), Outcome::MayHaveRun)
}

/// Decodes a message; one that does not parse is the fault of its sender, after the call ran.
pub(crate) fn decode<T: Message + Default>(bytes: Bytes) -> Result<T, Failure> {
    T::decode(bytes).map_err(|error| {
        let status = Status::internal(format!("the message does not parse: {error}"));
        Failure::new(status, Outcome::MayHaveRun)
    })
}

#[cfg(all(test, not(ipc_loom)))]
mod tests {
    use std::task::Context;

    use super::*;
    use crate::conn::fixture::{Nobody, connection, opening as empty, peer};
    use crate::conn::memory::MemoryEnd;
    use crate::limits::Limits;
    use crate::wire::messages::{End, Entry};

    static NOTE: Method = Method::new("test.Test/Note", Shape::OneWay);
    /// Calls that the peer takes at the same time.
    const CALLS: usize = 3;

    /// Reads all that comes, for ever.
    async fn takes(far: &MemoryEnd) {
        loop {
            poll_fn(|cx| far.poll_readable(cx)).await;
            far.try_read(&mut BytesMut::with_capacity(4_096), usize::MAX);
        }
    }

    async fn each(calls: impl IntoIterator<Item: Future<Output = Result<Held, Error>>>) {
        for call in calls {
            assert!(call.await.is_ok());
        }
    }

    #[tokio::test]
    async fn whoever_has_waited_for_a_turn_waits_for_room_as_well() {
        let limits = Limits {
            outbox: 1_024,
            ..Limits::default()
        };
        let (connection, task, far) = connection(&peer(), 16, Arc::new(Nobody), limits);
        let open_call = |_| {
            connection.slots().try_acquire().unwrap().forget();
            let key = connection.open(empty(true), true, None).unwrap();
            Held::outgoing(Arc::clone(&connection), key)
        };
        let calls: Vec<Held> = (0..CALLS).map(open_call).collect();
        let note = Entry::new("key", vec![7; 100]);
        let call = |_| Box::pin(open(&connection, &NOTE, Options::default(), Some(&note)));
        let mut callers: Vec<_> = (0..10).map(call).collect();
        let mut cx = Context::from_waker(Waker::noop());
        let mut all_wait = || {
            let mut polls = callers.iter_mut().map(|it| it.as_mut().poll(&mut cx));
            polls.all(|poll| poll.is_pending())
        };
        assert!(all_wait());
        // More than the stream holds, and the output may.
        connection.with_output(|core, _| (0..6_000).for_each(|ping| core.engine.ping(ping)));
        drop(calls);
        assert!(all_wait());
        tokio::select! {
            reason = task.run() => panic!("{reason}"),
            () = takes(&far) => {}
            () = each(callers) => {}
        }
    }

    fn encoded(message: &dyn Encode) -> (Bytes, Bytes) {
        let pool = Pool::new(1 << 20);
        let body = body(&pool, message);
        assert!(!matches!(body, Body::Write(..)), "to be written in place");
        body.into_parts()
    }

    #[test]
    fn large_bytes_at_the_end_of_a_message_are_not_copied() {
        for size in [SMALL, 400_000] {
            let entry = Entry::new("key", vec![7; size]);
            let (front, rest) = encoded(&entry);
            assert_eq!(rest.as_ptr(), entry.value.as_ptr());
            assert_eq!([front, rest].concat(), entry.encode_to_vec());
        }
    }

    #[test]
    fn large_bytes_between_other_fields_are_copied() {
        let end = End {
            details: vec![7; 20_000].into(),
            unseen: true,
            ..End::default()
        };
        let long = Entry::new(&"k".repeat(FRONT), vec![7; 20_000]);
        let messages: [(&dyn Encode, _); 2] =
            [(&end, end.encode_to_vec()), (&long, long.encode_to_vec())];
        for (message, expected) in messages {
            let (front, rest) = encoded(message);
            assert!(front.is_empty());
            assert_eq!(rest, expected);
        }
    }

    #[test]
    fn a_small_message_is_written_in_place() {
        let entry = Entry::new("key", vec![7; SMALL - 100]);
        let pool = Pool::new(1 << 20);
        assert!(matches!(body(&pool, &entry), Body::Write(..)));
    }
}
