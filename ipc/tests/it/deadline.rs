//! Deadlines, on a clock that the test drives.

use std::time::Duration;

use ipc::testing::Split;
use ipc::{Code, Error, Outcome};
use tokio::time::{Instant, advance, timeout};

use crate::support::*;

fn told<T: std::fmt::Debug>(result: Result<T, Error>) -> (Code, Outcome) {
    let error = result.unwrap_err();
    assert!(!error.is_interrupted());
    (error.code(), error.outcome())
}

const LATE: (Code, Outcome) = (Code::DeadlineExceeded, Outcome::MayHaveRun);
const UNSENT: (Code, Outcome) = (Code::DeadlineExceeded, Outcome::NotSent);

#[tokio::test(start_paused = true)]
async fn a_call_ends_at_its_deadline_and_its_handler_is_dropped() {
    // [DLN-4] [CAN-1]
    let (near, _far, seen) = memory(Split::Whole).await;
    let start = Instant::now();
    let call = near.unary::<_, Text>(WAIT, text(""));
    let call = call.deadline(Duration::from_secs(2)).reply();
    assert_eq!(told(call.await), LATE);
    assert_eq!(start.elapsed().as_secs(), 2);
    seen.dropped.notified().await;
    seen.cancelled.notified().await;
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_the_client_holds_unless_the_call_has_its_own() {
    let (near, _far, _) = memory(Split::Whole).await;
    let near = near.with_deadline(Duration::from_secs(7));
    for (own, expected) in [(None, 7), (Some(3), 3), (Some(20), 20)] {
        let start = Instant::now();
        let mut call = near.unary::<_, Text>(WAIT, text(""));
        if let Some(own) = own {
            call = call.deadline(Duration::from_secs(own));
        }
        assert_eq!(told(call.reply().await), LATE);
        assert_eq!(start.elapsed().as_secs(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn the_time_left_travels_and_is_cut_by_the_called_side() {
    // [DLN-1] [DLN-2]
    let hour = Duration::from_secs(3_600);
    let (near, _far, _) = limited(limits(|limits| limits.max_deadline = hour)).await;
    let left = async |deadline: Option<Duration>| {
        let mut call = near.unary::<_, Text>(LEFT, text(""));
        if let Some(deadline) = deadline {
            call = call.deadline(deadline);
        }
        call.reply().await.unwrap().body.count
    };
    assert_eq!(left(None).await, u32::MAX);
    assert_eq!(left(Some(Duration::from_secs(5))).await, 5_000);
    assert_eq!(left(Some(hour * 30)).await, 3_600_000);
}

#[tokio::test(start_paused = true)]
async fn the_called_side_ends_a_call_that_outlives_what_it_grants() {
    // [DLN-3]
    let second = limits(|limits| limits.max_deadline = Duration::from_secs(1));
    let (near, _far, seen) = limited(second).await;
    let start = Instant::now();
    let call = near.unary::<_, Text>(WAIT, text(""));
    let call = call.deadline(Duration::from_secs(60)).reply();
    assert_eq!(told(call.await), LATE);
    assert_eq!(start.elapsed().as_secs(), 1);
    seen.dropped.notified().await;
    seen.cancelled.notified().await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_at_its_deadline_on_both_sides() {
    let (near, _far, seen) = memory(Split::Whole).await;
    let request = Text {
        text: "x".repeat(1_000),
        count: u32::MAX,
    };
    let call = near.server_streaming::<_, Text>(MANY, request);
    let mut stream = call.deadline(Duration::from_secs(3)).await.unwrap();
    assert!(stream.recv().await.unwrap().is_some());
    // The handler waits for credit meanwhile, which is no way to outlive the deadline.
    advance(Duration::from_secs(4)).await;
    seen.dropped.notified().await;
    let error = loop {
        if let Err(error) = stream.recv().await {
            break error;
        }
    };
    assert_eq!(told::<()>(Err(error)), LATE);

    let call = near.client_streaming::<Text, Text>(DEAF);
    let upload = call.deadline(Duration::from_secs(3)).await.unwrap();
    let error = loop {
        if let Err(error) = upload.send(text(&"x".repeat(50_000))).await {
            break error;
        }
    };
    assert_eq!(told::<()>(Err(error)), LATE);
    assert_eq!(told(upload.finish().await), LATE);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_waits_for_credit_does_not_outlive_the_deadline() {
    let (near, _far, seen) = memory(Split::Whole).await;
    for _ in 0..300 {
        let request = Text {
            text: "x".repeat(1_000),
            count: 1_000,
        };
        let call = near.server_streaming::<_, Text>(MANY, request);
        // Never read: the handler is stuck, and at its deadline the call must go at once.
        let stream = call.deadline(Duration::from_secs(1)).await.unwrap();
        advance(Duration::from_secs(2)).await;
        seen.dropped.notified().await;
        drop(stream);
    }
    let _: Text = near.unary(ECHO, text("room")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_deadline_has_passed_is_not_sent() {
    let (near, _far, seen) = memory(Split::Whole).await;
    let call = near
        .unary::<_, Text>(ECHO, text(""))
        .deadline(Duration::ZERO);
    assert_eq!(told(call.reply().await), UNSENT);
    let note = near.one_way(NOTE, text("")).deadline(Duration::ZERO);
    assert_eq!(told(note.await), UNSENT);
    let many = near.server_streaming::<_, Text>(MANY, count(1));
    assert_eq!(told(many.deadline(Duration::ZERO).await), UNSENT);
    let _: Text = near.unary(ECHO, text("")).await.unwrap();
    let ran = seen.echoes.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(ran, 1, "only the one without a deadline");
}

#[tokio::test(start_paused = true)]
async fn huge_deadlines_are_as_good_as_none() {
    // [DLN-5]
    let (near, _far, _) = memory(Split::Whole).await;
    for deadline in [
        Duration::MAX,
        Duration::from_secs(u64::MAX / 2),
        Duration::from_secs(i64::MAX as u64 - 10_000_000),
        Duration::from_secs(1 << 50),
        Duration::from_millis(u64::MAX),
    ] {
        let call = near.unary::<_, Text>(LEFT, text("")).deadline(deadline);
        let left = call.reply().await.unwrap().body.count;
        assert!(left >= 86_400_000, "{left} ms of {deadline:?}");
        let call = near.unary::<_, Text>(WAIT, text("")).deadline(deadline);
        let waited = timeout(Duration::from_secs(3_600), call.reply()).await;
        assert!(waited.is_err(), "{waited:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_the_client_does_not_end_a_stream_of_answers() {
    let (near, _far, _) = memory(Split::Whole).await;
    let near = near.with_deadline(Duration::from_secs(1));
    let (send, mut receive) = near.bidirectional::<Text, Text>(CHAT).await.unwrap();
    advance(Duration::from_secs(60)).await;
    send.send(text("still here")).await.unwrap();
    assert_eq!(receive.recv().await.unwrap().unwrap().text, "still here");

    let own = near.bidirectional::<Text, Text>(CHAT);
    let (_send, mut receive) = own.deadline(Duration::from_secs(3)).await.unwrap();
    assert_eq!(told(receive.recv().await), LATE);
}
