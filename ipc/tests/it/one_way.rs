//! Calls that nobody answers, and the places they take.

use std::sync::atomic::Ordering;
use std::time::Duration;

use ipc::testing::Split;
use ipc::{Code, Error, Method, Outcome, Shape};

use crate::support::*;

/// Many chunks, and more than the credit of a call.
fn large() -> Text {
    text(&"x".repeat(2 << 20))
}

fn told(error: &Error) -> (Code, Outcome) {
    (error.code(), error.outcome())
}

#[tokio::test]
async fn a_call_waits_while_one_way_calls_under_way_take_its_place() {
    // [LIM-4]
    let (near, _far, seen) = limited(limits(|limits| limits.max_calls = 2)).await;
    let echo = || near.unary::<_, Text>(ECHO, text("")).into_future();
    let note = near.one_way(NOTE, large()).into_future();
    let (note, first, second) = soon(async { tokio::join!(note, echo(), echo()) }).await;
    note.unwrap();
    first.unwrap();
    second.unwrap();
    soon(seen.noted.notified()).await;
}

#[tokio::test]
async fn a_one_way_call_waits_while_others_take_its_place() {
    // [LIM-4]
    let (near, _far, seen) = limited(limits(|limits| limits.max_calls = 1)).await;
    let mut wait = near.unary::<_, Text>(WAIT, text("")).into_future();
    assert!(begins(&mut wait).await.is_none());
    let mut note = near.one_way(NOTE, text("")).into_future();
    assert!(begins(&mut note).await.is_none());
    seen.go.notify_one();
    soon(wait).await.unwrap();
    soon(note).await.unwrap();
    soon(seen.noted.notified()).await;
}

#[tokio::test(start_paused = true)]
async fn a_one_way_call_whose_deadline_passes_while_it_waits_for_its_turn_is_not_sent() {
    let (near, _far, seen) = limited(limits(|limits| limits.max_calls = 1)).await;
    let mut wait = near.unary::<_, Text>(WAIT, text("")).into_future();
    assert!(begins(&mut wait).await.is_none());
    let note = near.one_way(NOTE, text(""));
    let error = note.deadline(Duration::from_secs(1)).await.unwrap_err();
    assert_eq!(told(&error), (Code::DeadlineExceeded, Outcome::NotSent));
    seen.go.notify_one();
    wait.await.unwrap();
    near.one_way(NOTE, text("")).await.unwrap();
    seen.noted.notified().await;
    assert_eq!(seen.notes.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_large_one_way_call_that_is_dropped_under_way_gives_its_place_back() {
    let (near, _far, seen) = limited(limits(|limits| limits.max_calls = 1)).await;
    let mut note = near.one_way(NOTE, large()).into_future();
    assert!(begins(&mut note).await.is_none());
    drop(note);
    let _: Text = soon(near.unary(ECHO, text("")).into_future())
        .await
        .unwrap();
    assert_eq!(seen.notes.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_large_one_way_call_that_is_refused_under_way_says_so() {
    // [SHP-8]
    static MISSING: Method = Method::new("test.Echo/MissingNote", Shape::OneWay);
    let (near, _far, _) = memory(Split::Whole).await;
    let note = soon(near.one_way(&MISSING, large()).into_future()).await;
    assert_eq!(
        told(&note.unwrap_err()),
        (Code::Unimplemented, Outcome::RefusedUnseen)
    );
    soon(near.one_way(&MISSING, text("")).into_future())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_large_one_way_call_whose_client_is_dropped_meanwhile_has_gone_as_a_whole() {
    let (near, _far, seen) = memory(Split::Whole).await;
    let mut note = near.one_way(NOTE, large()).into_future();
    assert!(begins(&mut note).await.is_none());
    drop(near);
    soon(note).await.unwrap();
    soon(seen.noted.notified()).await;
}
