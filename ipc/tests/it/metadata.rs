//! What goes beside an answer.

use ipc::testing::{End, Split, pair};
use ipc::{Call, Client, Code, Handling, Incoming, Limits, Metadata, MetadataError, Method};
use ipc::{Outcome, Sender, Service, Shape, Status};

use crate::support::*;

static METHODS: [Method; 4] = [
    Method::new("test.Beside/Succeed", Shape::Unary),
    Method::new("test.Beside/Fail", Shape::Unary),
    Method::new("test.Beside/Stream", Shape::ServerStreaming),
    Method::new("test.Beside/Know", Shape::Unary),
];
static SUCCEED: &Method = &METHODS[0];
static FAIL: &Method = &METHODS[1];
static STREAM: &Method = &METHODS[2];
static KNOW: &Method = &METHODS[3];

/// Answers with metadata whose key is the text of the request, and whose value is so long.
struct Beside;

impl Service for Beside {
    fn name(&self) -> &'static str {
        "test.Beside"
    }

    fn methods(&self) -> &'static [Method] {
        &METHODS
    }

    fn schema(&self) -> u64 {
        3
    }

    fn call(&self, method: usize, incoming: Incoming) -> Handling {
        match method {
            0 => incoming.unary(|call: Call<Text>| async move {
                call.answer_with(&call.body.text, value(&call))?;
                Ok::<_, Status>(call.body)
            }),
            1 => incoming.unary(|call: Call<Text>| async move {
                let mut metadata = Metadata::default();
                metadata.insert(&call.body.text, value(&call))?;
                let status = Status::aborted("as asked").with_metadata(metadata);
                Err::<Text, _>(status)
            }),
            2 => incoming.server_streaming(|call: Call<Text>, out: Sender<Text>| async move {
                out.send(text("one")).await?;
                call.answer_with(&call.body.text, value(&call))?;
                Ok(())
            }),
            3 => incoming.unary(|call: Call<Text>| async move {
                call.answer_with("kept", "")?;
                let added = call.answer_with(&call.body.text, value(&call));
                Ok::<_, Status>(text(
                    &added.map_or_else(|e| e.to_string(), |()| "ok".into()),
                ))
            }),
            _ => incoming.unimplemented(),
        }
    }
}

fn value(call: &Call<Text>) -> Vec<u8> {
    vec![7; call.body.count as usize]
}

fn asks(key: &str, size: u32) -> Text {
    Text {
        text: key.into(),
        count: size,
    }
}

/// A client with these limits of a server of `Beside`.
async fn client(limits: Limits) -> (Client, Client) {
    let (near, far) = (End::new().limits(limits), End::new().service(Beside));
    pair(near, far, Split::Whole).await.unwrap()
}

const TOO_LARGE: &str = "metadata exceeds the limit of 100 bytes";
const BAD_KEY: &str = "metadata key is not 1 to 128 of a-z, 0-9, -, _ and .";

#[tokio::test]
async fn metadata_that_cannot_go_beside_an_answer_fails_its_call_alone() {
    // [MET-5]
    let (near, _far) = client(limits(|limits| limits.max_metadata = 100)).await;
    let cases = [
        ("key", 66, Code::ResourceExhausted, TOO_LARGE),
        ("sp ace", 1, Code::Internal, BAD_KEY),
        ("", 1, Code::Internal, BAD_KEY),
    ];
    for (key, size, code, message) in cases {
        let told = |error: ipc::Error| {
            assert_eq!((error.code(), error.outcome()), (code, Outcome::MayHaveRun));
            assert_eq!(error.status().unwrap().message(), message);
        };
        let unary = near.unary::<_, Text>(SUCCEED, asks(key, size)).reply();
        told(soon(unary).await.unwrap_err());
        let stream = near.server_streaming::<_, Text>(STREAM, asks(key, size));
        let mut stream = soon(stream.into_future()).await.unwrap();
        assert_eq!(soon(stream.recv()).await.unwrap().unwrap().text, "one");
        told(soon(stream.recv()).await.unwrap_err());
    }
    // 3, 65 and 32 bytes are just as many as fit.
    let reply = near.unary::<_, Text>(SUCCEED, asks("Key", 65)).reply();
    let reply = soon(reply).await.unwrap();
    assert_eq!(reply.metadata.get("key").unwrap().len(), 65);
}

#[tokio::test]
async fn a_failure_keeps_its_code_whatever_its_metadata() {
    // [COD-3]
    let (near, _far) = client(limits(|limits| limits.max_metadata = 100)).await;
    for (size, there) in [(65, true), (66, false)] {
        let call = near.unary::<_, Text>(FAIL, asks("key", size)).reply();
        let error = soon(call).await.unwrap_err();
        let status = error.status().unwrap();
        assert_eq!(
            (status.code(), status.message()),
            (Code::Aborted, "as asked")
        );
        assert_eq!(status.metadata().get("key").is_some(), there, "{size}");
    }
}

#[tokio::test]
async fn a_handler_learns_what_its_caller_does_not_take() {
    let (near, _far) = client(limits(|limits| limits.max_metadata = 100)).await;
    let too_large = MetadataError::TooLarge { limit: 100 }.to_string();
    let bad_key = MetadataError::Key.to_string();
    for (key, size, told) in [
        ("key", 29, "ok"),
        ("key", 30, &too_large),
        ("a:b", 1, &bad_key),
    ] {
        let call = near.unary::<_, Text>(KNOW, asks(key, size)).reply();
        let reply = soon(call).await.unwrap();
        assert_eq!(reply.body.text, told);
        assert_eq!(reply.metadata.get(key).is_some(), told == "ok");
        assert!(reply.metadata.get("kept").is_some(), "{told}");
    }
}

#[tokio::test]
async fn metadata_of_an_answer_that_no_frame_holds_fails_its_call_alone() {
    // [COD-3] [COD-4]
    let (near, _far) = client(limits(|limits| limits.max_frame = 1_024)).await;
    for (method, code) in [(SUCCEED, Code::ResourceExhausted), (FAIL, Code::Aborted)] {
        let call = near.unary::<_, Text>(method, asks("key", 2_000)).reply();
        let error = soon(call).await.unwrap_err();
        assert_eq!((error.code(), error.outcome()), (code, Outcome::MayHaveRun));
    }
    let call = near.unary::<_, Text>(SUCCEED, asks("key", 900)).reply();
    assert!(soon(call).await.is_ok());
}
