//! What is still held when its call is over.

use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use ipc::testing::{End, Split, pair};
use ipc::wire::messages::{GoAway, PeerLimits, Welcome};
use ipc::wire::{Flags, Kind};
use ipc::{
    Call, Client, Code, Error, Handling, Incoming, Method, Outcome, Receiver, Service, Shape,
    Status,
};
use prost::Message;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use crate::hostile_server::{client_of, greet, welcome};
use crate::raw::{Raw, generous};
use crate::support::*;

/// What handlers of [`Keep`] have left behind.
enum Kept {
    Receiver(Receiver<Text>),
    Token(CancellationToken),
}

/// Gives away what a handler gets, and answers; with a success or an error, once it may, who reads.
struct Keep(mpsc::Sender<Kept>, Arc<Notify>);

static KEEP: [Method; 3] = [
    Method::new("test.Keep/Receiver", Shape::ClientStreaming),
    Method::new("test.Keep/Refuse", Shape::ClientStreaming),
    Method::new("test.Keep/Token", Shape::Unary),
];

impl Service for Keep {
    fn name(&self) -> &'static str {
        "test.Keep"
    }

    fn methods(&self) -> &'static [Method] {
        &KEEP
    }

    fn schema(&self) -> u64 {
        1
    }

    fn call(&self, method: usize, incoming: Incoming) -> Handling {
        let (kept, go) = (self.0.clone(), Arc::clone(&self.1));
        match method {
            0 | 1 => incoming.client_streaming(move |call: Call<Receiver<Text>>| async move {
                kept.try_send(Kept::Receiver(call.body)).unwrap();
                go.notified().await;
                match method {
                    0 => Ok(text("kept")),
                    _ => Err(Status::aborted("refused")),
                }
            }),
            _ => incoming.unary(|call: Call<Text>| async move {
                kept.try_send(Kept::Token(call.cancelled())).unwrap();
                Ok(call.body)
            }),
        }
    }
}

/// A handler's receiver outlives it, and the daemon is stopped before the handler answers or behind that.
async fn receiver_outlives(method: &'static Method, stopped_before: bool) {
    let (keeps, mut kept) = mpsc::channel(1);
    let go = Arc::new(Notify::new());
    let keep = Keep(keeps, Arc::clone(&go));
    let hour = limits(|limits| limits.drain = Duration::from_secs(3_600));
    let mut daemon = Daemon::start_with(|server| server.service(keep).limits(hour));
    let client = daemon.connect().await;
    let upload = client.client_streaming::<Text, Text>(method).await.unwrap();
    let Some(Kept::Receiver(mut receiver)) = soon(kept.recv()).await else {
        panic!("no receiver");
    };
    assert!(begins(&mut Box::pin(receiver.recv())).await.is_none());
    if stopped_before {
        daemon.ask_to_stop();
        // The drain has begun once no more calls are taken.
        soon(async { while client.unary::<_, Text>(ECHO, text("")).await.is_ok() {} }).await;
    }
    go.notify_one();
    let error = soon(receiver.recv()).await.unwrap_err();
    assert_eq!(
        (error.code(), error.outcome()),
        (Code::Cancelled, Outcome::MayHaveRun)
    );
    assert!(receiver.recv().await.unwrap().is_none(), "told once");
    soon(daemon.stop()).await.unwrap();
    drop((upload, receiver));
}

#[tokio::test]
async fn a_receiver_that_outlives_its_handler_ends_and_holds_up_no_stop() {
    for method in [&KEEP[0], &KEEP[1]] {
        for stopped_before in [false, true] {
            receiver_outlives(method, stopped_before).await;
        }
    }
}

#[tokio::test]
async fn a_token_that_outlives_its_handler_is_cancelled_with_the_connection() {
    let (keeps, mut kept) = mpsc::channel(1);
    let (near, far) = (End::new(), End::new().service(Keep(keeps, Arc::default())));
    let (near, _far) = pair(near, far, Split::Whole).await.unwrap();
    let _: Text = near.unary(&KEEP[2], text("")).await.unwrap();
    let Some(Kept::Token(token)) = soon(kept.recv()).await else {
        panic!("no token");
    };
    assert!(!token.is_cancelled());
    drop(near);
    soon(token.cancelled()).await;
}

/// A call that gets the only permit there is.
async fn next(client: &Client) {
    let answer: Text = soon(client.unary(ECHO, text("next")).into_future())
        .await
        .unwrap();
    assert_eq!(answer.text, "next");
}

#[tokio::test]
async fn a_stream_that_is_over_keeps_no_other_call_from_its_turn() {
    let one = limits(|limits| limits.max_calls = 1);
    let (near, _far, _) = limited(one).await;
    for count_of in [0, 2] {
        let stream = near.server_streaming::<_, Text>(MANY, count(count_of));
        let mut stream = soon(stream.into_future()).await.unwrap();
        while soon(stream.recv()).await.unwrap().is_some() {}
        next(&near).await;
        drop(stream);
        next(&near).await;
    }
    let upload = near.client_streaming::<Text, Text>(EARLY).await.unwrap();
    while soon(upload.send(text("more"))).await.is_ok() {
        tokio::task::yield_now().await;
    }
    next(&near).await;
    drop(upload);
    next(&near).await;
}

#[test]
fn who_waits_for_a_turn_is_told_that_the_server_goes_away() {
    // [GOA-3]
    let serve = move |raw: &mut Raw| {
        let one = PeerLimits {
            max_calls: 1,
            ..generous()
        };
        greet(
            raw,
            &Welcome {
                limits: Some(one),
                ..welcome()
            },
        );
        assert_eq!(raw.until(Kind::Call).header.call, 1);
        let away = GoAway {
            last_call: 1,
            ..GoAway::default()
        };
        raw.frame(Kind::GoAway, 0, Flags::NONE, &away.encode_to_vec());
        while raw.next().is_some() {}
    };
    client_of(serve, async |client: Result<Client, Error>| {
        let client = client.unwrap();
        let mut first = client.unary::<_, Text>(ECHO, text("")).into_future();
        assert!(begins(&mut first).await.is_none());
        let second = client.unary::<_, Text>(ECHO, text("")).into_future();
        let error = soon(second).await.unwrap_err();
        assert_eq!(
            (error.code(), error.outcome(), error.is_interrupted()),
            (Code::Unavailable, Outcome::NotSent, true)
        );
        assert!(begins(&mut first).await.is_none(), "it was seen");
    });
}
