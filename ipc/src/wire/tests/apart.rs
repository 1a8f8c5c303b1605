//! Large ends of messages, which are written as they are.

use super::*;

/// A message whose end is not to be copied, and that end.
fn large(size: usize) -> (Body<'static>, Bytes) {
    let rest = (0..size).map(|at| at.to_le_bytes()[0]).collect::<Bytes>();
    (
        Body::Parts(Box::new([Bytes::from_static(b"front"), rest.clone()])),
        rest,
    )
}

fn opening(body: Body<'static>) -> Open<'static> {
    Open {
        body: Some(body),
        ..open(None, true)
    }
}

fn written(rest: &Bytes) -> Bytes {
    [b"front", &rest[..]].concat().into()
}

/// The message that these frames carry, however it is cut.
fn carried(frames: &[Frame]) -> Vec<u8> {
    let payloads = frames.iter().filter_map(|frame| match frame {
        Frame::Call { head, .. } => head.body.clone(),
        Frame::Message { payload, .. } => Some(payload.clone()),
        _ => None,
    });
    payloads.collect::<Vec<_>>().concat()
}

#[test]
fn a_large_end_is_handed_over_as_it_is() {
    let mut rig = Rig::connecting();
    let (body, rest) = large(20_000);
    let key = rig
        .engine
        .open(Open {
            end: false,
            ..opening(body)
        })
        .unwrap();
    let (mut out, mut payload) = (BytesMut::new(), Bytes::new());
    for name in ["call 1", "message 1 end"] {
        assert!(rig.engine.backlog() > 20_000);
        assert!(rig.engine.poll_parts(&mut out, &mut payload));
        assert_eq!(payload.as_ptr(), rest.as_ptr());
        out.extend_from_slice(&payload);
        let frames = frames(std::mem::take(&mut out));
        assert_eq!(names(&frames), [name]);
        assert_eq!(carried(&frames), written(&rest));
        if name == "call 1" {
            let body = Body::Parts(Box::new([Bytes::from_static(b"front"), rest.clone()]));
            rig.engine.send(key, body, true).unwrap();
        }
    }
    assert!(rig.engine.is_flushed());
    rig.open(Some(3), true);
    assert!(rig.engine.poll_parts(&mut out, &mut payload));
    assert!(payload.is_empty(), "what went before");
}

#[test]
fn what_follows_a_large_end_stands_behind_it() {
    let mut rig = Rig::connecting();
    let (body, rest) = large(20_000);
    rig.engine.open(opening(body)).unwrap();
    rig.open(Some(3), true);
    let (body, last) = large(10_000);
    rig.engine.open(opening(body)).unwrap();
    rig.engine.ping(7);
    let (mut out, mut payload) = (BytesMut::new(), Bytes::new());
    assert!(rig.engine.poll_parts(&mut out, &mut payload));
    assert_eq!(payload, last);
    out.extend_from_slice(&payload);
    let frames = frames(out);
    let order = ["ping", "call 1 end", "call 3 end", "call 5 end"];
    assert_eq!(names(&frames), order);
    assert_eq!(carried(&frames[1..2]), written(&rest));
    assert_eq!(carried(&frames[3..]), written(&last));
}

#[test]
fn chunks_are_cut_across_both_parts() {
    for initial in [12 + 3, 12 + 5, 12 + 5_000, 262_144] {
        let mut rig = Rig::new(Side::Connecting, |_, theirs| {
            theirs.initial_credit = initial;
        });
        let (body, rest) = large(150_000);
        rig.engine.open(opening(body)).unwrap();
        let mut said = rig.says();
        while names(&said)
            .last()
            .is_some_and(|last| last.ends_with("more"))
        {
            rig.hear(credit(1, 50_000)).unwrap();
            said.extend(rig.says());
        }
        assert_eq!(carried(&said), written(&rest), "{initial}");
    }
}

#[test]
fn a_call_with_a_large_end_can_be_taken_back() {
    for withdrawn in [0, 1] {
        let mut rig = Rig::connecting();
        let keys =
            [large(20_000), large(30_000)].map(|(body, _)| rig.engine.open(opening(body)).unwrap());
        let ids = rig.ids(&keys[withdrawn..=withdrawn]);
        let nothing = (&mut BytesMut::new(), &mut Bytes::new());
        rig.engine.withdraw(&ids, nothing, 0);
        let said = rig.says();
        let left = [("call 3 end", 30_000), ("call 1 end", 20_000)][withdrawn];
        assert_eq!(names(&said), [left.0]);
        assert_eq!(carried(&said), written(&large(left.1).1));
    }
}

#[test]
fn a_large_end_that_was_queued_goes_before_the_last_word() {
    let mut rig = Rig::connecting();
    let (body, rest) = large(20_000);
    rig.engine.open(opening(body)).unwrap();
    rig.engine.go_away(1, "broken");
    let said = rig.says();
    assert_eq!(names(&said), ["call 1 end", "goaway 1 0"]);
    assert_eq!(carried(&said), written(&rest));
}

#[test]
fn a_call_that_was_handed_over_takes_its_large_end_back_with_it() {
    for withdrawn in [0, 1] {
        let mut rig = Rig::connecting();
        let keys = [open(Some(3), true), opening(large(20_000).0)]
            .map(|open| rig.engine.open(open).unwrap());
        let (mut out, mut payload) = (BytesMut::new(), Bytes::new());
        assert!(rig.engine.poll_parts(&mut out, &mut payload));
        assert_eq!(payload.len(), 20_000);
        let ids = rig.ids(&keys[withdrawn..=withdrawn]);
        rig.engine.withdraw(&ids, (&mut out, &mut payload), 0);
        out.extend_from_slice(&payload);
        let left = ["call 3 end", "call 1 end"][withdrawn];
        assert_eq!(names(&frames(out)), [left]);
    }
}

#[test]
fn nothing_follows_the_last_word() {
    let mut rig = Rig::connecting();
    rig.engine.go_away(1, "broken");
    rig.engine.open(opening(large(20_000).0)).unwrap();
    assert_eq!(names(&rig.says()), ["goaway 1 0"]);
}

#[test]
fn frames_that_keep_coming_do_not_keep_chunks_from_their_turn() {
    // [CHK-4]
    let mut rig = Rig::connecting();
    rig.open(Some(250_000), true);
    let mut said = Vec::new();
    for _ in 0..10 {
        rig.engine.open(opening(large(20_000).0)).unwrap();
        said.extend(rig.writes());
    }
    let chunks = names(&said);
    let chunks = chunks.iter().filter(|name| name.starts_with("message 1"));
    assert_eq!(chunks.count(), 4);
}

#[test]
fn an_encoded_message_is_handed_over_as_it_is() {
    let mut rig = Rig::connecting();
    let encoded = Bytes::from(vec![7; 20_000]);
    let body = Body::Bytes(encoded.clone());
    rig.engine.open(opening(body)).unwrap();
    let (mut out, mut payload) = (BytesMut::new(), Bytes::new());
    assert!(rig.engine.poll_parts(&mut out, &mut payload));
    assert_eq!(payload.as_ptr(), encoded.as_ptr());
}
