//! A caller that gives up, on purpose or because it is gone.

use std::future::IntoFuture;
use std::time::Duration;

use ipc::testing::{End, Split, pair};
use ipc::{Code, Outcome};

use crate::support::*;

#[tokio::test]
async fn dropping_a_call_drops_its_handler_and_cancels_its_token() {
    let daemon = Daemon::start();
    let client = daemon.connect().await;
    let mut call = client.unary::<_, Text>(WAIT, text("")).into_future();
    assert!(begins(&mut call).await.is_none());
    soon(daemon.seen.waiting.notified()).await;
    drop(call);
    soon(daemon.seen.dropped.notified()).await;
    soon(daemon.seen.cancelled.notified()).await;
    let _: Text = client.unary(ECHO, text("still there")).await.unwrap();
}

#[tokio::test]
async fn losing_the_connection_drops_the_handlers_and_cancels_their_tokens() {
    let daemon = Daemon::start();
    let client = daemon.connect().await;
    let keeps = daemon.connect().await;
    let mut call = client.unary::<_, Text>(WAIT, text("")).into_future();
    assert!(begins(&mut call).await.is_none());
    soon(daemon.seen.waiting.notified()).await;
    drop((call, client));
    soon(daemon.seen.dropped.notified()).await;
    soon(daemon.seen.cancelled.notified()).await;
    let _: Text = keeps.unary(ECHO, text("still there")).await.unwrap();
}

#[tokio::test]
async fn an_answer_that_comes_too_late_is_ignored() {
    // [STA-2] [CAN-4]
    let (near, _far, seen) = memory(Split::Bytes(3)).await;
    for _ in 0..50 {
        let mut call = near.unary::<_, Text>(WAIT, text("")).into_future();
        assert!(begins(&mut call).await.is_none());
        soon(seen.waiting.notified()).await;
        // The answer and CANCEL cross.
        seen.go.notify_one();
        drop(call);
        let answer: Text = soon(near.unary(ECHO, text("next")).into_future())
            .await
            .unwrap();
        assert_eq!(answer.text, "next");
    }
}

#[tokio::test]
async fn a_cancelled_call_makes_room_for_the_next() {
    let few = limits(|limits| limits.max_calls = 3);
    let (near, _far, seen) = limited(few).await;
    for method in [WAIT, ECHO] {
        let call = || near.unary::<_, Text>(method, text("")).into_future();
        for _ in 0..20 {
            let mut three = [call(), call(), call()];
            assert!(begins(&mut three[0]).await.is_none());
            assert!(begins(&mut three[1]).await.is_none());
            assert!(begins(&mut three[2]).await.is_none());
        }
        // All sixty calls and their cancellations reach the peer at once.
        let answer: Text = soon(near.unary(ECHO, text("now")).into_future())
            .await
            .unwrap();
        assert_eq!(answer.text, "now");
    }
    drop(seen);
}

#[tokio::test]
async fn a_call_that_waits_for_its_turn_can_be_dropped() {
    let one = limits(|limits| limits.max_calls = 1);
    let (near, _far, seen) = limited(one).await;
    let mut first = near.unary::<_, Text>(WAIT, text("first")).into_future();
    assert!(begins(&mut first).await.is_none());
    for _ in 0..10 {
        let mut waits = near.unary::<_, Text>(ECHO, text("")).into_future();
        assert!(begins(&mut waits).await.is_none());
    }
    seen.go.notify_one();
    assert_eq!(soon(first).await.unwrap().text, "first");
    let _: Text = soon(near.unary(ECHO, text("next")).into_future())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_handler_that_calls_back_is_dropped_with_its_call_back() {
    let waiter = Echo::default();
    let seen = std::sync::Arc::clone(&waiter.0);
    let near = End::new().service(waiter);
    let far = End::new().service(relay::Relay);
    let (near, _far) = pair(near, far, Split::Whole).await.unwrap();
    let mut call = near
        .unary::<_, Text>(&relay::METHODS[0], text(""))
        .into_future();
    assert!(begins(&mut call).await.is_none());
    soon(seen.waiting.notified()).await;
    drop(call);
    soon(seen.dropped.notified()).await;
}

/// Calls `Wait` of whoever calls.
mod relay {
    use ipc::{Call, Handling, Incoming, Method, Service, Shape};

    use crate::support::{Text, WAIT};

    pub(super) static METHODS: [Method; 1] = [Method::new("test.Relay/Wait", Shape::Unary)];

    pub(super) struct Relay;

    impl Service for Relay {
        fn name(&self) -> &'static str {
            "test.Relay"
        }

        fn methods(&self) -> &'static [Method] {
            &METHODS
        }

        fn schema(&self) -> u64 {
            2
        }

        fn call(&self, _: usize, incoming: Incoming) -> Handling {
            incoming.unary(|call: Call<Text>| async move {
                let client = call.client();
                Ok(client.unary::<_, Text>(WAIT, call.body).await?)
            })
        }
    }
}

#[tokio::test]
async fn a_call_whose_peer_goes_may_have_run() {
    let (near, far, seen) = memory(Split::Whole).await;
    let mut call = near.unary::<_, Text>(WAIT, text("")).into_future();
    assert!(begins(&mut call).await.is_none());
    soon(seen.waiting.notified()).await;
    drop(far);
    let error = soon(call).await.unwrap_err();
    assert!(error.is_interrupted());
    assert_eq!(
        (error.code(), error.outcome()),
        (Code::Unavailable, Outcome::MayHaveRun)
    );
    let error = near.unary::<_, Text>(ECHO, text("")).await.unwrap_err();
    assert!(error.is_interrupted());
    assert_eq!(
        (error.code(), error.outcome()),
        (Code::Unavailable, Outcome::NotSent)
    );
    assert!(near.close_reason().is_some());
}

#[tokio::test]
async fn whoever_waits_for_the_end_of_a_connection_is_told() {
    let daemon = Daemon::start();
    let client = daemon.connect().await;
    let waiting = tokio::time::timeout(Duration::from_secs(60), client.closed());
    let (reason, stopped) = tokio::join!(waiting, daemon.stop());
    stopped.unwrap();
    assert!(reason.is_ok(), "told in time");
    assert!(client.close_reason().is_some());
}
