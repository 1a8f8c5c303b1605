//! One message each way.

use ipc::testing::Split;
use ipc::{Code, Outcome};

use crate::support::{
    Daemon, ECHO, FAIL, MANY, MISSING, PANIC, Text, WAIT, begins, memory, soon, text,
};

#[tokio::test]
async fn a_call_is_answered_whatever_the_split() {
    for split in [Split::Whole, Split::Bytes(1), Split::Random(7)] {
        let (near, far, _) = memory(split).await;
        for client in [&near, &far] {
            let answer: Text = client.unary(ECHO, text("hello")).await.unwrap();
            assert_eq!(answer.text, "hello");
        }
    }
}

#[tokio::test]
async fn a_call_is_answered_over_a_socket() {
    let daemon = Daemon::start();
    let client = daemon.connect().await;
    let answer: Text = client.unary(ECHO, text("hello")).await.unwrap();
    assert_eq!(answer.text, "hello");
    drop(client);
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn messages_of_every_size_come_back_whole() {
    let daemon = Daemon::start();
    let client = daemon.connect().await;
    for size in [
        0,
        1,
        4_095,
        65_500,
        65_536,
        131_000,
        131_072,
        131_073,
        1 << 20,
        1_100_000,
        4_194_000,
    ] {
        let sent = text(&"x".repeat(size));
        let answer: Text = client.unary(ECHO, sent.clone()).await.unwrap();
        assert!(answer == sent, "size {size}");
    }
}

#[tokio::test]
async fn a_status_comes_back_with_its_details() {
    let (near, _far, _) = memory(Split::Whole).await;
    let request = Text {
        text: "no such job".into(),
        count: 5,
    };
    let error = near.unary::<_, Text>(FAIL, request).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
    assert_eq!(error.outcome(), Outcome::MayHaveRun);
    let status = error.status().unwrap();
    assert_eq!(
        (status.message(), &status.details()[..]),
        ("no such job", &b"details"[..])
    );
}

#[tokio::test]
async fn an_unknown_method_is_refused_unseen() {
    let (near, _far, _) = memory(Split::Whole).await;
    let error = near.unary::<_, Text>(&MISSING, text("")).await.unwrap_err();
    assert_eq!(
        (error.code(), error.outcome()),
        (Code::Unimplemented, Outcome::RefusedUnseen)
    );
}

#[tokio::test]
async fn a_panic_is_unknown_for_that_call_alone() {
    let (near, _far, _) = memory(Split::Whole).await;
    let error = near
        .unary::<_, Text>(PANIC, text("panic"))
        .await
        .unwrap_err();
    assert_eq!(
        (error.code(), error.outcome()),
        (Code::Unknown, Outcome::MayHaveRun)
    );
    let answer: Text = near.unary(PANIC, text("stay")).await.unwrap();
    assert_eq!(answer.text, "stay");
}

#[tokio::test]
async fn metadata_travels_both_ways() {
    let (near, _far, _) = memory(Split::Whole).await;
    let call = near
        .unary::<_, Text>(ECHO, text("hi"))
        .metadata("Echo", "trace-1");
    let reply = call.reply().await.unwrap();
    assert_eq!(reply.body.text, "hi");
    assert_eq!(reply.metadata.get("echoed").unwrap(), "trace-1");
}

/// A message of so many bytes whose encoder panics.
#[derive(Debug, Default)]
pub(crate) struct Bomb(pub(crate) usize);

impl prost::Message for Bomb {
    fn encode_raw(&self, _: &mut impl bytes::BufMut) {
        panic!("asked to panic");
    }

    fn merge_field(
        &mut self,
        _: u32,
        _: prost::encoding::WireType,
        _: &mut impl bytes::Buf,
        _: prost::encoding::DecodeContext,
    ) -> Result<(), prost::DecodeError> {
        Ok(())
    }

    fn encoded_len(&self) -> usize {
        self.0
    }

    fn clear(&mut self) {}
}

#[tokio::test]
async fn a_message_that_panics_ends_its_connection_and_nobody_waits_for_it() {
    let (near, far, seen) = memory(Split::Whole).await;
    let mut open = near.unary::<_, Text>(WAIT, text("")).into_future();
    assert!(begins(&mut open).await.is_none());
    soon(seen.waiting.notified()).await;
    let bomb = near.unary::<_, Text>(ECHO, Bomb(1)).into_future();
    let mut panics = tokio::task::JoinSet::from_iter([bomb]);
    let panicked = soon(panics.join_next()).await.unwrap();
    assert!(panicked.unwrap_err().is_panic());
    assert!(soon(open).await.unwrap_err().is_interrupted());
    let after = soon(near.unary::<_, Text>(ECHO, text("")).reply()).await;
    assert_eq!(after.unwrap_err().outcome(), Outcome::NotSent);
    let back = soon(far.unary::<_, Text>(ECHO, text("")).reply()).await;
    assert!(back.unwrap_err().is_interrupted());
}

#[tokio::test]
async fn a_method_that_gives_many_answers_is_none_for_a_caller_that_wants_one() {
    // [SHP-5]
    let (near, _far, _) = memory(Split::Whole).await;
    for (many, code) in [
        (0, "the answer has no message"),
        (3, "the answer has two messages"),
    ] {
        let wanted = Text {
            count: many,
            ..Text::default()
        };
        let call = near.unary::<_, Text>(MANY, wanted).into_future();
        let error = soon(call).await.unwrap_err();
        assert_eq!(error.code(), Code::Internal);
        assert_eq!(error.status().unwrap().message(), code);
    }
}
