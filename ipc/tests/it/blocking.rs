//! The client without a runtime, against a daemon that has one.

use std::time::Duration;

use ipc::blocking::Client;
use ipc::{Code, Outcome, Policy, SocketPath};

use crate::support::{CHAT, Daemon, ECHO, FAIL, MANY, NOTE, SUM, Text, WAIT, count, text};

/// Runs a test body with a blocking client in a thread of its own.
async fn with_client(daemon: &Daemon, body: impl FnOnce(Client) + Send + 'static) {
    let path = daemon.path.clone();
    let run = move || {
        let client = Client::builder(path).trust(Policy::any_user());
        body(
            client
                .connect_within(Duration::from_secs(20))
                .connect()
                .unwrap(),
        );
    };
    tokio::task::spawn_blocking(run).await.unwrap();
}

#[tokio::test]
async fn every_shape_works_without_a_runtime() {
    let daemon = Daemon::start();
    with_client(&daemon, |mut client| {
        let answer: Text = client.unary(ECHO, &text("hello")).unwrap();
        assert_eq!(answer.text, "hello");

        let many = client
            .server_streaming::<_, Text>(MANY, &count(1_000))
            .unwrap();
        let numbers = many.map(|text| text.unwrap().count).collect::<Vec<_>>();
        assert_eq!(numbers, (0..1_000).collect::<Vec<_>>());

        let mut upload = client.client_streaming::<Text, Text>(SUM).unwrap();
        for number in 1..=100 {
            upload.send(&count(number)).unwrap();
        }
        assert_eq!(upload.finish().unwrap().count, 5_050);

        let mut chat = client.bidirectional::<Text, Text>(CHAT).unwrap();
        for word in ["one", "two"] {
            chat.send(&text(word)).unwrap();
            assert_eq!(chat.recv().unwrap().unwrap().text, word);
        }
        chat.finish_sending();
        assert_eq!(chat.recv().unwrap(), None);
        drop(chat);

        client.one_way(NOTE, &text("note")).unwrap();
    })
    .await;
    daemon.seen.noted.notified().await;
}

#[tokio::test]
async fn large_messages_pass_both_ways_while_both_sides_write() {
    let daemon = Daemon::start();
    with_client(&daemon, |mut client| {
        let large = text(&"x".repeat(3 << 20));
        let answer: Text = client.unary(ECHO, &large).unwrap();
        assert!(answer == large);
        let mut chat = client.bidirectional::<Text, Text>(CHAT).unwrap();
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
    let path = daemon.path.clone();
    let run = move || {
        let client = Client::builder(path).trust(Policy::any_user());
        let mut client = client
            .deadline(Duration::from_millis(50))
            .connect()
            .unwrap();
        let request = Text {
            text: "no".into(),
            count: 5,
        };
        let error = client.unary::<_, Text>(FAIL, &request).unwrap_err();
        assert_eq!(
            (error.code(), error.outcome()),
            (Code::NotFound, Outcome::MayHaveRun)
        );
        let error = client.unary::<_, Text>(WAIT, &text("")).unwrap_err();
        assert_eq!(
            (error.code(), error.outcome()),
            (Code::DeadlineExceeded, Outcome::MayHaveRun)
        );
        let answer: Text = client.unary(ECHO, &text("still here")).unwrap();
        assert_eq!(answer.text, "still here");
    };
    tokio::task::spawn_blocking(run).await.unwrap();
    daemon.seen.dropped.notified().await;
}

#[tokio::test]
async fn a_dropped_stream_cancels_its_call() {
    let daemon = Daemon::start();
    with_client(&daemon, |mut client| {
        let mut many = client
            .server_streaming::<_, Text>(MANY, &count(u32::MAX))
            .unwrap();
        assert_eq!(many.recv().unwrap().unwrap().count, 0);
        drop(many);
        let answer: Text = client.unary(ECHO, &text("next")).unwrap();
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
        client.one_way(NOTE, &text(&"x".repeat(2 << 20))).unwrap();
    })
    .await;
    daemon.seen.noted.notified().await;
}
