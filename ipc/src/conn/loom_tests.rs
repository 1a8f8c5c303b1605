//! Every interleaving of those who share a connection's lock: nothing stays unwritten, nobody
//! sleeps through what it waits for.
//!
//! Seen by loom is what goes through [`crate::sync`]: the core, the stream in memory, the pool.
//! A wake that is lost shows as a deadlock.

#![expect(clippy::unwrap_used, reason = "a model that fails stops the test")]

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll, Wake};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use loom::sync::{Condvar, Mutex};
use loom::thread;
use prost::Message;

use super::fixture::{Nobody, frame, opening, peer};
use super::memory::{CAPACITY, MemoryEnd};
use super::*;
use crate::peer::Peer;
use crate::pool::LARGE;
use crate::wire::messages::{CallHead, Credit};
use crate::wire::{Flags, Kind};

fn connection(peer: &Peer, credit: u32) -> (Arc<Connection>, Task, MemoryEnd) {
    fixture::connection(peer, credit, Arc::new(Nobody), Limits::default())
}

/// Polls a future in this thread, and sleeps until it is woken.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let parker = Arc::new(Parker {
        woken: Mutex::new(false),
        wakes: Condvar::new(),
    });
    let waker = Arc::clone(&parker).into();
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        let mut woken = parker.woken.lock().unwrap();
        while !*woken {
            woken = parker.wakes.wait(woken).unwrap();
        }
        *woken = false;
    }
}

struct Parker {
    woken: Mutex<bool>,
    wakes: Condvar,
}

impl Wake for Parker {
    fn wake(self: Arc<Self>) {
        *self.woken.lock().unwrap() = true;
        self.wakes.notify_one();
    }
}

/// Opens a call without a body, as its caller does.
fn open(connection: &Arc<Connection>, end: bool, one_way: bool) -> Held {
    let open = Open {
        one_way,
        ..opening(end)
    };
    connection.slots().try_acquire().unwrap().forget();
    let key = connection.open(open, !one_way, None).unwrap();
    Held::outgoing(Arc::clone(connection), key)
}

/// Reads until so many bytes have come.
async fn read(far: &MemoryEnd, bytes: usize) {
    let mut buffer = BytesMut::with_capacity(4_096);
    while buffer.len() < bytes {
        buffer.reserve(4_096);
        poll_fn(|cx| far.poll_readable(cx)).await;
        far.try_read(&mut buffer, usize::MAX);
    }
}

/// Bytes of a CALL without body, and with an empty one.
const CALL: usize = 12;
const WHOLE_CALL: usize = 14;
/// Bytes of a frame without a payload.
const EMPTY: usize = 12;

#[test]
fn what_two_callers_push_is_written_without_anybody_asking() {
    let peer = peer();
    loom::model(move || {
        let (connection, task, far) = connection(&peer, 1 << 16);
        let first = open(&connection, true, false);
        let running = thread::spawn(move || block_on(task.run()));
        let other = Arc::clone(&connection);
        let calls = thread::spawn(move || drop(open(&other, true, true)));
        // The second that waits for an answer: neither caller is alone, the task writes for both.
        let waits = open(&connection, true, false);
        block_on(read(&far, 3 * WHOLE_CALL));
        calls.join().unwrap();
        drop((first, waits));
        connection.close_when_done();
        let reason = running.join().unwrap();
        assert!(matches!(reason, ConnectionError::Shutdown), "{reason:?}");
    });
}

#[test]
fn an_answer_wakes_the_one_who_waits_for_it() {
    let peer = peer();
    loom::model(move || {
        let (connection, task, far) = connection(&peer, 1 << 16);
        let call = open(&connection, true, false);
        let running = thread::spawn(move || block_on(task.run()));
        let answers = thread::spawn(move || {
            // Without END, whose own wake would hide that of the message.
            far.send(&frame(1, Kind::Message, Flags::NONE, b""))
                .unwrap();
            far
        });
        let answer = block_on(poll_fn(|cx| connection.poll_message(call.key, cx)));
        assert!(answer.is_ok(), "{answer:?}");
        drop(call);
        connection.close_when_done();
        let reason = running.join().unwrap();
        assert!(matches!(reason, ConnectionError::Shutdown), "{reason:?}");
        drop(answers.join().unwrap());
    });
}

#[test]
fn a_call_given_up_while_its_answer_comes_leaves_nothing_behind() {
    let peer = peer();
    loom::model(move || {
        let (connection, task, far) = connection(&peer, 1 << 16);
        let call = open(&connection, true, false);
        let running = thread::spawn(move || block_on(task.run()));
        let answers = thread::spawn(move || {
            // The connection may have ended before.
            drop(far.send(&frame(1, Kind::Message, Flags::END, b"")));
            far
        });
        drop(call);
        assert_eq!(connection.slots().available_permits(), 3);
        let mut core = connection.lock();
        assert_eq!(core.engine.users_mut().count(), 0);
        drop(core);
        connection.close_when_done();
        let reason = running.join().unwrap();
        assert!(matches!(reason, ConnectionError::Shutdown), "{reason:?}");
        drop(answers.join().unwrap());
    });
}

#[test]
fn credit_wakes_the_sender_that_waits_for_it() {
    let peer = peer();
    loom::model(move || {
        let (connection, task, far) = connection(&peer, 20);
        let call = open(&connection, false, false);
        let message = Body::Bytes(Bytes::from_static(&[0; 16]));
        connection.send(call.key, message, false).unwrap();
        let running = thread::spawn(move || block_on(task.run()));
        let gives = thread::spawn(move || {
            let credit = Credit { bytes: 1_000 }.encode_to_vec();
            far.send(&frame(1, Kind::Credit, Flags::NONE, &credit))
                .unwrap();
            // Two chunks, because the first credit has room for 8 bytes.
            block_on(read(&far, CALL + 12 + 8 + 12 + 8));
            far
        });
        block_on(poll_fn(|cx| connection.poll_room(Some(call.key), cx)));
        drop(gives.join().unwrap());
        let reason = running.join().unwrap();
        assert!(matches!(reason, ConnectionError::Closed), "{reason:?}");
        drop(call);
    });
}

#[test]
fn what_is_sent_while_input_is_taken_up_is_written_too() {
    let peer = peer();
    loom::model(move || {
        let (connection, task, far) = connection(&peer, 1 << 16);
        let first = open(&connection, true, false);
        let running = thread::spawn(move || block_on(task.run()));
        let asks = thread::spawn(move || {
            far.send(&frame(0, Kind::Ping, Flags::NONE, b"")).unwrap();
            block_on(read(&far, 2 * WHOLE_CALL + EMPTY));
        });
        // Not alone, so the task writes, which may be about to answer, or to fall asleep.
        let second = open(&connection, true, false);
        asks.join().unwrap();
        let reason = running.join().unwrap();
        assert!(matches!(reason, ConnectionError::Closed), "{reason:?}");
        drop((first, second));
    });
}

#[test]
fn credit_given_back_while_input_is_taken_up_is_written_too() {
    let peer = peer();
    let limits = Limits {
        initial_credit: 20,
        ..Limits::default()
    };
    loom::model(move || {
        let (connection, task, far) = fixture::connection(&peer, 1 << 16, Arc::new(Nobody), limits);
        let call = open(&connection, false, false);
        let running = thread::spawn(move || block_on(task.run()));
        let sends = thread::spawn(move || {
            far.send(&frame(1, Kind::Message, Flags::NONE, &[0; 8]))
                .unwrap();
            far.send(&frame(0, Kind::Ping, Flags::NONE, b"")).unwrap();
            let credit = Credit { bytes: 20 }.encoded_len();
            block_on(read(&far, CALL + EMPTY + EMPTY + credit));
        });
        let whole = block_on(poll_fn(|cx| connection.poll_message(call.key, cx))).unwrap();
        connection.consumed(call.key, whole.cost);
        sends.join().unwrap();
        let reason = running.join().unwrap();
        assert!(matches!(reason, ConnectionError::Closed), "{reason:?}");
        drop(call);
    });
}

#[test]
fn a_sender_that_waits_for_room_is_woken_once_the_peer_reads() {
    let peer = peer();
    let limits = Limits {
        outbox: 1,
        // No timer: it would be tokio's.
        write: Duration::MAX,
        ..Limits::default()
    };
    loom::model(move || {
        let (connection, task, far) = fixture::connection(&peer, 1 << 20, Arc::new(Nobody), limits);
        let call = open(&connection, false, false);
        // One is written in part, and one waits.
        for _ in 0..2 {
            let message = Body::Bytes(vec![0; CAPACITY].into());
            connection.send(call.key, message, false).unwrap();
        }
        let running = thread::spawn(move || block_on(task.run()));
        let reads = thread::spawn(move || {
            block_on(read(&far, CALL + 2 * (EMPTY + CAPACITY)));
        });
        block_on(poll_fn(|cx| connection.poll_room(Some(call.key), cx)));
        reads.join().unwrap();
        let reason = running.join().unwrap();
        assert!(matches!(reason, ConnectionError::Closed), "{reason:?}");
        drop(call);
    });
}

/// Answers each call from a thread of its own.
#[derive(Debug)]
struct Elsewhere;

impl Dispatch for Elsewhere {
    fn run(&self, connection: &Arc<Connection>, arrived: Arrived) {
        connection.lock().enter(arrived.key);
        let mut held = Held::incoming(Arc::clone(connection), arrived.key);
        thread::spawn(move || Held::respond(&mut held, Body::Bytes(Bytes::new())).unwrap());
    }
}

#[test]
fn answers_from_elsewhere_are_written_while_calls_come() {
    let peer = peer();
    loom::model(move || {
        let (connection, task, far) =
            fixture::connection(&peer, 1 << 16, Arc::new(Elsewhere), Limits::default());
        let running = thread::spawn(move || block_on(task.run()));
        let head = CallHead {
            body: Some(Bytes::new()),
            ..CallHead::default()
        };
        for id in [2, 4] {
            let call = frame(id, Kind::Call, Flags::END, &head.encode_to_vec());
            far.send(&call).unwrap();
        }
        block_on(read(&far, 2 * EMPTY));
        drop(far);
        let reason = running.join().unwrap();
        assert!(matches!(reason, ConnectionError::Closed), "{reason:?}");
        drop(connection);
    });
}

#[test]
fn the_end_of_the_task_reaches_whoever_calls_meanwhile() {
    let peer = peer();
    loom::model(move || {
        let (connection, task, far) = connection(&peer, 1 << 16);
        let ends = thread::spawn(move || drop(task));
        if let Ok(key) = connection.open(opening(false), true, None) {
            let ending = block_on(poll_fn(|cx| connection.poll_message(key, cx)));
            assert!(matches!(ending, Err(Ending::Lost(..))), "{ending:?}");
        }
        ends.join().unwrap();
        drop(far);
    });
}

#[test]
fn the_pool_counts_what_it_keeps_whoever_gives_and_takes() {
    loom::model(|| {
        let pool = Pool::new(1 << 20);
        drop(pool.freeze(BytesMut::zeroed(LARGE + 1)));
        let other = Arc::clone(&pool);
        let gives = thread::spawn(move || drop(other.freeze(BytesMut::zeroed(LARGE + 1))));
        let one = pool.take();
        let two = pool.take();
        assert!(one.capacity() > LARGE, "one was there");
        assert!(one.is_empty() && two.is_empty());
        gives.join().unwrap();
        let three = pool.take();
        let taken = [&two, &three].map(BytesMut::capacity);
        assert!(taken.iter().any(|taken| *taken > LARGE), "{taken:?}");
        assert!(taken.contains(&0), "each is taken once");
        // The bound holds however often they go to and fro.
        drop((one, two, three));
        drop(pool.freeze(BytesMut::zeroed((1 << 20) - LARGE)));
        assert!(pool.take().capacity() > LARGE);
    });
}
