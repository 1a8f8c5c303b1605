//! The client without a runtime, against a daemon that has one.

use std::time::Duration;

use ipc::blocking::{Client, ClientBuilder};
use ipc::wire::messages::{Cancel, Welcome};
use ipc::wire::{Flags, Kind};
use ipc::{Code, ConnectionError, Error, Outcome, Policy, SocketPath};
use prost::Message;

use crate::hostile_server::{answer, blocking_client_of, greet, welcome};
use crate::raw::Raw;
use crate::support::*;

/// Runs a test body with a blocking client in a thread of its own.
async fn with_client(daemon: &Daemon, body: impl FnOnce(Client) + Send + 'static) {
    with_client_of(daemon, |client| client, body).await;
}

/// As [`with_client`], for a client that the test builds.
async fn with_client_of(
    daemon: &Daemon,
    choose: impl FnOnce(ClientBuilder) -> ClientBuilder + Send + 'static,
    body: impl FnOnce(Client) + Send + 'static,
) {
    let path = daemon.path.clone();
    let run = move || {
        let client = Client::builder(path).trust(Policy::any_user());
        let client = client.connect_within(Duration::from_secs(20));
        body(choose(client).connect().unwrap());
    };
    tokio::task::spawn_blocking(run).await.unwrap();
}

fn told<T: std::fmt::Debug>(result: Result<T, Error>) -> (Code, Outcome) {
    let error = result.unwrap_err();
    assert!(!error.is_interrupted());
    (error.code(), error.outcome())
}

const LATE: (Code, Outcome) = (Code::DeadlineExceeded, Outcome::MayHaveRun);
const UNSENT: (Code, Outcome) = (Code::DeadlineExceeded, Outcome::NotSent);

#[tokio::test]
async fn every_shape_works_without_a_runtime() {
    let daemon = Daemon::start();
    with_client(&daemon, |mut client| {
        let answer: Text = client.unary(ECHO, text("hello")).send().unwrap();
        assert_eq!(answer.text, "hello");

        let many = client
            .server_streaming::<_, Text>(MANY, count(1_000))
            .send()
            .unwrap();
        let numbers = many.map(|text| text.unwrap().count).collect::<Vec<_>>();
        assert_eq!(numbers, (0..1_000).collect::<Vec<_>>());

        let mut upload = client.client_streaming::<Text, Text>(SUM).send().unwrap();
        for number in 1..=100 {
            upload.send(&count(number)).unwrap();
        }
        assert_eq!(upload.finish().unwrap().count, 5_050);

        let mut chat = client.bidirectional::<Text, Text>(CHAT).send().unwrap();
        for word in ["one", "two"] {
            chat.send(&text(word)).unwrap();
            assert_eq!(chat.recv().unwrap().unwrap().text, word);
        }
        chat.finish_sending();
        assert_eq!(chat.recv().unwrap(), None);
        drop(chat);

        client.one_way(NOTE, text("note")).send().unwrap();
    })
    .await;
    daemon.seen.noted.notified().await;
}

#[tokio::test]
async fn large_messages_pass_both_ways_while_both_sides_write() {
    let daemon = Daemon::start();
    with_client(&daemon, |mut client| {
        let large = text(&"x".repeat(3 << 20));
        let answer: Text = client.unary(ECHO, large.clone()).send().unwrap();
        assert!(answer == large);
        let mut chat = client.bidirectional::<Text, Text>(CHAT).send().unwrap();
        for _ in 0..3 {
            chat.send(&large).unwrap();
            assert!(chat.recv().unwrap().unwrap() == large);
        }
    })
    .await;
}

#[tokio::test]
async fn a_status_and_a_deadline_come_back_as_errors() {
    let daemon = Daemon::start();
    let soon = |client: ClientBuilder| client.deadline(Duration::from_millis(50));
    with_client_of(&daemon, soon, |mut client| {
        let request = Text {
            text: "no".into(),
            count: 5,
        };
        let failed = client.unary::<_, Text>(FAIL, request).send();
        assert_eq!(told(failed), (Code::NotFound, Outcome::MayHaveRun));
        assert_eq!(told(client.unary::<_, Text>(WAIT, text("")).send()), LATE);
        let answer: Text = client.unary(ECHO, text("still here")).send().unwrap();
        assert_eq!(answer.text, "still here");
    })
    .await;
    daemon.seen.dropped.notified().await;
}

#[tokio::test]
async fn a_dropped_stream_cancels_its_call() {
    let daemon = Daemon::start();
    with_client(&daemon, |mut client| {
        let mut many = client
            .server_streaming::<_, Text>(MANY, count(u32::MAX))
            .send()
            .unwrap();
        assert_eq!(many.recv().unwrap().unwrap().count, 0);
        drop(many);
        let answer: Text = client.unary(ECHO, text("next")).send().unwrap();
        assert_eq!(answer.text, "next");
    })
    .await;
    daemon.stop().await.unwrap();
}

#[test]
fn no_daemon_is_a_typed_error_inside_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = SocketPath::at(folder.path().join("none.sock")).unwrap();
    let client = Client::builder(path).connect_within(Duration::from_millis(20));
    let error = client.connect().unwrap_err();
    assert_eq!(
        (error.code(), error.outcome()),
        (Code::Unavailable, Outcome::NotSent)
    );
}

#[tokio::test]
async fn a_one_way_call_larger_than_the_credit_leaves_as_a_whole() {
    let daemon = Daemon::start();
    with_client(&daemon, |mut client| {
        client
            .one_way(NOTE, text(&"x".repeat(2 << 20)))
            .send()
            .unwrap();
    })
    .await;
    daemon.seen.noted.notified().await;
}

#[tokio::test]
async fn metadata_travels_both_ways_in_every_shape_that_has_an_answer() {
    let daemon = Daemon::start();
    with_client(&daemon, |mut client| {
        let call = client.unary::<_, Text>(ECHO, text("hi"));
        let reply = call.metadata("Echo", "trace-1").reply().unwrap();
        assert_eq!(reply.body.text, "hi");
        assert_eq!(reply.metadata.get("echoed").unwrap(), "trace-1");

        let mut many = client
            .server_streaming::<_, Text>(MANY, count(2))
            .send()
            .unwrap();
        assert!(many.recv().unwrap().is_some());
        assert!(many.metadata().is_empty());
        assert_eq!(many.by_ref().count(), 1);
        assert_eq!(many.metadata().get("sent").unwrap(), "2");
        drop(many);

        let sum = client.client_streaming::<Text, Text>(SUM);
        let mut upload = sum.metadata("echo", "trace-2").send().unwrap();
        upload.send(&count(7)).unwrap();
        let reply = upload.reply().unwrap();
        assert_eq!(reply.body.count, 7);
        assert_eq!(reply.metadata.get("echoed").unwrap(), "trace-2");

        let chat = client.bidirectional::<Text, Text>(CHAT);
        let mut chat = chat.metadata("echo", "trace-3").send().unwrap();
        chat.finish_sending();
        assert!(chat.metadata().is_empty());
        assert_eq!(chat.recv().unwrap(), None);
        assert_eq!(chat.metadata().get("echoed").unwrap(), "trace-3");
        drop(chat);

        let bad = client.unary::<_, Text>(ECHO, text("")).metadata("ä", "");
        assert_eq!(told(bad.send()), (Code::Internal, Outcome::NotSent));
    })
    .await;
}

/// The milliseconds that the daemon sees of a deadline.
fn left(client: &mut Client, own: Option<Duration>) -> u32 {
    let mut call = client.unary::<_, Text>(LEFT, text(""));
    if let Some(own) = own {
        call = call.deadline(own);
    }
    call.send().unwrap().count
}

#[tokio::test]
async fn the_deadline_of_the_client_travels_unless_the_call_has_its_own() {
    // [DLN-1]
    let daemon = Daemon::start();
    let minute = |client: ClientBuilder| client.deadline(Duration::from_secs(60));
    with_client_of(&daemon, minute, |mut client| {
        let mut left = |own| left(&mut client, own);
        assert!((1..=60_000).contains(&left(None)));
        assert!((60_001..=600_000).contains(&left(Some(Duration::from_secs(600)))));
        for huge in [Duration::MAX, Duration::from_secs(1 << 50)] {
            assert!(left(Some(huge)) > 600_000, "{huge:?}");
        }
        let mut client = client.with_deadline(Duration::from_secs(1_200));
        assert!((600_001..=1_200_000).contains(&self::left(&mut client, None)));
    })
    .await;
    with_client(&daemon, |mut client| {
        assert_eq!(left(&mut client, None), u32::MAX);
    })
    .await;
}

#[tokio::test]
async fn a_stream_of_answers_ends_at_its_own_deadline_alone() {
    let daemon = Daemon::start();
    let at_once = |client: ClientBuilder| client.deadline(Duration::ZERO);
    with_client_of(&daemon, at_once, |mut client| {
        let endless = || count(u32::MAX);
        let call = client.server_streaming::<_, Text>(MANY, endless());
        assert!(call.send().unwrap().recv().unwrap().is_some());
        let call = client.server_streaming::<_, Text>(MANY, endless());
        let own = call.deadline(Duration::from_millis(50)).send();
        let error = own.unwrap().find_map(Result::err).unwrap();
        assert_eq!(told::<()>(Err(error)), LATE);

        let chat = client.bidirectional::<Text, Text>(CHAT);
        let own = chat.deadline(Duration::from_millis(50)).send();
        assert_eq!(told(own.unwrap().recv()), LATE);

        let call = client.client_streaming::<Text, Text>(DEAF);
        let mut upload = call.deadline(Duration::from_millis(50)).send().unwrap();
        let part = text(&"x".repeat(50_000));
        let error = std::iter::repeat_with(|| upload.send(&part)).find_map(Result::err);
        assert_eq!(told::<()>(Err(error.unwrap())), LATE);
        assert_eq!(told(upload.finish()), LATE);
    })
    .await;
}

#[tokio::test]
async fn a_call_whose_deadline_has_passed_is_not_sent() {
    let daemon = Daemon::start();
    with_client(&daemon, |mut client| {
        let none = Duration::ZERO;
        let echo = client.unary::<_, Text>(ECHO, text(""));
        assert_eq!(told(echo.deadline(none).send()), UNSENT);
        let many = client.server_streaming::<_, Text>(MANY, count(1));
        assert_eq!(told(many.deadline(none).send()), UNSENT);
        let sum = client.client_streaming::<Text, Text>(SUM);
        assert_eq!(told(sum.deadline(none).send()), UNSENT);
        let chat = client.bidirectional::<Text, Text>(CHAT);
        assert_eq!(told(chat.deadline(none).send()), UNSENT);
        let note = client.one_way(NOTE, text(""));
        assert_eq!(told(note.deadline(none).send()), UNSENT);
        let _: Text = client.unary(ECHO, text("")).send().unwrap();
    })
    .await;
    let ran = daemon
        .seen
        .echoes
        .load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(ran, 1, "only the one without a deadline");
}

#[test]
fn a_deadline_that_passes_cancels_the_call_and_leaves_the_connection() {
    // [DLN-4] [CAN-1]
    let serve = |raw: &mut Raw| {
        greet(raw, &welcome());
        assert_eq!(raw.until(Kind::Call).header.call, 1);
        let cancel = raw.next().unwrap();
        assert_eq!((cancel.header.kind, cancel.header.call), (Kind::Cancel, 1));
        let code = Cancel::decode(cancel.payload).unwrap().code;
        assert_eq!(code, Code::DeadlineExceeded.to_u32());
        // An answer that crossed the cancellation is nobody's.
        raw.send(&answer(1, Flags::END, &text("late")));
        assert_eq!(raw.until(Kind::Call).header.call, 3);
        raw.send(&answer(3, Flags::END, &text("in time")));
    };
    blocking_client_of(serve, |client| {
        let mut client = client.unwrap();
        let call = client.unary::<_, Text>(WAIT, text(""));
        assert_eq!(told(call.deadline(Duration::from_millis(20)).send()), LATE);
        let answer = client.unary::<_, Text>(ECHO, text("")).send().unwrap();
        assert_eq!(answer.text, "in time");
    });
}

/// A server that lets everything be sent at once.
fn greedy() -> Welcome {
    let mut greedy = welcome();
    greedy.limits.as_mut().unwrap().initial_credit = 1 << 30;
    greedy
}

#[test]
fn a_deadline_holds_although_the_peer_does_not_read() {
    // [CAN-2]
    let (read, reads) = std::sync::mpsc::channel::<()>();
    let serve = move |raw: &mut Raw| {
        greet(raw, &greedy());
        reads.recv().unwrap();
        let last = loop {
            let came = raw.next().unwrap();
            let unsent = came.payload.windows(6).any(|part| part == b"unsent");
            assert!(!unsent, "the caller was told so");
            if came.payload.ends_with(b"again") {
                break came.header.call;
            }
        };
        raw.send(&answer(last, Flags::END, &text("here")));
    };
    blocking_client_of(serve, |client| {
        let mut client = client.unwrap();
        let brief = Duration::from_millis(20);
        // Notes fill the socket; the one that does not fit as a whole is there in part.
        let large = text(&"x".repeat(60_000));
        let mut note = || client.one_way(NOTE, large.clone()).deadline(brief).send();
        let error = std::iter::repeat_with(&mut note).find_map(Result::err);
        assert_eq!(told::<()>(Err(error.unwrap())), LATE);
        let unsent = client.one_way(NOTE, text("unsent")).deadline(brief);
        assert_eq!(told(unsent.send()), UNSENT);
        let unsent = client.unary::<_, Text>(ECHO, text("unsent"));
        assert_eq!(told(unsent.deadline(brief).send()), UNSENT);
        read.send(()).unwrap();
        let answer = client.unary::<_, Text>(ECHO, text("again")).send().unwrap();
        assert_eq!(answer.text, "here");
    });
}

#[test]
fn a_large_request_that_the_peer_does_not_read_is_cancelled_in_time() {
    let (read, reads) = std::sync::mpsc::channel::<()>();
    let serve = move |raw: &mut Raw| {
        greet(raw, &greedy());
        reads.recv().unwrap();
        let cancel = raw.until(Kind::Cancel);
        assert_eq!(cancel.header.call, 1);
        assert_eq!(raw.until(Kind::Call).header.call, 3);
        raw.send(&answer(3, Flags::END, &text("here")));
    };
    blocking_client_of(serve, |client| {
        let mut client = client.unwrap();
        let large = text(&"x".repeat(3 << 20));
        let call = client.unary::<_, Text>(ECHO, large);
        assert_eq!(told(call.deadline(Duration::from_millis(50)).send()), LATE);
        read.send(()).unwrap();
        let answer = client.unary::<_, Text>(ECHO, text("again")).send().unwrap();
        assert_eq!(answer.text, "here");
    });
}

#[test]
fn a_client_says_why_its_connection_is_over() {
    let serve = |raw: &mut Raw| {
        greet(raw, &welcome());
        raw.until(Kind::Call);
    };
    blocking_client_of(serve, |client| {
        let mut client = client.unwrap();
        assert!(client.close_reason().is_none());
        let lost = client.unary::<_, Text>(ECHO, text("")).send();
        assert!(lost.unwrap_err().is_interrupted());
        let reason = client.close_reason();
        assert!(
            matches!(reason, Some(ConnectionError::Closed)),
            "{reason:?}"
        );
    });
}
