//! Calls that do not fit their method, and callers that change their minds.

use std::sync::atomic::Ordering;

use ipc::wire::messages::{CallHead, Cancel, End, Entry, PeerLimits};
use ipc::wire::{Flags, Kind, Violation};
use ipc::{Code, Outcome};
use prost::Message;

use crate::raw::{Host, Raw, call, frame, generous, open};
use crate::support::*;

#[test]
fn requests_that_do_not_fit_their_method_cost_one_call() {
    // [SHP-6] [REF-2] [REF-3] [REF-4] [MET-2]
    let host = Host::new();
    let mut peer = host.peer();
    let head = |method, body: Option<&'static [u8]>| CallHead {
        method,
        body: body.map(Into::into),
        ..CallHead::default()
    };
    let mut big = head(ECHO.id(), Some(b""));
    big.metadata.push(Entry {
        key: "k".into(),
        value: vec![0; 9_000].into(),
    });
    let mut odd = head(ECHO.id(), Some(b""));
    odd.metadata.push(Entry {
        key: "Ä".into(),
        value: "v".into(),
    });
    let cases = [
        (13, head(ECHO.id(), Some(b"\xff\xff"))),
        (13, head(ECHO.id(), None)),
        (13, head(MANY.id(), Some(b"\xff\xff"))),
        (12, head(0xdead_beef, Some(b""))),
        (8, big),
        (13, odd),
    ];
    let mut id = 1;
    for (code, head) in cases {
        peer.frame(Kind::Call, id, Flags::END, &head.encode_to_vec());
        let end = peer.ended(id);
        assert_eq!((end.code, end.unseen), (code, true), "{head:?}");
        id += 2;
    }
    // No message before the caller's end.
    peer.send(&open(id, ECHO));
    peer.frame(Kind::End, id, Flags::NONE, b"");
    let end = peer.ended(id);
    assert_eq!((end.code, end.unseen), (13, true));
    // The request in a frame of its own is the same request. [SHP-4]
    id += 2;
    peer.send(&open(id, ECHO));
    let request = text("apart").encode_to_vec();
    peer.frame(Kind::Message, id, Flags::END, &request);
    assert_eq!(peer.answered(id).text, "apart");
    assert_eq!(host.daemon.seen.echoes.load(Ordering::Relaxed), 1);
    host.is_unharmed();
}

#[test]
fn a_stream_whose_only_message_comes_with_the_call_ends() {
    // [SHP-4]
    let host = Host::new();
    let mut peer = host.peer();
    for (id, method) in [(1, SUM), (3, CHAT)] {
        peer.call(id, method, &count(7));
        let came = peer.until(Kind::Message);
        assert_eq!(came.header.call, id);
        assert_eq!(Text::decode(came.payload).unwrap().count, 7);
    }
    assert_eq!(peer.ended(3), End::default());
    // And with no message at all.
    let head = CallHead {
        method: SUM.id(),
        ..CallHead::default()
    };
    peer.frame(Kind::Call, 5, Flags::END, &head.encode_to_vec());
    assert_eq!(peer.answered(5).count, 0);
}

#[test]
fn a_caller_that_ends_and_then_cancels_is_gone_for_the_handler() {
    let host = Host::new();
    let mut peer = host.peer();
    let request = Text {
        text: "x".repeat(1_000),
        count: u32::MAX,
    };
    peer.call(1, MANY, &request);
    peer.until(Kind::Message);
    peer.frame(Kind::Cancel, 1, Flags::NONE, &[]);
    host.runtime
        .block_on(soon(host.daemon.seen.dropped.notified()));
    peer.call(3, ECHO, &text("next"));
    loop {
        let came = peer.until(Kind::Message);
        if came.header.call == 3 {
            break;
        }
    }
}

#[test]
fn a_cancelled_call_drops_its_handler_whatever_the_code() {
    // [CAN-5]
    let host = Host::new();
    let mut peer = host.peer();
    for (id, code) in (1..).step_by(4).zip([1, 4, 0, 16, 4_711, u32::MAX]) {
        peer.call(id, WAIT, &text(""));
        let cancel = Cancel { code }.encode_to_vec();
        peer.frame(Kind::Cancel, id, Flags::NONE, &cancel);
        host.runtime.block_on(async {
            soon(host.daemon.seen.dropped.notified()).await;
            soon(host.daemon.seen.cancelled.notified()).await;
        });
        // No END answers it.
        peer.call(id + 2, ECHO, &text("next"));
        let came = peer.next().unwrap();
        assert_eq!(
            (came.header.kind, came.header.call),
            (Kind::Message, id + 2)
        );
    }
}

#[test]
fn a_one_way_call_is_not_answered_whatever_is_wrong_with_it() {
    // [SHP-7] [REF-6]
    let host = Host::new();
    let mut peer = host.peer();
    let flags = Flags::END.with(Flags::ONE_WAY, true);
    let mut id = 1;
    for method in [NOTE.id(), ECHO.id(), MANY.id(), 0xdead_beef] {
        for body in [Some(&b""[..]), Some(&b"\xff\xff"[..]), None] {
            let head = CallHead {
                method,
                body: body.map(|body| body.to_vec().into()),
                ..CallHead::default()
            };
            peer.frame(Kind::Call, id, flags, &head.encode_to_vec());
            id += 2;
        }
    }
    peer.frame(Kind::Ping, 0, Flags::NONE, &[]);
    let first = peer.next().unwrap();
    assert_eq!(first.header.kind, Kind::Pong, "and nothing before it");
    host.is_unharmed();
}

#[test]
fn nothing_behind_a_violation_is_taken() {
    // [ERR-3] [GOA-9]
    let host = Host::new();
    let before = host.daemon.seen.echoes.load(Ordering::Relaxed);
    let mut peer = host.peer();
    let mut bytes = call(1, ECHO, &text("good"));
    bytes.extend(frame(Kind::Ping, 1, Flags::NONE, &[]));
    bytes.extend(call(3, ECHO, &text("behind")));
    peer.send(&bytes);
    assert_eq!(
        peer.answered(1).text,
        "good",
        "an answer goes before GOAWAY"
    );
    assert_eq!(peer.closed_with(), Violation::UnexpectedFrame.code());
    let ran = host.daemon.seen.echoes.load(Ordering::Relaxed) - before;
    assert_eq!(ran, 1);
}

/// Waits until all that was sent is taken; nothing else comes meanwhile.
fn settles(peer: &mut Raw) {
    peer.frame(Kind::Ping, 0, Flags::NONE, &[]);
    assert_eq!(peer.next().unwrap().header.kind, Kind::Pong);
}

#[test]
fn a_single_request_runs_when_its_caller_has_sent_all() {
    // [SHP-10] [SHP-6]
    let host = Host::new();
    let mut peer = host.peer();
    let ran = || host.daemon.seen.echoes.load(Ordering::Relaxed);
    let before = ran();
    let begun = |id, method: &ipc::Method| {
        let mut bytes = call(id, method, &text("one"));
        bytes[9] = 0;
        bytes
    };
    let one = text("one").encode_to_vec();
    peer.send(&begun(1, ECHO));
    settles(&mut peer);
    assert_eq!(ran(), before);
    peer.frame(Kind::End, 1, Flags::NONE, b"");
    assert_eq!(peer.answered(1).text, "one");
    peer.send(&open(3, ECHO));
    peer.frame(Kind::Message, 3, Flags::NONE, &one);
    settles(&mut peer);
    peer.frame(Kind::End, 3, Flags::NONE, b"");
    assert_eq!(peer.answered(3).text, "one");
    assert_eq!(ran(), before + 2);
    // The second message comes too much.
    for (id, method) in [(5, ECHO), (7, MANY), (9, NOTE)] {
        peer.send(&begun(id, method));
        peer.frame(Kind::Message, id, Flags::END, &one);
        let end = peer.ended(id);
        assert_eq!((end.code, end.unseen), (13, true));
    }
    assert_eq!(ran(), before + 2);
    // One that is given up before its end never runs.
    peer.send(&begun(11, ECHO));
    peer.frame(Kind::Cancel, 11, Flags::NONE, b"");
    settles(&mut peer);
    assert_eq!(ran(), before + 2);
}

#[test]
fn a_one_way_method_may_be_called_for_an_answer_and_others_without() {
    // [SHP-11] [SHP-7]
    let host = Host::new();
    let mut peer = host.peer();
    peer.call(1, NOTE, &text("told?"));
    let came = peer.next().unwrap();
    let told = (came.header.kind, came.header.call, came.header.flags);
    assert_eq!(told, (Kind::Message, 1, Flags::END));
    assert!(came.payload.is_empty());
    // More than may be open at once: each is over when its handler is.
    let flags = Flags::END.with(Flags::ONE_WAY, true);
    for number in 1..600 {
        let mut bytes = call(number * 2 + 1, ECHO, &text("quiet"));
        bytes[9] = flags.to_byte();
        peer.send(&bytes);
    }
    settles(&mut peer);
    peer.call(1_201, ECHO, &text("loud"));
    assert_eq!(peer.answered(1_201).text, "loud");
}

#[test]
fn a_call_is_refused_for_its_first_fault() {
    // [REF-7] [DLN-6]
    let host = Host::with(limits(|limits| limits.max_calls = 1));
    let mut peer = host.peer();
    // All that can be wrong besides access; then one fault less at a time.
    let mut head = CallHead {
        method: 0xdead_beef,
        time_left: Some(0),
        metadata: vec![Entry {
            key: "\u{c4}".into(),
            value: vec![0; 9_000].into(),
        }],
        body: Some((&b"\xff\xff"[..]).into()),
    };
    let refused = |peer: &mut Raw, id, head: &CallHead| {
        peer.frame(Kind::Call, id, Flags::END, &head.encode_to_vec());
        let end = peer.ended(id);
        assert!(end.unseen);
        (end.code, end.message)
    };
    peer.call(1, WAIT, &text(""));
    let (code, message) = refused(&mut peer, 3, &head);
    assert_eq!((code, message.as_str()), (8, "too many open calls"));
    peer.frame(Kind::Cancel, 1, Flags::NONE, b"");
    let (code, message) = refused(&mut peer, 5, &head);
    assert!(code == 8 && message.starts_with("metadata exceeds"));
    head.metadata[0].value.clear();
    let (code, message) = refused(&mut peer, 7, &head);
    assert!(code == 13 && message.starts_with("metadata key"));
    head.metadata.clear();
    assert_eq!(refused(&mut peer, 9, &head).0, 4);
    head.time_left = None;
    assert_eq!(refused(&mut peer, 11, &head).0, 12);
    head.method = ECHO.id();
    let (code, message) = refused(&mut peer, 13, &head);
    assert!(code == 13 && message.contains("does not parse"));
    peer.call(15, ECHO, &text("flawless"));
    assert_eq!(peer.answered(15).text, "flawless");
}

#[test]
fn an_answer_that_is_too_long_fails_a_call_that_was_seen() {
    // [LIM-5]
    let host = Host::new();
    let mut peer = host.peer_with(PeerLimits {
        max_message: 1_024,
        ..generous()
    });
    peer.call(1, LARGE, &count(5_000));
    let end = peer.ended(1);
    assert_eq!((end.code, end.unseen), (8, false));
}

#[test]
fn a_peer_that_ends_its_direction_ends_the_connection() {
    // [TRN-7]
    let host = Host::new();
    let mut peer = host.peer();
    let bytes = [call(1, WAIT, &text("")), call(3, ECHO, &text("taken"))];
    peer.send(&bytes.concat());
    peer.socket.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(peer.answered(3).text, "taken");
    assert!(peer.next().is_none());
    host.runtime
        .block_on(soon(host.daemon.seen.dropped.notified()));
}

#[tokio::test(start_paused = true)]
async fn a_single_request_that_is_not_ended_in_time_is_refused_unseen() {
    // [SHP-12]
    let (near, _far, seen) = memory(ipc::testing::Split::Whole).await;
    for method in [ECHO, NOTE] {
        // Sends one message and goes on to wait, which no caller of such a method does.
        let stream = near.bidirectional::<Text, Text>(method).await;
        let (send, mut receive) = stream.unwrap();
        send.send(text("alone")).await.unwrap();
        let begun = tokio::time::Instant::now();
        let error = soon(receive.recv()).await.unwrap_err();
        assert_eq!(begun.elapsed().as_secs(), 10);
        let told = (error.code(), error.outcome());
        assert_eq!(told, (Code::Internal, Outcome::RefusedUnseen));
    }
    assert_eq!(seen.echoes.load(Ordering::Relaxed), 0);
}
