//! The timer and the buffers, on a clock that the tests drive.

use std::future::pending;
use std::pin::pin;
use std::time::Duration;

use tokio::task::{consume_budget, coop};
use tokio::time::timeout;

use super::*;
use crate::conn::Ending;
use crate::conn::fixture::{Nobody, connection, frame, opening, peer};
use crate::limits::Limits;
use crate::wire::{Flags, Key, Kind, Open};

const SECOND: Duration = Duration::from_secs(1);

/// Opens a call that has a second.
fn open(connection: &Connection) -> Key {
    let open = Open {
        deadline: Some(now() + SECOND),
        ..opening(true)
    };
    connection.open(open, true, None).unwrap()
}

fn is_expired(connection: &Connection, key: Key) -> bool {
    let mut core = connection.lock();
    let slot = core.engine.user_mut(key).unwrap();
    matches!(slot.ending, Some(Ending::Expired(_)))
}

#[tokio::test(start_paused = true)]
async fn a_timer_that_has_fired_during_a_read_is_set_again() {
    let (connection, mut task, far) =
        connection(&peer(), 1 << 16, Arc::new(Nobody), Limits::default());
    let first = open(&connection);
    timeout(SECOND / 10, task.serve()).await.unwrap_err();
    far.send(&frame(1, Kind::Message, Flags::END, b"")).unwrap();
    timeout(SECOND / 10, task.serve()).await.unwrap_err();
    assert!(connection.lock().engine.is_done(first));
    connection.release(first);
    timeout(2 * SECOND, pending::<()>()).await.unwrap_err();
    let second = open(&connection);
    far.send(&frame(0, Kind::Ping, Flags::NONE, b"")).unwrap();
    {
        let mut serving = pin!(task.serve());
        poll_fn(|cx| Poll::Ready(serving.as_mut().poll(cx).is_pending())).await;
    }
    let timer = task.timer.as_ref().unwrap();
    assert_eq!(timer.at(), now() + SECOND);
    timeout(2 * SECOND, task.serve()).await.unwrap_err();
    assert!(is_expired(&connection, second));
}

fn spend_budget(cx: &mut Context<'_>) {
    while coop::has_budget_remaining() {
        assert!(pin!(consume_budget()).poll(cx).is_ready());
    }
}

#[tokio::test(start_paused = true)]
async fn a_timer_is_set_when_the_budget_is_used_up() {
    let (connection, mut task, _far) =
        connection(&peer(), 1 << 16, Arc::new(Nobody), Limits::default());
    let call = open(&connection);
    let mut serving = pin!(task.serve());
    poll_fn(|cx| {
        spend_budget(cx);
        assert!(serving.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
    timeout(2 * SECOND, serving).await.unwrap_err();
    assert!(is_expired(&connection, call));
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_lets_go_of_its_large_buffers_and_of_its_timer() {
    let (connection, mut task, far) = connection(&peer(), 0, Arc::new(Nobody), Limits::default());
    let noise = frame(0, Kind::Unknown(99), Flags::NONE, &[0; 60_000]);
    far.send(&noise).unwrap();
    connection.with_output(|core, _| (0..1_500).for_each(|ping| core.engine.ping(ping)));
    let busy = timeout(SECOND / 10, task.serve()).await;
    assert!(busy.is_err(), "{busy:?}");
    assert!(task.input.bytes.try_reclaim(noise.len()));
    assert!(connection.lock().is_wide());
    let idle = timeout(Duration::from_secs(60), task.serve()).await;
    assert!(idle.is_err(), "{idle:?}");
    assert!(!task.input.bytes.try_reclaim(16_385));
    assert!(!connection.lock().is_wide());
    assert!(task.timer.is_none());
}

fn ping(connection: &Connection, pings: u64) {
    connection.with_output(|core, _| (0..pings).for_each(|ping| core.engine.ping(ping)));
    assert!(connection.lock().is_wide());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_only_sends_keeps_no_large_output() {
    let (connection, mut task, _far) = connection(&peer(), 0, Arc::new(Nobody), Limits::default());
    let mut serving = Box::pin(task.serve());
    timeout(SECOND, &mut serving).await.unwrap_err();
    ping(&connection, 1_500);
    timeout(60 * SECOND, serving).await.unwrap_err();
    assert!(!connection.lock().is_wide());
    assert!(task.timer.is_none());
}

#[tokio::test(start_paused = true)]
async fn an_output_that_had_to_wait_is_let_go_behind_it() {
    let (connection, mut task, far) = connection(&peer(), 0, Arc::new(Nobody), Limits::default());
    let mut serving = Box::pin(task.serve());
    timeout(SECOND, &mut serving).await.unwrap_err();
    // More than the stream holds.
    ping(&connection, 6_000);
    timeout(10 * SECOND, &mut serving).await.unwrap_err();
    let mut taken = BytesMut::new();
    for _ in 0..2 {
        taken.reserve(1 << 20);
        poll_fn(|cx| far.poll_readable(cx)).await;
        far.try_read(&mut taken, usize::MAX);
        timeout(SECOND / 2, &mut serving).await.unwrap_err();
    }
    timeout(60 * SECOND, serving).await.unwrap_err();
    assert!(!connection.lock().is_wide());
    assert!(task.timer.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_task_looks_at_its_socket_before_it_sleeps_while_that_pays() {
    let limits = Limits {
        busy_poll: Some(Duration::from_micros(20)),
        ..Limits::default()
    };
    let (connection, mut task, far) = connection(&peer(), 1 << 16, Arc::new(Nobody), limits);
    let mut cx = Context::from_waker(std::task::Waker::noop());
    let ping = frame(0, Kind::Ping, Flags::NONE, b"");
    while !task.busy.yielded {
        far.send(&ping).unwrap();
        let Poll::Ready(Wake::Read(read)) = task.poll_wake(&mut cx) else {
            panic!("there is input");
        };
        task.on_read(read).unwrap();
        assert!(task.poll_wake(&mut cx).is_pending());
    }
    far.send(&ping).unwrap();
    assert!(matches!(task.look(), Poll::Ready(Ok(Read::Drained))));
    task.take_input().unwrap();
    // In vain, although the clock stands still.
    assert!(task.poll_wake(&mut cx).is_pending());
    assert!(!task.busy.yielded);
    // It gives way to who wants to write.
    connection.lock().wanted = true;
    far.send(&ping).unwrap();
    task.busy.yielded = true;
    assert!(matches!(
        task.poll_wake(&mut cx),
        Poll::Ready(Wake::Read(_))
    ));
    assert!(task.look().is_pending());
    assert!(task.busy.pays(), "it was not in vain");
}

#[tokio::test]
async fn the_others_go_first_only_where_there_is_something_to_write() {
    let (connection, mut task, _far) =
        connection(&peer(), 1 << 16, Arc::new(Nobody), Limits::default());
    let mut cx = Context::from_waker(std::task::Waker::noop());
    assert!(task.poll_wake(&mut cx).is_pending());
    connection.lock().want();
    let flush = |wake| matches!(wake, Poll::Ready(Wake::Flush));
    assert!(flush(task.poll_wake(&mut cx)));
    {
        let mut core = connection.lock();
        core.engine.ping(1);
        core.want();
    }
    assert!(task.poll_wake(&mut cx).is_pending());
    assert!(flush(task.poll_wake(&mut cx)));
}

/// Polls the task once.
async fn started(task: &mut Task) {
    let mut serving = pin!(task.serve());
    let waits = poll_fn(|cx| Poll::Ready(serving.as_mut().poll(cx).is_pending())).await;
    assert!(waits);
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_waited_in_the_socket_is_not_late() {
    // [TMO-4] [TMO-5]
    let limits = Limits::default();
    for timer_first in [false, true] {
        let (_connection, mut task, far) = connection(&peer(), 0, Arc::new(Nobody), limits);
        let noise = frame(0, Kind::Unknown(99), Flags::NONE, &[0; 130_000]);
        let ping = frame(0, Kind::Ping, Flags::NONE, b"");
        let (begun, rest) = noise.split_at(10_000);
        far.send(begun).unwrap();
        started(&mut task).await;
        // More than the stream holds, so that it is not all there when it is looked for.
        let sent = far.send(rest).unwrap();
        tokio::time::advance(limits.frame + SECOND).await;
        if timer_first {
            task.on_timer().unwrap();
        }
        started(&mut task).await;
        far.send(&[&rest[sent..], &ping].concat()).unwrap();
        let busy = timeout(SECOND, task.serve()).await;
        assert!(busy.is_err(), "{busy:?}");
        let mut said = BytesMut::with_capacity(64);
        assert_eq!(far.try_read(&mut said, 64), Read::Drained);
    }
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_does_not_come_is_late_in_time() {
    // [TMO-2]
    let limits = Limits::default();
    let (_connection, mut task, far) = connection(&peer(), 0, Arc::new(Nobody), limits);
    far.send(&frame(0, Kind::Ping, Flags::NONE, b"")[..3])
        .unwrap();
    let begun = now();
    let ended = task.serve().await;
    let late = matches!(ended, ConnectionError::Violation(Violation::FrameTimeout));
    assert!(late, "{ended:?}");
    assert_eq!((now() - begun).as_secs(), limits.frame.as_secs());
}

#[tokio::test(start_paused = true)]
async fn room_that_nobody_looked_for_is_not_held_against_the_peer() {
    // [TMO-3]
    let limits = Limits::default();
    let (connection, mut task, far) = connection(&peer(), 0, Arc::new(Nobody), limits);
    started(&mut task).await;
    // More than the stream holds.
    ping(&connection, 6_000);
    started(&mut task).await;
    assert!(connection.lock().blocked.is_some());
    tokio::time::advance(limits.write + SECOND).await;
    let mut taken = BytesMut::with_capacity(1 << 20);
    far.try_read(&mut taken, usize::MAX);
    task.on_timer().unwrap();
    far.try_read(&mut taken, usize::MAX);
    assert!(connection.lock().is_flushed());
    // If there is none, it is.
    ping(&connection, 6_000);
    started(&mut task).await;
    tokio::time::advance(limits.write).await;
    let late = task.on_timer();
    let violation = matches!(
        late,
        Err(ConnectionError::Violation(Violation::WriteTimeout))
    );
    assert!(violation, "{late:?}");
}

#[tokio::test]
async fn frames_that_are_no_calls_leave_others_their_turn() {
    let (_connection, mut task, far) = connection(&peer(), 0, Arc::new(Nobody), Limits::default());
    let noise = frame(0, Kind::Unknown(99), Flags::NONE, b"");
    task.input.bytes = BytesMut::from(&noise.repeat(100_000)[..]);
    far.send(&frame(0, Kind::Ping, Flags::NONE, b"")).unwrap();
    let mut said = BytesMut::with_capacity(64);
    started(&mut task).await;
    assert_eq!(far.try_read(&mut said, 64), Read::Empty);
    started(&mut task).await;
    assert_eq!(far.try_read(&mut said, 64), Read::Drained);
}

#[tokio::test]
async fn a_message_in_chunks_is_read_where_it_belongs_from_the_first_on() {
    let limits = Limits::default();
    let (connection, mut task, far) = connection(&peer(), 1 << 16, Arc::new(Nobody), limits);
    let key = connection.open(opening(true), true, None).unwrap();
    connection.pool.give(BytesMut::with_capacity(1 << 20));
    task.input.bytes = BytesMut::with_capacity(1 << 18);
    let chunk = frame(1, Kind::Message, Flags::MORE, &[7; 60_000]);
    far.send(&chunk[..5_000]).unwrap();
    started(&mut task).await;
    let target = task.input.target.as_ref().unwrap();
    assert_eq!((target.bytes.len(), target.left()), (5_000 - 12, 55_012));
    far.send(&chunk[5_000..]).unwrap();
    started(&mut task).await;
    assert!(
        !task.input.bytes.try_reclaim(16_385),
        "the next one's start is read small"
    );
    far.send(&frame(1, Kind::Message, Flags::END, &[7]))
        .unwrap();
    started(&mut task).await;
    let Poll::Ready(Ok(whole)) = poll_fn(|cx| Poll::Ready(connection.poll_message(key, cx))).await
    else {
        panic!("no message");
    };
    assert_eq!(whole.bytes, [7; 60_001][..]);
}
