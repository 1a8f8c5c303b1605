//! Calls that do not fit their method, and callers that change their minds.

use std::sync::atomic::Ordering;

use ipc::wire::messages::{CallHead, End};
use ipc::wire::{Flags, Kind, Violation};
use prost::Message;

use crate::raw::{Host, call, frame, open};
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
    big.metadata.push(ipc::wire::messages::Entry {
        key: "k".into(),
        value: vec![0; 9_000].into(),
    });
    let mut odd = head(ECHO.id(), Some(b""));
    odd.metadata.push(ipc::wire::messages::Entry {
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
    // [ERR-3]
    let host = Host::new();
    let before = host.daemon.seen.echoes.load(Ordering::Relaxed);
    let mut peer = host.peer();
    let mut bytes = call(1, ECHO, &text("good"));
    bytes.extend(frame(Kind::Ping, 1, Flags::NONE, &[]));
    bytes.extend(call(3, ECHO, &text("behind")));
    peer.send(&bytes);
    assert_eq!(peer.closed_with(), Violation::UnexpectedFrame.code());
    let ran = host.daemon.seen.echoes.load(Ordering::Relaxed) - before;
    assert_eq!(ran, 1);
}
