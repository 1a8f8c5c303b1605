//! Many messages in one direction, or in both.

use std::sync::atomic::Ordering;

use ipc::testing::Split;
use ipc::wire::{Flags, Kind};
use ipc::{Client, Code, Error, Outcome, Receiver};

use crate::hostile_server::{answer, blocking_client_of, client_of, greet, welcome};
use crate::raw::Raw;
use crate::support::*;

const SPLITS: [Split; 4] = [
    Split::Whole,
    Split::Bytes(1),
    Split::Bytes(13),
    Split::Random(3),
];

async fn numbers(stream: &mut Receiver<Text>) -> Vec<u32> {
    let mut numbers = Vec::new();
    while let Some(text) = soon(stream.recv()).await.unwrap() {
        numbers.push(text.count);
    }
    numbers
}

/// The stream of a handler that has sent all it may, and waits.
async fn full(client: &Client, seen: &Seen) -> Receiver<Text> {
    let request = Text {
        text: "x".repeat(1_000),
        count: 10_000,
    };
    let stream = client.server_streaming(MANY, request).await.unwrap();
    let mut before = u32::MAX;
    // Each answered call lets the handler run as far as it can.
    while before != seen.sent.load(Ordering::Relaxed) || before == 0 {
        before = seen.sent.load(Ordering::Relaxed);
        for _ in 0..10 {
            soon(client.unary::<_, Text>(ECHO, text("turn")).reply())
                .await
                .unwrap();
        }
    }
    assert!(before < 10_000, "the handler waits for credit");
    stream
}

#[tokio::test]
async fn a_server_stream_is_in_order_and_complete_whatever_the_split() {
    for split in SPLITS {
        let (near, far, _) = memory(split).await;
        for client in [&near, &far] {
            let mut stream = client.server_streaming(MANY, count(300)).await.unwrap();
            let all: Vec<u32> = (0..300).collect();
            assert_eq!(numbers(&mut stream).await, all, "{split:?}");
            assert_eq!(stream.metadata().get("sent").unwrap(), "300");
            assert!(stream.recv().await.unwrap().is_none(), "the end stays");
        }
    }
}

#[tokio::test]
async fn a_client_stream_is_complete_whatever_the_split() {
    for split in SPLITS {
        let (near, _far, _) = memory(split).await;
        let upload = near.client_streaming::<Text, Text>(SUM).await.unwrap();
        for number in 1..=300 {
            soon(upload.send(count(number))).await.unwrap();
        }
        let sum = soon(upload.finish()).await.unwrap();
        assert_eq!(sum.count, 300 * 301 / 2, "{split:?}");
    }
}

#[tokio::test]
async fn a_bidirectional_stream_goes_on_after_one_direction_has_ended() {
    for split in SPLITS {
        let (near, _far, _) = memory(split).await;
        let (send, mut receive) = near.bidirectional::<Text, Text>(CHAT).await.unwrap();
        for number in 0..100 {
            soon(send.send(count(number))).await.unwrap();
        }
        drop(send);
        let all: Vec<u32> = (0..100).collect();
        assert_eq!(numbers(&mut receive).await, all, "{split:?}");
    }
}

#[tokio::test]
async fn one_way_calls_arrive_in_order_with_those_that_are_answered() {
    for split in SPLITS {
        let (near, _far, seen) = memory(split).await;
        for _ in 0..1_000 {
            soon(near.one_way(NOTE, text("note")).into_future())
                .await
                .unwrap();
        }
        let _: Text = soon(near.unary(ECHO, text("after")).into_future())
            .await
            .unwrap();
        assert_eq!(seen.notes.load(Ordering::Relaxed), 1_000, "{split:?}");
    }
}

#[tokio::test]
async fn a_large_one_way_call_arrives() {
    let (near, _far, seen) = memory(Split::Random(5)).await;
    let large = text(&"x".repeat(1 << 20));
    soon(near.one_way(NOTE, large).into_future()).await.unwrap();
    soon(seen.noted.notified()).await;
}

#[tokio::test]
async fn an_unread_stream_blocks_neither_calls_nor_other_streams() {
    // [CRD-9]
    let daemon = Daemon::start();
    let client = daemon.connect().await;
    let mut unread = full(&client, &daemon.seen).await;
    for number in 0..100 {
        let answer: Text = soon(client.unary(ECHO, count(number)).into_future())
            .await
            .unwrap();
        assert_eq!(answer.count, number);
    }
    let mut other = client.server_streaming(MANY, count(5_000)).await.unwrap();
    assert_eq!(numbers(&mut other).await.len(), 5_000);
    assert_eq!(numbers(&mut unread).await.len(), 10_000);
}

#[tokio::test]
async fn a_sender_waits_for_credit_and_goes_on_when_the_stream_is_read() {
    // [CRD-1] [CRD-7]
    let (near, _far, seen) = memory(Split::Whole).await;
    let mut stream = full(&near, &seen).await;
    let waiting = seen.sent.load(Ordering::Relaxed);
    // The window is 1048576 bytes, and one more message may wait for credit.
    assert!((900..=1_060).contains(&waiting), "{waiting} sent");
    assert_eq!(numbers(&mut stream).await.len(), 10_000);
}

#[tokio::test]
async fn a_caller_waits_for_a_handler_that_does_not_read() {
    let (near, _far, seen) = memory(Split::Whole).await;
    let upload = near.client_streaming::<Text, Text>(DEAF).await.unwrap();
    soon(seen.waiting.notified()).await;
    let message = |count| Text {
        text: "x".repeat(100_000),
        count,
    };
    let mut sent = 0;
    let sending = async {
        for _ in 0..20 {
            upload.send(message(1)).await.unwrap();
            sent += 1;
        }
    };
    let calls = async {
        for _ in 0..100 {
            let _: Text = near.unary(ECHO, text("turn")).await.unwrap();
        }
    };
    tokio::select! {
        () = sending => panic!("nobody has read"),
        () = soon(calls) => {}
    }
    assert!(sent < 13, "{sent} sent");
    seen.go.notify_one();
    for _ in sent..20 {
        soon(upload.send(message(1))).await.unwrap();
    }
    assert_eq!(soon(upload.finish()).await.unwrap().count, 20);
}

#[tokio::test]
async fn messages_larger_than_the_window_pass_in_both_directions() {
    // [CRD-5] [CRD-6]
    for split in [Split::Whole, Split::Random(11)] {
        let (near, _far, _) = memory(split).await;
        let (send, mut receive) = near.bidirectional::<Text, Text>(CHAT).await.unwrap();
        for size in [1, 300_000, 0, 1_000_000] {
            soon(send.send(text(&"x".repeat(size)))).await.unwrap();
            let back = soon(receive.recv()).await.unwrap().unwrap();
            assert_eq!(back.text.len(), size);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn streams_of_large_messages_that_are_read_one_after_the_other_complete() {
    // [CRD-6] [CRD-9]
    let large = Text {
        text: "x".repeat(300_000),
        count: 3,
    };
    let (_near, far, _) = limited(limits(|limits| limits.max_assembling = 1)).await;
    let mut streams = Vec::new();
    for _ in 0..10 {
        let stream = far.server_streaming(MANY, large.clone()).await;
        streams.push(stream.unwrap());
    }
    // The last first: those that came before it stay unread.
    for mut stream in streams.into_iter().rev() {
        assert_eq!(numbers(&mut stream).await, [0, 1, 2]);
    }
}

#[tokio::test]
async fn an_error_behind_messages_comes_after_all_of_them() {
    for split in SPLITS {
        let (near, _far, _) = memory(split).await;
        let request = Text {
            text: "fail".into(),
            count: 50,
        };
        let mut stream = near
            .server_streaming::<_, Text>(MANY, request)
            .await
            .unwrap();
        for number in 0..50 {
            let message = soon(stream.recv()).await.unwrap().unwrap();
            assert_eq!(message.count, number);
        }
        let error = soon(stream.recv()).await.unwrap_err();
        let told = (error.code(), error.outcome(), error.is_interrupted());
        assert_eq!(told, (Code::Aborted, Outcome::MayHaveRun, false));
        assert!(stream.recv().await.unwrap().is_none(), "the end stays");
    }
}

#[tokio::test]
async fn dropping_a_receiver_drops_the_handler() {
    let daemon = Daemon::start();
    let client = daemon.connect().await;
    let stream = full(&client, &daemon.seen).await;
    drop(stream);
    soon(daemon.seen.dropped.notified()).await;
}

#[tokio::test]
async fn dropping_the_receiver_of_both_directions_cancels_the_call() {
    let (near, _far, _) = memory(Split::Whole).await;
    let (send, receive) = near.bidirectional::<Text, Text>(CHAT).await.unwrap();
    drop(receive);
    let error = soon(send.send(text("anyone?"))).await.unwrap_err();
    assert_eq!(
        (error.code(), error.is_interrupted()),
        (Code::Cancelled, false)
    );
}

#[tokio::test]
async fn a_sender_is_told_when_the_other_side_has_answered_or_left() {
    let (near, far, seen) = memory(Split::Whole).await;
    let upload = near.client_streaming::<Text, Text>(EARLY).await.unwrap();
    let error = loop {
        if let Err(error) = soon(upload.send(text("more"))).await {
            break error;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(
        (error.code(), error.is_interrupted()),
        (Code::Cancelled, false)
    );
    assert_eq!(soon(upload.finish()).await.unwrap().text, "early");

    let upload = near.client_streaming::<Text, Text>(DEAF).await.unwrap();
    soon(seen.waiting.notified()).await;
    drop(far);
    let error = loop {
        if let Err(error) = soon(upload.send(text("more"))).await {
            break error;
        }
        tokio::task::yield_now().await;
    };
    assert!(error.is_interrupted(), "{error:?}");
    assert_eq!(
        (error.code(), error.outcome()),
        (Code::Unavailable, Outcome::MayHaveRun)
    );
}

#[tokio::test]
async fn a_stream_outlives_the_client_that_began_it() {
    let daemon = Daemon::start();
    let client = daemon.connect().await;
    let mut stream = client.server_streaming(MANY, count(5_000)).await.unwrap();
    drop(client);
    assert_eq!(numbers(&mut stream).await.len(), 5_000);
    let client = daemon.connect().await;
    let call = client.unary::<_, Text>(WAIT, text("waited"));
    let call = tokio::join!(soon(call.reply()), async {
        drop(client);
        soon(daemon.seen.waiting.notified()).await;
        daemon.seen.go.notify_one();
    });
    assert_eq!(call.0.unwrap().body.text, "waited");
    // With its last call the connection goes as well, so a stop waits for nobody.
    drop(stream);
    soon(daemon.stop()).await.unwrap();
}

#[tokio::test]
async fn calls_go_back_to_the_caller_while_it_waits() {
    for split in SPLITS {
        let (near, _far, _) = memory(split).await;
        let answer: Text = soon(near.unary(BACK, text("there and back")).into_future())
            .await
            .unwrap();
        assert_eq!(answer.text, "there and back", "{split:?}");
    }
}

#[test]
fn a_message_that_does_not_parse_is_an_error_between_the_others() {
    let serve = |raw: &mut Raw| {
        greet(raw, &welcome());
        raw.until(Kind::Call);
        raw.send(&answer(1, Flags::NONE, &text("before")));
        raw.frame(Kind::Message, 1, Flags::NONE, &[0xff; 3]);
        raw.send(&answer(1, Flags::END, &text("behind")));
        while raw.next().is_some() {}
    };
    let told = |came: Result<Option<Text>, Error>| match came {
        Ok(message) => message.map_or_else(|| "end".into(), |message| message.text),
        Err(error) => format!("{error:?}"),
    };
    let (mut with, mut without) = (Vec::new(), Vec::new());
    client_of(serve, async |client| {
        let client = client.unwrap();
        let call = client.server_streaming::<_, Text>(MANY, count(0));
        let mut many = call.await.unwrap();
        for _ in 0..4 {
            with.push(told(soon(many.recv()).await));
        }
    });
    blocking_client_of(serve, |client| {
        let mut client = client.unwrap();
        let call = client.server_streaming::<_, Text>(MANY, count(0));
        let mut many = call.send().unwrap();
        without.extend(std::iter::repeat_with(|| told(many.recv())).take(4));
    });
    assert!(with[1].contains("does not parse"), "{with:?}");
    assert_eq!([&with[0], &with[2], &with[3]], ["before", "behind", "end"]);
    assert_eq!(without, with);
}
