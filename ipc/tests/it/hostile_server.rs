//! Servers that break the rules, against our client.

use std::os::unix::net::UnixListener;
use std::thread::JoinHandle;
use std::time::Duration;

use ipc::wire::messages::{Cancel, End, GoAway, Welcome};
use ipc::wire::{Flags, Header, Kind, Violation};
use ipc::{Client, Code, ConnectionError, Error, Outcome, Policy, SocketPath};
use prost::Message;

use crate::raw::{PREFACE, Raw, frame, generous};
use crate::support::*;

/// A server that is only bytes, which a thread of its own plays.
pub(crate) struct Fake {
    pub(crate) path: SocketPath,
    pub(crate) serving: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl Fake {
    pub(crate) fn start(serve: impl FnOnce(&mut Raw) + Send + 'static) -> Self {
        Self::start_again(Vec::new(), serve)
    }

    /// One that ends in the first handshakes, after this much of each.
    pub(crate) fn start_again(
        ended: Vec<fn(&mut Raw)>,
        serve: impl FnOnce(&mut Raw) + Send + 'static,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap().join("d.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let serving = std::thread::spawn(move || {
            for part in ended {
                part(&mut Raw::new(listener.accept().unwrap().0));
            }
            serve(&mut Raw::new(listener.accept().unwrap().0));
        });
        Self {
            path: SocketPath::at(path).unwrap(),
            serving,
            _folder: folder,
        }
    }
}

/// A client of a server that is only bytes, which it tries once.
pub(crate) fn client_of(
    serve: impl FnOnce(&mut Raw) + Send + 'static,
    call: impl AsyncFnOnce(Result<Client, Error>),
) {
    let fake = Fake::start(serve);
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(async {
        let client = Client::builder(fake.path.clone())
            .trust(Policy::any_user())
            .connect_within(Duration::ZERO)
            .connect();
        call(soon(client).await).await;
    });
    fake.serving.join().unwrap();
}

/// The same without a runtime.
pub(crate) fn blocking_client_of(
    serve: impl FnOnce(&mut Raw) + Send + 'static,
    call: impl FnOnce(Result<ipc::blocking::Client, Error>),
) {
    let fake = Fake::start(serve);
    let client = ipc::blocking::Client::builder(fake.path.clone()).trust(Policy::any_user());
    call(client.connect_within(Duration::ZERO).connect());
    fake.serving.join().unwrap();
}

pub(crate) fn welcome() -> Welcome {
    Welcome {
        limits: Some(generous()),
        session: vec![1; 16].into(),
        nonce: vec![2; 16].into(),
        ..Welcome::default()
    }
}

/// Plays the server's part of a good handshake.
pub(crate) fn greet(raw: &mut Raw, welcome: &Welcome) {
    raw.preface();
    raw.until(Kind::Hello);
    raw.send(&PREFACE);
    raw.frame(Kind::Welcome, 0, Flags::NONE, &welcome.encode_to_vec());
    assert_eq!(raw.next().unwrap().header.kind, Kind::Confirm);
}

pub(crate) fn answer(id: u32, flags: Flags, message: &Text) -> Vec<u8> {
    frame(Kind::Message, id, flags, &message.encode_to_vec())
}

fn end(id: u32, end: &End) -> Vec<u8> {
    frame(Kind::End, id, Flags::NONE, &end.encode_to_vec())
}

/// What the caller of a unary call is told for these bytes, with a runtime and without.
fn told(bytes: Vec<u8>) -> (Code, Outcome, bool) {
    let (mut told, mut without) = (None, None);
    let what = |error: Error| Some((error.code(), error.outcome(), error.is_interrupted()));
    let serve = move |raw: &mut Raw| {
        greet(raw, &welcome());
        assert_eq!(raw.until(Kind::Call).header.call, 1);
        raw.send(&bytes);
        while raw.next().is_some() {}
    };
    client_of(serve.clone(), async |client| {
        let client = client.unwrap();
        let call = client.unary::<_, Text>(ECHO, text(""));
        told = what(soon(call.reply()).await.unwrap_err());
    });
    blocking_client_of(serve, |client| {
        let mut client = client.unwrap();
        let call = client.unary::<_, Text>(ECHO, text(""));
        without = what(call.reply().unwrap_err());
    });
    assert_eq!(without, told);
    told.unwrap()
}

#[test]
fn answers_that_do_not_fit_a_unary_call_are_internal() {
    // [SHP-5] [COD-2] [MET-3]
    let more = answer(1, Flags::NONE, &text("one"));
    let last = answer(1, Flags::END, &text("two"));
    let after = (Code::Internal, Outcome::MayHaveRun, false);
    assert_eq!(told([more, last].concat()), after);
    assert_eq!(told(end(1, &End::default())), after);
    let garbage = frame(Kind::Message, 1, Flags::END, &[0xff; 3]);
    assert_eq!(told(garbage), after);
    let strange = End {
        code: 4_711,
        ..End::default()
    };
    let unknown = (Code::Unknown, Outcome::MayHaveRun, false);
    assert_eq!(told(end(1, &strange)), unknown);
    let unseen = End {
        code: 14,
        unseen: true,
        ..End::default()
    };
    let refused = (Code::Unavailable, Outcome::RefusedUnseen, false);
    assert_eq!(told(end(1, &unseen)), refused);
}

#[test]
fn a_server_that_breaks_the_rules_fails_its_calls_and_is_told() {
    // [IDS-3] [STA-1] [CRD-4] [ERR-1]
    let none = Flags::NONE;
    let cases: Vec<(Violation, Vec<u8>)> = vec![
        (
            Violation::FrameTooLarge { len: 0, limit: 0 },
            Header::new(Kind::Message, 1, none, u32::MAX)
                .to_bytes()
                .into(),
        ),
        (Violation::UnknownCall, answer(3, Flags::END, &text(""))),
        (Violation::WrongParity, frame(Kind::Call, 3, none, &[])),
        (
            Violation::UnexpectedFrame,
            frame(Kind::Cancel, 1, none, &[]),
        ),
        (
            Violation::UnexpectedFrame,
            frame(Kind::Welcome, 0, none, &[]),
        ),
        (Violation::BadCredit, frame(Kind::Credit, 1, none, &[])),
        (Violation::Malformed, frame(Kind::End, 1, none, &[0xff])),
    ];
    for (violation, bytes) in cases {
        let serve = move |raw: &mut Raw| {
            greet(raw, &welcome());
            raw.until(Kind::Call);
            raw.send(&bytes);
            // Although the program still has the client in its hands.
            assert_eq!(raw.closed_with(), violation.code(), "{violation:?}");
        };
        client_of(serve, async |client| {
            let client = client.unwrap();
            let error = soon(client.unary::<_, Text>(WAIT, text("")).reply())
                .await
                .unwrap_err();
            assert!(error.is_interrupted());
            assert_eq!(
                (error.code(), error.outcome()),
                (Code::Internal, Outcome::MayHaveRun)
            );
            let Some(ConnectionError::Violation(found)) = client.close_reason() else {
                panic!("{:?}", client.close_reason());
            };
            assert_eq!(found.code(), violation.code());
            tokio::task::yield_now().await;
        });
    }
}

#[test]
fn a_server_that_dies_in_the_middle_of_an_answer_was_only_lost() {
    let serve = move |raw: &mut Raw| {
        greet(raw, &welcome());
        raw.until(Kind::Call);
        let bytes = answer(1, Flags::END, &text("half of it"));
        raw.send(&bytes[..bytes.len() - 3]);
    };
    client_of(serve, async |client| {
        let error = soon(client.unwrap().unary::<_, Text>(ECHO, text("")).reply())
            .await
            .unwrap_err();
        assert_eq!(
            (error.code(), error.outcome(), error.is_interrupted()),
            (Code::Unavailable, Outcome::MayHaveRun, true)
        );
    });
}

#[test]
fn an_answer_that_came_before_the_end_is_given_even_if_writing_fails_first() {
    let serve = move |raw: &mut Raw| {
        greet(raw, &welcome());
        raw.until(Kind::Call);
        raw.send(&answer(1, Flags::END, &text("the last word")));
    };
    client_of(serve, async |client| {
        let client = client.unwrap();
        let mut first = client.unary::<_, Text>(ECHO, text("")).into_future();
        assert!(begins(&mut first).await.is_none());
        // Fails to write before the answer is read, or is lost behind it.
        let second = loop {
            let mut second = client.unary::<_, Text>(ECHO, text("")).into_future();
            match begins(&mut second).await {
                Some(second) => break second,
                None => drop(second),
            }
            tokio::task::yield_now().await;
        };
        assert!(second.unwrap_err().is_interrupted());
        assert_eq!(soon(first).await.unwrap().text, "the last word");
    });
}

#[test]
fn going_away_tells_apart_what_was_seen_and_what_was_not() {
    // [GOA-3] [GOA-4] [GOA-5] [GOA-6] [GOA-7]
    for code in [0, 67, 4_711] {
        let serve = move |raw: &mut Raw| {
            greet(raw, &welcome());
            raw.until(Kind::Call);
            raw.until(Kind::Call);
            let away = GoAway {
                code,
                message: "enough".into(),
                last_call: 1,
            };
            raw.frame(Kind::GoAway, 0, Flags::NONE, &away.encode_to_vec());
            if code == 0 {
                raw.send(&answer(1, Flags::END, &text("finished")));
            }
            while raw.next().is_some() {}
        };
        client_of(serve, async |client| {
            let client = client.unwrap();
            let call = || client.unary::<_, Text>(ECHO, text("")).reply();
            let (first, second) = soon(async { tokio::join!(call(), call()) }).await;
            let second = second.unwrap_err();
            assert_eq!(
                (second.code(), second.outcome()),
                (Code::Unavailable, Outcome::RefusedUnseen)
            );
            match first {
                Ok(first) => assert_eq!((code, first.body.text.as_str()), (0, "finished")),
                Err(error) => {
                    assert_ne!(code, 0);
                    assert_eq!(
                        (error.code(), error.outcome(), error.is_interrupted()),
                        (Code::Unavailable, Outcome::MayHaveRun, true)
                    );
                }
            }
            let third = call().await.unwrap_err();
            assert_eq!(
                (third.code(), third.outcome()),
                (Code::Unavailable, Outcome::NotSent)
            );
        });
    }
}

#[test]
fn a_call_stuck_behind_others_is_not_sent_and_never_arrives() {
    // [CAN-2]
    let (read, reads) = std::sync::mpsc::channel::<()>();
    let serve = move |raw: &mut Raw| {
        let mut greedy = welcome();
        greedy.limits.as_mut().unwrap().initial_credit = 1 << 30;
        greet(raw, &greedy);
        reads.recv().unwrap();
        // Everything the client has made it send, up to its end.
        let mut late = false;
        while let Some(came) = raw.next() {
            let cancelled = || Cancel::decode(came.payload.clone()).unwrap().code;
            assert!(came.header.kind != Kind::Cancel || cancelled() == 1);
            late |= came.payload.windows(4).any(|part| part == b"late");
        }
        assert!(!late, "it was not sent, the caller was told");
    };
    client_of(serve, async |client| {
        let client = client.unwrap();
        let large = || text(&"x".repeat(60_000));
        let mut stuck = Vec::new();
        for _ in 0..20 {
            let mut call = client.unary::<_, Text>(ECHO, large()).into_future();
            assert!(begins(&mut call).await.is_none());
            stuck.push(call);
        }
        let late = client.unary::<_, Text>(ECHO, text("late"));
        let late = late.deadline(Duration::from_millis(50)).into_future();
        let unsent = (Code::DeadlineExceeded, Outcome::NotSent);
        let error = soon(late).await.unwrap_err();
        assert_eq!((error.code(), error.outcome()), unsent);

        // Notes wait for room, of which there is an end.
        let mut note = client.one_way(NOTE, large()).into_future();
        while begins(&mut note).await.is_some() {
            note = client.one_way(NOTE, large()).into_future();
        }
        let late = client.one_way(NOTE, text("late"));
        let late = late.deadline(Duration::from_millis(50)).into_future();
        let error = soon(late).await.unwrap_err();
        assert_eq!((error.code(), error.outcome()), unsent);
        drop(note);
        drop(stuck);
        read.send(()).unwrap();
        drop(client);
        // The connection goes on by itself until all is written.
        tokio::task::yield_now().await;
        soon(closes(&read)).await;
    });
}

/// Waits until the server has read to the end and dropped its channel.
async fn closes(read: &std::sync::mpsc::Sender<()>) {
    while read.send(()).is_ok() {
        tokio::task::yield_now().await;
    }
}

#[test]
fn a_one_way_call_that_is_stuck_under_way_ends_at_its_deadline_or_with_its_connection() {
    // [DLN-4] [CAN-1] [LIM-4]
    let (leave, leaves) = std::sync::mpsc::channel::<()>();
    let serve = move |raw: &mut Raw| {
        let mut mean = welcome();
        let limits = mean.limits.as_mut().unwrap();
        (limits.max_calls, limits.initial_credit) = (1, 1_024);
        greet(raw, &mean);
        let cancel = raw.until(Kind::Cancel);
        assert_eq!(Cancel::decode(cancel.payload).unwrap().code, 4);
        assert_eq!(raw.until(Kind::Call).header.call, 3);
        raw.send(&answer(3, Flags::END, &text("answer")));
        leaves.recv().unwrap();
    };
    client_of(serve, async |client| {
        let client = client.unwrap();
        let large = || client.one_way(NOTE, text(&"x".repeat(100_000)));
        let late = large().deadline(Duration::from_millis(50));
        let echo = client.unary::<_, Text>(ECHO, text("")).into_future();
        let both = async { tokio::join!(late.into_future(), echo) };
        let (late, echo) = soon(both).await;
        let told = |error: Error| (error.code(), error.outcome(), error.is_interrupted());
        let expired = (Code::DeadlineExceeded, Outcome::MayHaveRun, false);
        assert_eq!(told(late.unwrap_err()), expired);
        assert_eq!(echo.unwrap().text, "answer", "once there was a place");

        let mut lost = large().into_future();
        assert!(begins(&mut lost).await.is_none());
        leave.send(()).unwrap();
        let lost = told(soon(lost).await.unwrap_err());
        assert_eq!(lost, (Code::Unavailable, Outcome::MayHaveRun, true));
    });
}
