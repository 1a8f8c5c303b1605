//! Every bound that a caller can meet.

use std::time::Duration;

use ipc::testing::{End, Split, pair};
use ipc::{Client, Code, Error, HandshakeError, Outcome, SocketPath};

use crate::support::*;

fn told<T: std::fmt::Debug>(result: Result<T, Error>) -> (Code, Outcome) {
    let error = result.unwrap_err();
    assert!(!error.is_interrupted());
    (error.code(), error.outcome())
}

#[tokio::test]
async fn a_call_beyond_the_most_waits_for_one_to_end() {
    // [LIM-4]
    let (near, _far, seen) = limited(limits(|limits| limits.max_calls = 2)).await;
    let wait = || near.unary::<_, Text>(WAIT, text("")).reply();
    let echo = near.unary::<_, Text>(ECHO, text("third")).reply();
    let go = async {
        soon(seen.waiting.notified()).await;
        soon(seen.waiting.notified()).await;
        seen.go.notify_one();
        seen.go.notify_one();
    };
    let (one, two, third, ()) = soon(async { tokio::join!(wait(), wait(), echo, go) }).await;
    one.unwrap();
    two.unwrap();
    assert_eq!(third.unwrap().body.text, "third");
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_deadline_passes_while_it_waits_for_its_turn_is_not_sent() {
    let (near, _far, seen) = limited(limits(|limits| limits.max_calls = 1)).await;
    let wait = near.unary::<_, Text>(WAIT, text("")).reply();
    let late = near
        .unary::<_, Text>(ECHO, text("late"))
        .deadline(Duration::from_secs(1))
        .reply();
    let (wait, ()) = tokio::join!(wait, async {
        seen.waiting.notified().await;
        assert_eq!(told(late.await), (Code::DeadlineExceeded, Outcome::NotSent));
        seen.go.notify_one();
    });
    wait.unwrap();
    let ran = seen.echoes.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(ran, 0);
}

#[tokio::test]
async fn a_peer_that_takes_no_calls_is_called_in_vain_but_at_once() {
    let (near, far, _) = limited(limits(|limits| limits.max_calls = 0)).await;
    let call = soon(near.unary::<_, Text>(ECHO, text("")).reply()).await;
    assert_eq!(told(call), (Code::ResourceExhausted, Outcome::NotSent));
    let stream = soon(
        near.server_streaming::<_, Text>(MANY, count(1))
            .into_future(),
    )
    .await;
    assert_eq!(told(stream), (Code::ResourceExhausted, Outcome::NotSent));
    let note = soon(near.one_way(NOTE, text("")).into_future()).await;
    assert_eq!(told(note), (Code::ResourceExhausted, Outcome::NotSent));
    let back: Text = soon(far.unary(ECHO, text("it may call us")).into_future())
        .await
        .unwrap();
    assert_eq!(back.text, "it may call us");
}

#[tokio::test]
async fn one_way_calls_that_still_run_take_no_place_of_others() {
    let (near, _far, seen) = limited(limits(|limits| limits.max_calls = 4)).await;
    for _ in 0..3 {
        near.one_way(LINGER, text("")).await.unwrap();
        soon(seen.waiting.notified()).await;
    }
    let answer: Text = soon(near.unary(ECHO, text("room")).into_future())
        .await
        .unwrap();
    assert_eq!(answer.text, "room");
}

#[tokio::test]
async fn a_request_that_is_too_large_is_not_sent() {
    // [LIM-2]
    let (near, _far, seen) = limited(limits(|limits| limits.max_message = 100_000)).await;
    let exhausted = (Code::ResourceExhausted, Outcome::NotSent);
    let large = || text(&"x".repeat(100_000));
    let call = near.unary::<_, Text>(ECHO, large()).reply().await;
    assert_eq!(told(call), exhausted);
    assert_eq!(told(near.one_way(NOTE, large()).await), exhausted);
    let upload = near.client_streaming::<Text, Text>(SUM).await.unwrap();
    upload.send(count(1)).await.unwrap();
    // Whoever took this for `NotSent` and made the call again would have it run twice.
    let too_late = (Code::ResourceExhausted, Outcome::MayHaveRun);
    assert_eq!(told(upload.send(large()).await), too_late);
    // The stream goes on without it.
    upload.send(count(2)).await.unwrap();
    assert_eq!(soon(upload.finish()).await.unwrap().count, 3);
    let ran = seen.echoes.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(ran, 0);
}

#[tokio::test]
async fn a_message_that_is_too_large_for_a_call_that_is_over_fails_as_the_call_did() {
    let small = limits(|limits| limits.max_message = 1_024);
    let without = End::new().limits(small);
    let (near, _far) = pair(End::new(), without, Split::Whole).await.unwrap();
    let upload = near.client_streaming::<Text, Text>(SUM).await.unwrap();
    let refused = soon(async {
        loop {
            match upload.send(count(1)).await {
                Ok(()) => tokio::task::yield_now().await,
                refused => break refused,
            }
        }
    });
    let unseen = (Code::Unimplemented, Outcome::RefusedUnseen);
    assert_eq!(told(refused.await), unseen);
    let large = upload.send(text(&"x".repeat(1_024))).await;
    assert_eq!(told(large), unseen);
}

#[tokio::test]
async fn an_answer_that_is_too_large_fails_after_it_ran() {
    let (_near, far, _) = limited(limits(|limits| limits.max_message = 100_000)).await;
    let call = far.unary::<_, Text>(LARGE, count(100_000)).reply();
    let (code, outcome) = told(soon(call).await);
    assert_eq!(
        (code, outcome),
        (Code::ResourceExhausted, Outcome::MayHaveRun)
    );
    let call = far.unary::<_, Text>(LARGE, count(99_000)).reply();
    assert_eq!(soon(call).await.unwrap().body.text.len(), 99_000);
}

#[tokio::test]
async fn metadata_that_is_too_large_or_badly_named_is_refused_before_it_leaves() {
    let (near, _far, _) = limited(limits(|limits| limits.max_metadata = 100)).await;
    let call = |len| {
        near.unary::<_, Text>(ECHO, text(""))
            .metadata("k", "v".repeat(len))
            .reply()
    };
    assert!(soon(call(67)).await.is_ok());
    assert_eq!(
        told(soon(call(68)).await),
        (Code::ResourceExhausted, Outcome::NotSent)
    );
}

#[tokio::test]
async fn an_error_of_any_length_reaches_the_caller() {
    // [COD-3]
    let (near, _far, _) = memory(Split::Whole).await;
    let request = Text {
        text: "é".repeat(200_000),
        count: Code::Aborted.to_u32(),
    };
    let error = soon(near.unary::<_, Text>(FAIL, request).reply())
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::Aborted);
    assert!(error.status().unwrap().message().starts_with("éé"));
    let _: Text = near.unary(ECHO, text("goes on")).await.unwrap();
}

fn handshake(error: Error) -> HandshakeError {
    match error {
        Error::Handshake(error) => error,
        other => panic!("{other:?}"),
    }
}

/// Connects again until a connection that was closed has left its place.
async fn connect_again(daemon: &Daemon) -> Client {
    loop {
        match daemon.client().connect().await {
            Ok(client) => break client,
            Err(Error::Handshake(HandshakeError::Overloaded(_))) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn connections_beyond_the_most_are_turned_away_by_name() {
    let all = limits(|limits| limits.max_connections = 2);
    let own = limits(|limits| limits.max_connections_per_user = 2);
    for bound in [all, own] {
        let daemon = Daemon::start_with(|server| server.limits(bound));
        let (first, second) = (daemon.connect().await, daemon.connect().await);
        for _ in 0..3 {
            let error = daemon.client().connect().await.unwrap_err();
            assert_eq!(
                (error.code(), error.outcome()),
                (Code::ResourceExhausted, Outcome::NotSent)
            );
            let error = handshake(error);
            assert!(matches!(error, HandshakeError::Overloaded(_)), "{error:?}");
        }
        let _: Text = first.unary(ECHO, text("")).await.unwrap();
        drop(second);
        let third = soon(connect_again(&daemon)).await;
        let _: Text = third.unary(ECHO, text("")).await.unwrap();
    }
}

#[tokio::test]
async fn endless_patience_does_not_panic() {
    let endless = limits(|limits| {
        limits.handshake = Duration::MAX;
        limits.frame = Duration::MAX;
        limits.write = Duration::MAX;
        limits.drain = Duration::MAX;
        limits.max_deadline = Duration::MAX;
    });
    let daemon = Daemon::start_with(|server| server.limits(endless));
    let client = daemon.client().limits(endless);
    let client = client.connect_within(Duration::MAX).connect();
    let client = soon(client).await.unwrap();
    let _: Text = client.unary(ECHO, text("")).await.unwrap();
    drop(client);
    soon(daemon.stop()).await.unwrap();
}

#[tokio::test]
async fn limits_outside_what_the_protocol_allows_are_found_before_a_socket_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = SocketPath::at(folder.path().join("d.sock")).unwrap();
    let bad = limits(|limits| limits.max_frame = 1);
    let bound = ipc::Server::builder(path.clone()).limits(bad).bind();
    assert!(matches!(bound.unwrap_err(), Error::Build(_)));
    assert!(!path.as_path().exists());
    let client = Client::builder(path).limits(bad).connect().await;
    assert!(matches!(client.unwrap_err(), Error::Build(_)));
}
