//! The end of a connection, on a clock that the tests drive.

#![expect(clippy::unwrap_used, reason = "a test that fails stops")]

use std::cell::Cell;
use std::future::poll_fn;
use std::os::fd::AsFd as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::task::Wake;
use std::time::Duration;

use bytes::Bytes;
use nix::sys::socket::{setsockopt, sockopt};
use prost::Message;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::fixture::{Nobody, connection, frame, opening, over, peer, setup};
use super::*;
use crate::incoming::{Handling, Incoming};
use crate::method::{Method, Shape};
use crate::service::{Scripted, Services};
use crate::wire::messages::CallHead;
use crate::wire::{Flags, Kind, Violation};

static GO: [Method; 2] = [
    Method::new("test.Scripted/Go", Shape::OneWay),
    Method::new("test.Scripted/Ask", Shape::Unary),
];

/// A connection that serves one call at a time to a peer that gives no more than 16 bytes.
fn serving(
    handler: impl Fn(Incoming) -> Handling + Send + Sync + 'static,
) -> (Arc<Connection>, Task, memory::MemoryEnd) {
    let services = Services::new(vec![Arc::new(Scripted(&GO, handler))]).unwrap();
    connection(&peer(), 16, Arc::new(services), Limits::default())
}

fn call(id: u32, method: &Method, time_left: Option<Duration>) -> Vec<u8> {
    let head = CallHead {
        method: method.id(),
        time_left: time_left.map(|left| u64::try_from(left.as_micros()).unwrap()),
        body: Some(Bytes::new()),
        ..CallHead::default()
    };
    let one_way = method.shape() == Shape::OneWay;
    let flags = Flags::NONE
        .with(Flags::END, true)
        .with(Flags::ONE_WAY, one_way);
    frame(id, Kind::Call, flags, &head.encode_to_vec())
}

fn start(task: Task) -> JoinSet<ConnectionError> {
    let mut running = JoinSet::new();
    running.spawn(task.run());
    running
}

async fn ended(mut running: JoinSet<ConnectionError>) -> ConnectionError {
    running.join_next().await.unwrap().unwrap()
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_stop_gives_the_handlers_of_one_way_calls_no_second_time() {
    let (started, mut starts) = tokio::sync::mpsc::channel(4);
    let (connection, task, far) = serving(move |incoming| {
        let started = started.clone();
        incoming.one_way(|_: crate::Call<()>| async move {
            started.try_send(()).unwrap();
            std::future::pending::<()>().await;
        })
    });
    far.send(&call(2, &GO[0], None)).unwrap();
    let running = start(task);
    starts.recv().await.unwrap();
    let begun = Instant::now();
    connection.drain();
    assert!(matches!(ended(running).await, ConnectionError::Shutdown));
    assert_eq!(begun.elapsed().as_secs(), connection.limits.drain.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_one_way_call_that_outlives_its_caller_keeps_its_deadline() {
    let (started, mut starts) = tokio::sync::mpsc::channel(4);
    let (_connection, task, far) = serving(move |incoming| {
        let started = started.clone();
        incoming.one_way(|call: crate::Call<()>| async move {
            started.try_send(call.cancelled()).unwrap();
            std::future::pending::<()>().await;
        })
    });
    far.send(&call(2, &GO[0], Some(5 * SECOND))).unwrap();
    let begun = Instant::now();
    let running = start(task);
    let token = starts.recv().await.unwrap();
    far.close();
    assert!(matches!(ended(running).await, ConnectionError::Closed));
    assert_eq!(begun.elapsed().as_secs(), 5);
    assert!(token.is_cancelled(), "what it has spawned is told");
}

#[tokio::test(start_paused = true)]
async fn a_one_way_call_that_outlives_its_caller_is_not_told_to_stop() {
    let (started, mut starts) = tokio::sync::mpsc::channel(4);
    let (connection, task, far) = serving(move |incoming| {
        let started = started.clone();
        incoming.one_way(|call: crate::Call<()>| async move {
            let (go_on, goes_on) = oneshot::channel::<()>();
            started.try_send(go_on).unwrap();
            goes_on.await.unwrap();
            assert!(!call.cancelled().is_cancelled());
            started.try_send(oneshot::channel().0).unwrap();
        })
    });
    far.send(&call(2, &GO[0], None)).unwrap();
    let running = start(task);
    let go_on = starts.recv().await.unwrap();
    far.close();
    connection.ended.cancelled().await;
    go_on.send(()).unwrap();
    starts.recv().await.expect("it was told to stop");
    ended(running).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_does_not_wait_for_credit_longer_than_a_write_for_room() {
    let (connection, task, far) = serving(|incoming| {
        incoming.unary(|_: crate::Call<()>| async { Ok(Bytes::from_static(&[7; 1_000])) })
    });
    far.send(&call(2, &GO[1], None)).unwrap();
    let begun = Instant::now();
    let running = start(task);
    let mut answer = bytes::BytesMut::with_capacity(4_096);
    // The part that the credit lets through, with its header.
    while answer.len() < 12 + 4 {
        poll_read(&far, &mut answer).await;
    }
    assert_eq!(begun.elapsed().as_secs(), 0);
    answer.clear();
    poll_read(&far, &mut answer).await;
    assert_eq!(begun.elapsed().as_secs(), connection.limits.write.as_secs());
    let end = End::decode(answer.get(12..).unwrap()).unwrap();
    assert_eq!(end.code, Code::DeadlineExceeded.to_u32());
    assert_eq!(connection.lock().engine.users_mut().count(), 0);
    drop((far, running));
}

#[tokio::test]
async fn a_panic_of_a_service_costs_its_call_alone() {
    let (connection, task, far) = serving(|_| panic!("by hand"));
    far.send(&call(2, &GO[1], None)).unwrap();
    let running = start(task);
    let mut answer = bytes::BytesMut::with_capacity(4_096);
    poll_read(&far, &mut answer).await;
    let end = End::decode(answer.get(12..).unwrap()).unwrap();
    assert_eq!(end.code, Code::Unknown.to_u32());
    assert_eq!(connection.lock().engine.users_mut().count(), 0);
    far.close();
    assert!(matches!(ended(running).await, ConnectionError::Closed));
}

#[tokio::test]
async fn who_keeps_a_connection_that_is_over_holds_no_descriptor() {
    let (near, far) = crate::sys::socket_pair().unwrap();
    let setup = setup(&peer(), Arc::new(Nobody), Limits::default());
    let (reader, writer) = io::open(Arc::new(near)).unwrap();
    let io::Writer::Socket(socket) = &writer else {
        panic!("{writer:?}")
    };
    let socket = Arc::downgrade(socket);
    let (connection, task) = over(reader, writer, setup, 0);
    drop(far);
    assert!(matches!(task.run().await, ConnectionError::Closed));
    assert!(socket.upgrade().is_none());
    assert!(connection.lock().over.is_some());
}

#[tokio::test]
async fn a_large_message_is_not_written_under_one_lock() {
    let (near, far) = crate::sys::socket_pair().unwrap();
    for end in [&near, &far] {
        setsockopt(end, sockopt::SndBuf, &400_000).unwrap();
        setsockopt(end, sockopt::RcvBuf, &400_000).unwrap();
    }
    let setup = setup(&peer(), Arc::new(Nobody), Limits::default());
    let (reader, writer) = io::open(Arc::new(near)).unwrap();
    let (connection, _task) = over(reader, writer, setup, 1 << 20);
    let key = connection.open(opening(false), false, None).unwrap();
    assert!(!connection.lock().wanted);
    let message = Body::Bytes(vec![0; 300_000].into());
    connection.send(key, message, true).unwrap();
    let core = connection.lock();
    assert!(core.wanted && core.blocked.is_none());
    let mut said = bytes::BytesMut::with_capacity(400_000);
    while crate::sys::receive(far.as_fd(), &mut said, false).is_ok() {}
    assert_eq!(said.len(), 3 * 12 + 2 * 65_536, "CALL and two chunks");
}

#[test]
fn a_panic_loses_nobody_who_was_to_be_woken() {
    struct Woken(mpsc::Sender<()>);
    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.send(()).unwrap();
        }
    }
    let (woken, wakes) = mpsc::channel();
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let mut wakes = Wakes::default();
        wakes.add(Some(Arc::new(Woken(woken)).into()));
        panic!("in between");
    }));
    assert!(unwound.is_err());
    assert_eq!(wakes.try_iter().count(), 1);
}

/// A hold whose last other owner lets go while the answer is under way.
struct Shared {
    held: Held,
    looks: Cell<u32>,
}

impl AsRef<Held> for Shared {
    fn as_ref(&self) -> &Held {
        &self.held
    }
}

impl Hold for Shared {
    fn sole(&mut self) -> Option<&mut Held> {
        self.looks.set(self.looks.get() + 1);
        (self.looks.get() > 1).then_some(&mut self.held)
    }
}

#[tokio::test]
async fn a_hold_that_is_no_longer_shared_is_still_let_go() {
    let (connection, ..) = serving(|_| panic!("not called"));
    let mut core = connection.lock();
    let mut input = bytes::BytesMut::from(&call(2, &GO[1], None)[..]);
    let mut wakes = Wakes::default();
    let taken = events::take(&mut core, &mut input, &connection.pool, now(), &mut wakes);
    let key = taken.unwrap().unwrap().key;
    drop(core);
    let mut shared = Shared {
        held: Held::incoming(Arc::clone(&connection), key),
        looks: Cell::new(0),
    };
    Held::respond(&mut shared, Body::Bytes(Bytes::new())).unwrap();
    drop(shared);
    assert_eq!(connection.lock().engine.users_mut().count(), 0);
}

async fn poll_read(far: &memory::MemoryEnd, buffer: &mut bytes::BytesMut) {
    poll_fn(|cx| far.poll_readable(cx)).await;
    far.try_read(buffer, usize::MAX);
}

/// Calls for each of these ids, all given up at once if they are unary.
fn flood(calls: u32, method: &Method) -> Vec<u8> {
    let cancel = |id| match method.shape() {
        Shape::Unary => frame(id, Kind::Cancel, Flags::NONE, b""),
        _ => Vec::new(),
    };
    let ids = (1..=calls).map(|id| id * 2);
    ids.flat_map(|id| [call(id, method, None), cancel(id)].concat())
        .collect()
}

#[tokio::test]
async fn one_way_calls_that_keep_coming_leave_others_their_turn() {
    let ran = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&ran);
    let (_connection, task, far) = serving(move |incoming| {
        count.fetch_add(1, Ordering::Relaxed);
        incoming.one_way(|_: crate::Call<()>| async {})
    });
    far.send(&flood(2_000, &GO[0])).unwrap();
    let _running = start(task);
    let (mut before, mut most) = (0, 0);
    let mut other = JoinSet::new();
    other.spawn(poll_fn(move |cx| {
        let now = ran.load(Ordering::Relaxed);
        most = most.max(now - before);
        before = now;
        if now == 2_000 {
            return Poll::Ready(most);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }));
    let most = other.join_next().await.unwrap().unwrap();
    assert!(most <= 256, "{most} in one turn");
}

#[tokio::test]
async fn calls_that_are_given_up_at_once_do_not_pile_up() {
    let live = Arc::new(());
    let held = Arc::clone(&live);
    let most = Arc::new(AtomicU32::new(0));
    let (seen, ran) = (Arc::clone(&most), Arc::new(AtomicU32::new(0)));
    let count = Arc::clone(&ran);
    let (_connection, task, far) = serving(move |incoming| {
        let held = Arc::clone(&held);
        seen.fetch_max(
            u32::try_from(Arc::strong_count(&held)).unwrap(),
            Ordering::Relaxed,
        );
        count.fetch_add(1, Ordering::Relaxed);
        incoming.unary(|_: crate::Call<()>| async move {
            let _held = held;
            std::future::pending::<Result<(), crate::Status>>().await
        })
    });
    far.send(&flood(2_000, &GO[1])).unwrap();
    let _running = start(task);
    while ran.load(Ordering::Relaxed) < 2_000 {
        tokio::task::yield_now().await;
    }
    let most = most.load(Ordering::Relaxed);
    assert!(most <= 2 * 256, "{most} at once");
}

#[tokio::test(start_paused = true)]
async fn a_unary_call_that_says_one_way_outlives_no_deadline() {
    let (started, mut starts) = tokio::sync::mpsc::channel(4);
    let (_connection, task, far) = serving(move |incoming| {
        let started = started.clone();
        incoming.unary(|_: crate::Call<()>| async move {
            started.try_send(()).unwrap();
            std::future::pending::<Result<(), crate::Status>>().await
        })
    });
    let mut call = call(2, &GO[1], Some(5 * SECOND));
    call[9] |= Flags::ONE_WAY.to_byte();
    far.send(&call).unwrap();
    let begun = Instant::now();
    let running = start(task);
    starts.recv().await.unwrap();
    far.close();
    assert!(matches!(ended(running).await, ConnectionError::Closed));
    assert_eq!(begun.elapsed().as_secs(), 5);
}

#[tokio::test]
async fn calls_that_are_given_up_before_they_leave_pile_up_no_output() {
    // [CAN-1]
    let (connection, _task, far) = connection(&peer(), 16, Arc::new(Nobody), Limits::default());
    // More than the stream holds.
    connection.with_output(|core, _| (0..6_000).for_each(|ping| core.engine.ping(ping)));
    let before = connection.lock().engine.backlog();
    let stays = connection.open(opening(true), true, None).unwrap();
    let queued = connection.lock().engine.backlog();
    for _ in 0..1_000 {
        let key = connection.open(opening(true), true, None).unwrap();
        connection.abandon(key, 1);
        let more = connection.lock().engine.backlog() - queued;
        assert!(more < 100 * (queued - before), "{more}");
    }
    assert!(queued > before);
    assert!(!connection.lock().engine.is_done(stays));
    drop(far);
}

#[tokio::test]
async fn nobody_answers_a_call_that_has_not_left() {
    // [IDS-5]
    let (connection, task, far) = connection(&peer(), 16, Arc::new(Nobody), Limits::default());
    // More than the stream holds.
    connection.with_output(|core, _| (0..6_000).for_each(|ping| core.engine.ping(ping)));
    connection.open(opening(true), true, None).unwrap();
    far.send(&frame(1, Kind::End, Flags::NONE, b"")).unwrap();
    let ended = task.run().await;
    let unknown = matches!(ended, ConnectionError::Violation(Violation::UnknownCall));
    assert!(unknown, "{ended:?}");
}
